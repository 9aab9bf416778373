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


PACKAGE = {
    "models/keras_model/model.py": "from models import features\nfrom models.keras_model import constants",
    "models/keras_model/constants.py": "",
    "models/features.py": "import common",
    "models/unrelated.py": "",
    "common.py": "",
    "runner.py": "import models",
    "pipeline/configs.py": "",
}


@pytest.mark.parametrize("init", [True, False], ids=["packages", "folders"])
def test_a_module_of_a_package_travels_with_what_it_imports_from_above(tmp_path: Path, init: bool) -> None:
    """As TFX's templates are: the folder that `models` is in may itself be a package, which none imports from."""
    write(tmp_path, PACKAGE)
    for folder in ("models/keras_model", "models", "pipeline", "") if init else ():
        (tmp_path / folder / "__init__.py").touch()
    module = tmp_path / "models" / "keras_model" / "model.py"
    files = module_files.of(module, project=tmp_path)
    assert files.folder == tmp_path
    expected = {"common.py", "models/features.py", "models/unrelated.py", "models/keras_model/constants.py"}
    assert {name for name in names(files) if not name.endswith("__init__.py")} == {
        *expected,
        "models/keras_model/model.py",
    }
    assert (module_files.of(module).folder == tmp_path) == init, "without a project, packages say where they begin"


@pytest.mark.parametrize(
    ("source", "above"),
    [
        ("from . import features", True),
        ("from .features import LABEL", True),
        ("from models.features import LABEL", True),
        ("import features", False),
        ("from features import *\nimport models_of_others", False),
        ("import tensorflow", False),
    ],
)
def test_a_module_is_imported_from_where_its_imports_begin(tmp_path: Path, source: str, above: bool) -> None:
    write(tmp_path, {"models/module.py": source, "models/features.py": "", "models/__init__.py": "", "module.py": ""})
    folder = module_files.of(tmp_path / "models" / "module.py").folder
    assert folder == (tmp_path if above else tmp_path / "models")


def test_an_installed_module_is_no_project(tmp_path: Path) -> None:
    place = tmp_path / "site-packages" / "theirs"
    write(place, {"__init__.py": "", "module.py": "from theirs import other", "other.py": ""})
    assert module_files.of(place / "module.py", project=tmp_path).folder == place


def test_own_files_are_those_that_are_imported(tmp_path: Path) -> None:
    write(tmp_path, {**PACKAGE, "models/keras_model/other.py": ""})
    module = tmp_path / "models" / "keras_model" / "model.py"
    own = module_files.own_files(module, tmp_path)
    assert own[0] == module
    assert sorted(path.name for path in own[1:]) == ["common.py", "constants.py", "features.py"]
