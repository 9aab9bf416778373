"""The floors of the house: imports run downwards, in no circle, and a folder has room for what comes."""

import ast
import graphlib
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FLOORS = ("core", "trainer", "components", "pipelines")  # from the ground up
MOST_FILES = 13


def _modules() -> dict[str, Path]:
    files = [file for floor in FLOORS for file in (ROOT / floor).rglob("*.py") if "template" not in file.parts]
    return {".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file for file in files}


MODULES = _modules()


def _imported(file: Path) -> Iterator[str]:
    """Yields the modules of ours that a file imports anywhere, also in functions and for type checkers."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name.removeprefix("penstock.") in MODULES else node.module for name in inside]
        else:
            continue
        yield from (name.removeprefix("penstock.") for name in names if name.startswith("penstock."))


@pytest.fixture(scope="module")
def imports() -> dict[str, set[str]]:
    return {module: {name for name in _imported(file) if name in MODULES} for module, file in MODULES.items()}


def test_imports_run_downwards(imports: dict[str, set[str]]) -> None:
    floor = {module: FLOORS.index(module.partition(".")[0]) for module in imports}
    upwards = [(module, name) for module, names in imports.items() for name in names if floor[name] > floor[module]]
    assert upwards == []


def test_no_module_imports_itself_by_way_of_others(imports: dict[str, set[str]]) -> None:
    graphlib.TopologicalSorter({module: names - {module} for module, names in imports.items()}).prepare()


def test_a_folder_has_room(imports: dict[str, set[str]]) -> None:
    files = [file for module, file in MODULES.items() if file.name not in ("__init__.py", "__main__.py")]
    crowded = {
        str(folder): count for folder, count in Counter(file.parent for file in files).items() if count > MOST_FILES
    }
    assert crowded == {}


def test_every_folder_says_what_is_in_it() -> None:
    silent = [
        str(file)
        for file in MODULES.values()
        if file.name == "__init__.py" and not ast.get_docstring(ast.parse(file.read_text()))
    ]
    assert silent == []


def _literals(file: Path) -> Iterator[str]:
    """Yields the strings of a file but for docstrings."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    lone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in lone:
            yield node.value


def test_the_names_of_an_artifacts_files_stand_in_one_place() -> None:
    """In core/artifacts: elsewhere none is a part of a path, such as in "*/saved_model.pb"."""
    name = re.compile(r"[\w-]+\.(json|pb|pbtxt|npz|txt)|(Split|Format)-\w*")
    owners = {module for module in MODULES if module.startswith("core.artifacts")}
    names = {literal for module in owners for literal in _literals(MODULES[module]) if name.fullmatch(literal)}
    assert {"saved_model.pb", "validation.json", "plan.json", "schema.pbtxt", "Split-", "Format-Serving"} <= names
    spelled = [
        f"{file.relative_to(ROOT)}: {literal}"
        for module, file in MODULES.items()
        for literal in _literals(file)
        if module not in owners and any(part.rstrip("*") in names for part in literal.split("/"))
    ]
    assert spelled == []


def _calls(file: Path) -> Iterator[str]:
    """Yields the dotted names of what a file calls, such as "yaml.load"."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


def test_texts_of_others_are_read_in_one_place_and_written_in_one() -> None:
    """YAML in core/files/yaml_documents.py, within bounds; to the terminal by pipelines/cli/terminal.py, printable."""
    places = {"core.files.yaml_documents": ("yaml.parse",), "pipelines.cli.terminal": ("click.echo",)}
    reading = ("yaml.load", "yaml.load_all", "yaml.safe_load", "yaml.safe_load_all", "yaml.compose", "yaml.parse")
    elsewhere = [
        f"{module}: {call}"
        for module, file in MODULES.items()
        for call in _calls(file)
        if call in (*reading, "click.echo", "click.secho") and call not in places.get(module, ())
    ]
    assert elsewhere == []
