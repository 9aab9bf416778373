"""User modules: publishing by content, importing siblings, the user's own lines in errors."""

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.core import user_modules
from penstock.core.errors import ConfigError, ModuleError
from tests.servers.object_stores import ObjectStore


@pytest.fixture(autouse=True)
def _own_import_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Forgets what a test imported from temporary folders; a library must not be imported twice."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield
    temporary = (str(tmp_path), str(Path(tempfile.gettempdir()) / "penstock-module-"))
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(temporary):
            del sys.modules[name]


def write_module(folder: Path, text: str, name: str = "user_module.py") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    return folder / name


def test_a_published_module_imports_its_siblings_and_packages(tmp_path: Path) -> None:
    text = "import sibling_a\nfrom pack_a.deep import depth\nvalue = sibling_a.one + depth\n"
    source = write_module(tmp_path / "src", text)
    write_module(tmp_path / "src", "one = 1\n", "sibling_a.py")
    write_module(tmp_path / "src" / "pack_a", "", "__init__.py")
    write_module(tmp_path / "src" / "pack_a" / "deep", "depth = 41\n", "__init__.py")
    published = user_modules.publish(source, tmp_path / "store")
    source.write_text("raise SystemExit('the run must not see later edits')")
    assert user_modules.load(str(published)).value == 42


def test_the_published_path_changes_with_the_content_of_any_file(tmp_path: Path) -> None:
    source = write_module(tmp_path / "src", "a = 1\n")
    first = user_modules.publish(source, tmp_path / "store")
    assert user_modules.publish(source, tmp_path / "store") == first
    write_module(tmp_path / "src", "b = 1\n", "other.py")
    second = user_modules.publish(source, tmp_path / "store")
    assert second != first
    assert first.is_file(), "an earlier run keeps its copy"


def test_a_dotted_path_is_pinned_by_content() -> None:
    pinned = user_modules.pin("json.decoder")
    name, _, digest = pinned.partition("@")
    assert name == "json.decoder"
    assert len(digest) == 16
    assert user_modules.load(pinned).JSONDecoder is __import__("json").JSONDecoder


def test_an_unknown_dotted_path_is_named() -> None:
    with pytest.raises(ModuleError, match="no module 'no_such_package"):
        user_modules.pin("no_such_package.mod")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for use in (lambda path: user_modules.publish(path, tmp_path), lambda path: user_modules.load(str(path))):
        with pytest.raises(ModuleError, match=r"gone\.py does not exist"):
            use(tmp_path / "gone.py")


def test_a_missing_function_names_the_nearest(tmp_path: Path) -> None:
    module = user_modules.load(str(write_module(tmp_path, "def preprocess_fn(inputs): ...\n", "near.py")))
    with pytest.raises(ModuleError, match="expected a function 'preprocessing_fn'; did you mean 'preprocess_fn'"):
        user_modules.function(module, "preprocessing_fn")
    assert user_modules.optional_function(module, "preprocessing_fn") is None
    assert user_modules.function(module, "preprocess_fn") is module.preprocess_fn


@pytest.mark.parametrize("name", ["json.decoder.JSONDecoder", "json.decoder.JSONDecoder@0123456789abcdef"])
def test_a_function_is_found_by_its_dotted_path(name: str) -> None:
    assert user_modules.find("", name, "run_fn") is __import__("json").JSONDecoder


def test_a_function_is_found_in_a_file_by_its_usual_name_or_another(tmp_path: Path) -> None:
    path = str(write_module(tmp_path, "def run_fn(): ...\ndef fit(): ...\n", "found.py"))
    assert [user_modules.find(path, name, "run_fn").__name__ for name in ("", "fit")] == ["run_fn", "fit"]
    for module_file, name in (("", ""), ("", "run_fn"), (path, "package.module.fit")):
        with pytest.raises(ConfigError, match="run_fn: expected either module_file or a dotted path"):
            user_modules.find(module_file, name, "run_fn")


def test_what_user_code_raises_is_shown_with_its_own_lines(tmp_path: Path) -> None:
    text = "import json\n\ndef run_fn(args):\n    return inner(args)\n\ndef inner(args):\n    return json.loads('{')\n"
    module = user_modules.load(str(write_module(tmp_path, text, "raises.py")))
    with pytest.raises(ModuleError, match="run_fn raised JSONDecodeError") as caught:
        user_modules.call("run_fn", module.run_fn, None)
    assert "return inner(args)" in caught.value.details
    assert "json.loads('{')" in caught.value.details
    assert "modules.py" not in caught.value.details
    assert "decoder.py" not in caught.value.details


def test_a_module_that_does_not_import_is_shown_with_its_own_lines(tmp_path: Path) -> None:
    with pytest.raises(ModuleError, match="import raised ZeroDivisionError") as caught:
        user_modules.load(str(write_module(tmp_path, "value = 1 / 0\n", "broken.py")))
    assert "value = 1 / 0" in caught.value.details


@pytest.mark.parametrize("name", ["my-module.v2.py", "class.py", "json.py", "2nd.py", "größe.py", "a b.py"])
def test_a_module_file_may_have_any_name(tmp_path: Path, name: str) -> None:
    """One that is no name to Python, one of its keywords, or the name of a module that is imported already."""
    source = write_module(tmp_path / "src", "import sibling_c\nvalue = sibling_c.one\n", name)
    write_module(tmp_path / "src", "one = 1\n", "sibling_c.py")
    published = str(user_modules.publish(source, tmp_path / "store"))
    module = user_modules.load(published)
    assert module.value == 1
    assert user_modules.load(published) is module
    sys.modules.pop("sibling_c")


def test_two_modules_of_one_name_are_two(tmp_path: Path) -> None:
    paths = [write_module(tmp_path / folder, f"value = {folder!r}\n", "same-name.py") for folder in ("one", "two")]
    paths += [write_module(tmp_path / folder, f"value = {folder!r}\n", "same_name.py") for folder in ("three", "four")]
    assert [user_modules.load(str(path)).value for path in paths] == ["one", "two", "three", "four"]


def test_a_package_without_init_and_a_data_file_travel(tmp_path: Path) -> None:
    text = """
from pathlib import Path
from bare_a.dense import width
words = (Path(__file__).parent / "words.txt").read_text()
"""
    source = write_module(tmp_path / "src", text, "reads.py")
    write_module(tmp_path / "src" / "bare_a", "width = 3\n", "dense.py")
    write_module(tmp_path / "src", "a b", "words.txt")
    module = user_modules.load(str(user_modules.publish(source, tmp_path / "store")))
    assert (module.width, module.words) == (3, "a b")
    write_module(tmp_path / "src", "a b c", "words.txt")
    assert user_modules.load(str(user_modules.publish(source, tmp_path / "store"))).words == "a b c"


@pytest.mark.parametrize(("code", "written"), [("", ""), ("0", "0"), ("3", "3"), ("'no data'", "'no data'")])
def test_user_code_that_exits_is_a_mistake(tmp_path: Path, code: str, written: str) -> None:
    text = f"import sys\n\ndef run_fn(args):\n    sys.exit({code})\n"
    module = user_modules.load(str(write_module(tmp_path, text, f"exits_{len(code)}.py")))
    with pytest.raises(ModuleError, match=rf"run_fn called sys.exit\({written}\)") as caught:
        user_modules.call("run_fn", module.run_fn, None)
    assert caught.value.exit_code == 2
    assert "sys.exit(" in caught.value.details
    with pytest.raises(ModuleError, match=r"import called sys.exit\(1\)"):
        user_modules.load(str(write_module(tmp_path, "raise SystemExit(1)", "exits.py")))


def test_a_module_in_an_object_store_is_fetched_with_what_it_imports(tmp_path: Path, object_store: ObjectStore) -> None:
    """Published there, or put there by hand: its siblings and packages come along, and nothing else."""
    text = "import sibling_b\nfrom pack_b.deep import depth\nvalue = sibling_b.one + depth\n"
    source = write_module(tmp_path / "src", text, f"remote_{object_store.scheme}.py")
    write_module(tmp_path / "src", "one = 1\n", "sibling_b.py")
    write_module(tmp_path / "src" / "pack_b", "", "__init__.py")
    write_module(tmp_path / "src" / "pack_b" / "deep", "depth = 41\n", "__init__.py")
    write_module(tmp_path / "src" / "data", "no module", "rows.csv")
    uri = user_modules.publish_remote(source, object_store.uri("root", "modules"))
    assert user_modules.publish(source, tmp_path / "store").relative_to(tmp_path / "store").as_posix() == "/".join(
        uri.split("/")[-2:]
    ), "the folder has the name that a local one has"
    assert user_modules.publish_remote(source, object_store.uri("root", "modules")) == uri
    module = user_modules.load(uri)
    assert module.value == 42
    assert module.__file__ is not None
    copies = sorted(path.name for path in Path(module.__file__).parent.iterdir() if path.name != "__pycache__")
    assert copies == ["pack_b", source.name, "sibling_b.py"]
    assert user_modules.load(uri) is module


def test_data_files_travel_through_an_object_store(tmp_path: Path, object_store: ObjectStore) -> None:
    text = 'from pathlib import Path\nwords = (Path(__file__).parent / "assets" / "words.txt").read_text()\n'
    source = write_module(tmp_path / "src", text, f"reads_{object_store.scheme}.py")
    write_module(tmp_path / "src" / "assets", "a b", "words.txt")
    assert user_modules.load(user_modules.publish_remote(source, object_store.uri("root", "modules"))).words == "a b"


def test_a_module_that_is_not_in_the_store(object_store: ObjectStore) -> None:
    with pytest.raises(ModuleError, match=rf"module_file: {object_store.scheme}://.*/none.py does not exist"):
        user_modules.load(object_store.uri("modules", "none.py"))


def test_what_lies_beside_a_module_and_is_no_file_stays(tmp_path: Path) -> None:
    """Editors leave links that lead nowhere; reading a pipe would wait for ever."""
    source = write_module(tmp_path / "src", "value = 1\n")
    expected = user_modules.published_path(source, "store")
    (source.parent / ".#user_module.py").symlink_to("somebody@host.1234")
    os.mkfifo(source.parent / "pipe.py")
    (source.parent / "folder.py").mkdir()
    assert user_modules.published_path(source, "store") == expected
    published = user_modules.publish(source, tmp_path / "store")
    assert [path.name for path in published.parent.iterdir()] == ["user_module.py"]


@pytest.mark.parametrize("name", ["my [project]", "{SPAN}", "a*b?"])
def test_a_module_in_a_folder_whose_name_is_a_pattern(tmp_path: Path, name: str) -> None:
    source = write_module(tmp_path / name, "import sibling\nvalue = sibling.value\n")
    write_module(tmp_path / name, "value = 7\n", "sibling.py")
    published = user_modules.publish(source, tmp_path / name / "runs" / "modules")
    assert user_modules.load(str(published)).value == 7


PACKAGE = {
    "own_models/model.py": "from own_models.parts import width\nfrom . import features\nvalue = width + features.one\n",
    "own_models/parts.py": "width = 41\n",
    "own_models/features.py": "one = 1\n",
}


def write_package(folder: Path, first: str) -> Path:
    """Writes PACKAGE under another first name, since a process imports a name once; returns the module."""
    for name, text in PACKAGE.items():
        write_module(folder / first, text.replace("own_models", first), name.partition("/")[2])
    return folder / first / "model.py"


def test_a_module_of_a_package_is_imported_from_the_folder_above(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    source = write_package(tmp_path / "src", "local_models")
    published = user_modules.publish(source, tmp_path / "store", project=tmp_path / "src")
    assert published.relative_to(tmp_path / "store").parts[1:] == ("local_models", "model.py")
    assert user_modules.published_path(source, "store", project=tmp_path / "src").endswith("/local_models/model.py")
    module = user_modules.load(str(published))
    assert (module.value, module.__name__) == (42, "local_models.model")


def test_a_module_of_a_package_that_is_not_published(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    source = write_package(tmp_path / "src", "plain_models")
    (source.parent / "__init__.py").touch()
    (tmp_path / "src" / "__init__.py").touch()  # as in a project of TFX's templates
    assert user_modules.load(str(source)).value == 42


def test_a_module_of_a_package_in_an_object_store(tmp_path: Path, object_store: ObjectStore) -> None:
    (tmp_path / "src").mkdir()
    source = write_package(tmp_path / "src", f"{object_store.scheme}_models")
    uri = user_modules.publish_remote(source, object_store.uri("root", "modules"), project=tmp_path / "src")
    assert uri.endswith(f"/{object_store.scheme}_models/model.py")
    assert user_modules.load(uri).value == 42


def test_an_error_of_older_code_says_what_to_do(tmp_path: Path) -> None:
    module = user_modules.load(str(write_module(tmp_path, "def trainer_fn(a, b): ...\n", "for_estimators.py")))
    with pytest.raises(
        ModuleError, match="expected a function 'run_fn', found trainer_fn: estimators ended with Tensor"
    ):
        user_modules.function(module, "run_fn")
    text = "def run_fn(a):\n    raise AttributeError(\"module 'tensorflow' has no attribute 'estimator'\")\n"
    module = user_modules.load(str(write_module(tmp_path, text, "asks_for_estimators.py")))
    with pytest.raises(
        ModuleError, match=r"has no attribute 'estimator'; estimators ended with TensorFlow 2.16: write"
    ):
        user_modules.call("run_fn", module.run_fn, None)
