"""What travels with a module file: what it imports, and small files where it names its own place."""

from pathlib import Path

import pytest

from penstock.core.files import module_files


def write(folder: Path, files: dict[str, str]) -> Path:
    """Writes files by their paths below a folder; returns module.py, which is one of them."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "module.py"


def names(files: module_files.ModuleFiles) -> list[str]:
    return [path.relative_to(files.folder).as_posix() for path in files.files]


def test_packages_with_and_without_init_travel(tmp_path: Path) -> None:
    module = write(
        tmp_path,
        {
            "module.py": "from layers.dense import width\nimport pack.deep",
            "layers/dense.py": "import more.numbers",
            "more/numbers.py": "",
            "unrelated/other.py": "",
            "pack/deep.py": "",
            "words.txt": "a",
        },
    )
    (tmp_path / "pack" / "__init__.py").touch()
    assert names(module_files.of(module)) == [
        *("layers/dense.py", "module.py", "more/numbers.py", "pack/__init__.py", "pack/deep.py")
    ]


@pytest.mark.parametrize(
    "source",
    [
        'open(Path(__file__).parent / "words.txt")',
        'importlib.resources.files("pack")',
        "from importlib import resources",
        "import pkgutil",
        "folder = os.path.dirname(inspect.getfile(run_fn))",
    ],
)
def test_a_module_that_names_its_place_takes_small_files(tmp_path: Path, source: str) -> None:
    module = write(
        tmp_path,
        {
            "module.py": source,
            "words.txt": "a",
            "assets/de.json": "{}",
            "settings.yaml": "depth: 3",
            "pipeline.yaml": "module_file: module.py",
            "runs/small/log.txt": "a run's",
            "venv/pyvenv.cfg": "",
            "venv/lib/big.txt": "",
            "data.csv": "x\n1\n",
        },
    )
    (tmp_path / ".env").write_text("TOKEN=1")
    found = module_files.of(module, [tmp_path / "runs", tmp_path / "data.csv"])
    assert names(found) == ["assets/de.json", "module.py", "settings.yaml", "words.txt"]
    assert found.left_out == []


def test_a_module_that_does_not_name_its_place_takes_none(tmp_path: Path) -> None:
    module = write(tmp_path, {"module.py": "x = 1", "words.txt": "a", "prepare.py": "Path(__file__).parent"})
    assert names(module_files.of(module)) == ["module.py", "prepare.py"]
    module.write_text("import prepare")
    assert "words.txt" in names(module_files.of(module))


def test_what_is_too_large_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module_files, "LARGEST", 10)
    monkeypatch.setattr(module_files, "LARGEST_TOGETHER", 20)
    sizes = {"a.txt": 9, "b.txt": 11, "c.txt": 9, "d.txt": 9}
    module = write(tmp_path, {"module.py": "__file__", **{name: "x" * size for name, size in sizes.items()}})
    found = module_files.of(module)
    assert names(found) == ["a.txt", "c.txt", "module.py"]
    assert [path.name for path in found.left_out] == ["b.txt", "d.txt"]


def test_a_broken_module_beside_it_travels_as_it_is(tmp_path: Path) -> None:
    module = write(tmp_path, {"module.py": "import layers", "broken.py": "def (", "deep.py": "-" * 100_000 + "1"})
    assert names(module_files.of(module)) == ["broken.py", "deep.py", "module.py"]
