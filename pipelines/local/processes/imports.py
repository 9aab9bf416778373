"""What a component imports, read from the sources without importing anything.

It decides which of our own sources a task's outputs depend on.
"""

import ast
import functools
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from penstock.core import errors, user_modules
from penstock.core.files import documents, module_files

_PACKAGE = "penstock"
_ROOT = Path(errors.__file__).parent.parent


@dataclass(frozen=True)
class _Module:
    """A source, and the modules that it imports anywhere."""

    content: bytes
    imports: tuple[str, ...]


def direct(source: str) -> list[str]:
    """Returns the modules that a source imports anywhere, in their order; none if it does not parse."""
    return list(_parse(source.encode()).imports)


def digest(source: str, values: Iterable[object] = ()) -> str:
    """Returns the digest of our own sources that a component imports, directly or not; "" if it imports none.

    `values` are those of its parameters, and the modules that it declares. Those of our functions and modules, and the
    user's module files, that a value names count as imported.
    """
    named = [name for value in values if isinstance(value, str) for name in _named(value)]
    paths = sorted(_ours("".join([source, *(f"\nimport {name}" for name in named)])))
    total = hashlib.sha256()
    for path in paths:
        total.update(path.relative_to(_ROOT).as_posix().encode() + b"\0" + hashlib.sha256(_read(path).content).digest())
    return total.hexdigest() if paths else ""


def _named(value: str) -> Iterator[str]:
    """Yields the modules of ours that a dotted path leads to, or a module file and the user's others import."""
    if re.fullmatch(rf"{_PACKAGE}(\.\w+)+", value):
        yield value
    elif value.endswith(".py") and Path(value).is_file():
        module = Path(value).resolve()
        files = module_files.own_files(module, user_modules.import_root(module))
        for path in sorted({*files, *module.parent.glob("*.py")}):
            with documents.reading(path):
                source = path.read_text(errors="replace")
            yield from (name for name in direct(source) if name.startswith(f"{_PACKAGE}."))


@functools.cache
def _ours(source: str) -> frozenset[Path]:
    """The files of ours that a component's function reaches."""
    files: set[Path] = set()
    waiting = list(_files(direct(source)))
    while waiting:
        path = waiting.pop()
        if path not in files:
            files.add(path)
            waiting += _files(_read(path).imports)
    return frozenset(files)


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
    with documents.reading(path):
        return _parse(path.read_bytes())


def _parse(content: bytes) -> _Module:
    try:
        tree = ast.parse(content)
    except (SyntaxError, RecursionError, MemoryError):  # the task that imports it will show the line
        return _Module(content, ())
    return _Module(content, tuple(dict.fromkeys(_imported(ast.walk(tree)))))


def _imported(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Yields the names of imported modules; of `from x import y` both x and x.y, since y may be a module."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            if node.module.partition(".")[0] == _PACKAGE:
                yield from (f"{node.module}.{alias.name}" for alias in node.names)
