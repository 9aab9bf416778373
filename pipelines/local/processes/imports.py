"""What a component imports, read from the sources without importing anything.

It decides two things: whether a task must wait for TensorFlow, and which of our own sources its outputs depend on.
"""

import ast
import functools
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from penstock.core import errors

_PACKAGE = "penstock"
_ROOT = Path(errors.__file__).parent.parent
# Packages whose import brings TensorFlow, and takes seconds.
_HEAVY = frozenset({
    "keras", "keras_tuner", "tensorflow", "tensorflow_data_validation", "tensorflow_model_analysis",
    "tensorflow_transform", "tf_keras", "tfx",
})  # fmt: skip


@dataclass(frozen=True)
class _Module:
    """The modules that a source imports when it is loaded, and at any time."""

    content: bytes
    at_once: tuple[str, ...]
    ever: tuple[str, ...]


def direct(source: str) -> list[str]:
    """Returns the modules that a source imports anywhere, in their order; none if it does not parse."""
    return list(_parse(source.encode()).ever)


def needs_tensorflow(source: str) -> bool:
    """Whether a component's task, or one of our modules that it imports, loads TensorFlow from its start on."""
    names = [*direct(source), *(name for path in _ours(source, ever=False) for name in _read(path).at_once)]
    return any(name.partition(".")[0] in _HEAVY for name in names)


def digest(source: str, values: Iterable[object] = ()) -> str:
    """Returns the digest of our own sources that a component imports, directly or not; "" if it imports none.

    So do the functions of ours, and the user's module files, that the values of its parameters name.
    """
    named = [name for value in values if isinstance(value, str) for name in _named(value)]
    paths = sorted(_ours("".join([source, *(f"\nimport {name}" for name in named)]), ever=True))
    total = hashlib.sha256()
    for path in paths:
        total.update(path.relative_to(_ROOT).as_posix().encode() + b"\0" + hashlib.sha256(_read(path).content).digest())
    return total.hexdigest() if paths else ""


def _named(value: str) -> Iterator[str]:
    """Yields the modules of ours that a dotted path leads to, or a module file and those beside it import."""
    if re.fullmatch(rf"{_PACKAGE}(\.\w+)+", value):
        yield value
    elif value.endswith(".py") and Path(value).is_file():
        for path in sorted(Path(value).parent.glob("*.py")):
            yield from (name for name in direct(path.read_text(errors="replace")) if name.startswith(f"{_PACKAGE}."))


@functools.cache
def _ours(source: str, *, ever: bool) -> frozenset[Path]:
    """The files of ours that loading a component's function reaches; its own body counts as loaded."""
    found: set[Path] = set()
    waiting = list(_files(direct(source)))
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            module = _read(path)
            waiting += _files(module.ever if ever else module.at_once)
    return frozenset(found)


def _files(names: Iterable[str]) -> Iterator[Path]:
    """Yields the files that importing these modules loads: each module's, and those of the packages around it."""
    for name in names:
        package, *parts = name.split(".")
        if package != _PACKAGE:
            continue
        for end in range(1, len(parts) + 1):
            path = _ROOT.joinpath(*parts[:end])
            for candidate in (path.with_suffix(".py"), path / "__init__.py"):
                if candidate.is_file():
                    yield candidate


@functools.cache
def _read(path: Path) -> _Module:
    return _parse(path.read_bytes())


def _parse(content: bytes) -> _Module:
    try:
        tree = ast.parse(content)
    except SyntaxError:  # the task that imports it will show the line
        return _Module(content, (), ())
    at_once = [name for statement in tree.body for name in _imported(_loaded(statement))]
    return _Module(content, tuple(dict.fromkeys(at_once)), tuple(dict.fromkeys(_imported(ast.walk(tree)))))


def _loaded(statement: ast.stmt) -> Iterator[ast.AST]:
    """Yields what runs when a module is loaded: not functions' bodies, nor what only a type checker reads."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
        return
    if isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.unparse(statement.test):
        return
    yield from ast.walk(statement) if not isinstance(statement, ast.ClassDef) else ()


def _imported(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Yields the names of imported modules; of `from x import y` both x and x.y, since y may be a module."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            if node.module.partition(".")[0] == _PACKAGE:
                yield from (f"{node.module}.{alias.name}" for alias in node.names)
