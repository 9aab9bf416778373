"""What a module defines is read from its source, and nothing of it is imported."""

from pathlib import Path

import pytest

from penstock.core.errors import ModuleError
from penstock.pipelines.modules import parsed


@pytest.mark.parametrize(
    "source",
    [
        "def preprocessing_fn(inputs): return inputs",
        "from other import preprocessing_fn",
        "from other import f as preprocessing_fn",
        "preprocessing_fn = make()",
        "preprocessing_fn: object = make()",
        "try:\n    from a import preprocessing_fn\nexcept ImportError:\n    pass",
        "import sys\nif sys:\n    pass\nelse:\n    def preprocessing_fn(inputs): ...",
        "from sibling import *",
    ],
)
def test_names_that_a_module_binds(tmp_path: Path, source: str) -> None:
    (tmp_path / "sibling.py").write_text("def preprocessing_fn(inputs): ...\n")
    path = tmp_path / "module.py"
    path.write_text(f"raise RuntimeError('imported')\n{source}\n")
    assert "preprocessing_fn" in parsed.defined_names(path)


@pytest.mark.parametrize(
    "source", ["", "# def preprocessing_fn(inputs): ...", "def f():\n    preprocessing_fn = 1", "x.preprocessing_fn()"]
)
def test_names_that_a_module_does_not_bind(tmp_path: Path, source: str) -> None:
    path = tmp_path / "module.py"
    path.write_text(source)
    assert "preprocessing_fn" not in parsed.defined_names(path)


def test_tfxs_own_modules(taxi_module: Path) -> None:
    assert {"preprocessing_fn", "run_fn", "stats_options_updater_fn"} <= parsed.defined_names(taxi_module)
    penguin = taxi_module.parent.parent / "penguin" / "penguin_utils_keras.py"  # preprocessing_fn is assigned there
    assert {"preprocessing_fn", "run_fn", "tuner_fn"} <= parsed.defined_names(penguin)


def test_what_is_no_python_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text("x = 1\ndef f(:\n")
    with pytest.raises(ModuleError, match=r"module.py:2: this is not Python") as caught:
        parsed.defined_names(path)
    assert caught.value.details == "def f(:"


def test_missing_function_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ModuleError, match=r"expected a function 'run_fn'; did you mean 'runn_fn'\?"):
        parsed.require(tmp_path / "m.py", "run_fn", {"runn_fn", "other"})
    with pytest.raises(ModuleError, match=r"it defines apple"):
        parsed.require(tmp_path / "m.py", "run_fn", {"apple", "_hidden"})


def test_source_of_a_dotted_path(taxi_module: Path) -> None:
    assert parsed.source_file("tfx.examples.chicago_taxi_pipeline.taxi_utils") == taxi_module
    with pytest.raises(ModuleError, match=r"no module 'tfx.examples.nix'"):
        parsed.source_file("tfx.examples.nix")
    with pytest.raises(ModuleError, match=r"no package 'nix_package' in this environment"):
        parsed.source_file("nix_package.module")


def test_source_of_a_dotted_path_in_a_project(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "model.py").touch()
    assert parsed.beside(tmp_path, "mine.model") == tmp_path / "mine" / "model.py"
    assert parsed.beside(tmp_path, "mine") is None
    (tmp_path / "mine" / "__init__.py").touch()
    assert parsed.beside(tmp_path, "mine") == tmp_path / "mine" / "__init__.py"


@pytest.mark.parametrize(
    "source",
    [
        "x = " + "+".join(["1"] * 50_000),
        "x = " + "-" * 100_000 + "1",
        "x = " + "(" * 5000 + ")" * 5000,
        "if a: pass\n" + "elif b: pass\n" * 5000,
        "x = 1  # " + "x" * (5 << 20),
        "x = '\0'",
    ],
)
def test_what_python_does_not_compile_is_one_sentence(tmp_path: Path, source: str) -> None:
    path = tmp_path / "module.py"
    path.write_text(source)
    with pytest.raises(
        ModuleError, match=r"module\.py(:1)?: (an expression|this is not Python|expected a module of at)"
    ):
        parsed.defined_names(path)


def test_modules_that_take_each_others_names(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("from two import *\na = 1\n")
    (tmp_path / "two.py").write_text("from one import *\nb = 1\n")
    assert parsed.defined_names(tmp_path / "one.py") == {"a", "b"}
