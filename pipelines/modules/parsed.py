"""What a user's module defines, read from its source: nothing of the user's is imported before a task runs."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

from penstock.core import packages
from penstock.core.errors import ModuleError
from penstock.core.files import documents
from penstock.core.suggestions import did_you_mean, nearest

_LARGEST = 4 << 20  # bytes of a module
_TOO_DEEP = "an expression or a block is nested deeper than Python compiles: write it in several statements"


def source_file(module_path: str) -> Path:
    """Returns the source of a dotted path without importing its packages; a ModuleError if there is none."""
    first, *rest = module_path.split(".")
    try:
        place = packages.folder(first).joinpath(*rest)
    except ValueError as error:
        raise ModuleError(f"no module {module_path!r}: {error}") from None
    source = beside(place.parent, place.name)
    if source is None:
        close = near(packages.folder(first), ".".join(rest))
        hint = f"; did you mean {f'{first}.{close}'!r}?" if close else ""
        raise ModuleError(f"no module {module_path!r}: {place.with_suffix('.py')} does not exist{hint}")
    return source


def beside(folder: Path, module_path: str) -> Path | None:
    """Returns the source of a dotted path that begins in a folder, such as a project's; None if there is none."""
    place = folder.joinpath(*module_path.split("."))
    return next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None)


def near(folder: Path, module_path: str) -> str:
    """Returns the dotted path of the module in a folder that is most like this one; "" if none is near."""
    place, parts = folder, list[str]()
    for part in filter(None, module_path.split(".")):
        inside = sorted(place.iterdir()) if place.is_dir() else []
        names = [path.stem if path.is_file() else path.name for path in inside if path.suffix == ".py" or path.is_dir()]
        name = part if part in names else nearest(part, names)
        if name is None:
            return ""
        parts.append(name)
        place /= name
    close = ".".join(parts)
    return close if parts and beside(folder, close) else ""


def defined_names(path: Path) -> set[str]:
    """Returns the names that a module binds at its top level; a ModuleError names the line that is no Python.

    Names that it takes with `from sibling import *` are looked up in the sibling.
    """
    return _names(path, ())


def _names(path: Path, starring: tuple[Path, ...]) -> set[str]:
    """Returns the names of `defined_names`; `starring` are the modules that take this one's with a star."""
    try:
        return set(_bound(tree(path).body, (*starring, path)))
    except RecursionError:
        raise ModuleError(f"{path}: {_TOO_DEEP}") from None


def tree(path: Path) -> ast.Module:
    """Returns a module's syntax tree; a ModuleError names the line that is no Python."""
    if path.stat().st_size > _LARGEST:
        raise ModuleError(f"{path}: expected a module of at most {_LARGEST:,} bytes: put data into a file beside it")
    try:
        with documents.reading(path):
            content = path.read_bytes()
        return ast.parse(content, str(path))
    except SyntaxError as error:
        line = f":{error.lineno}" if error.lineno else ""  # a NUL has none
        raise ModuleError(f"{path}{line}: this is not Python: {error.msg}", (error.text or "").rstrip()) from None
    except ValueError as error:
        raise ModuleError(f"{path}: this is not Python: {error}") from None
    except (RecursionError, MemoryError):  # how the parser says it
        raise ModuleError(f"{path}: {_TOO_DEEP}") from None


def parameters(path: Path, function: str) -> set[str]:
    """Returns the names of a function's parameters, if the module itself defines it."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef) and node.name == function:
            arguments = node.args
            return {argument.arg for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
    return set()


def require(path: Path, function: str, defined: Iterable[str]) -> None:
    """Raises a ModuleError that names the nearest function, unless the module defines `function`."""
    names = sorted(name for name in defined if not name.startswith("_"))
    if function in names:
        return
    raise ModuleError(f"{path}: expected a function {function!r}; {did_you_mean(function, names, 'it defines')}")


def _bound(body: Iterable[ast.stmt], paths: tuple[Path, ...]) -> Iterator[str]:
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield statement.name
        elif isinstance(statement, ast.Assign):
            nodes = (node for target in statement.targets for node in ast.walk(target))
            yield from (node.id for node in nodes if isinstance(node, ast.Name))
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            yield statement.target.id
        elif isinstance(statement, ast.ImportFrom | ast.Import):
            for alias in statement.names:
                if alias.name == "*" and isinstance(statement, ast.ImportFrom):
                    yield from _starred(statement, paths)
                else:
                    yield alias.asname or alias.name.split(".")[0]
        elif isinstance(statement, ast.If | ast.Try | ast.With):
            yield from _bound(statement.body, paths)
            yield from _bound(getattr(statement, "orelse", []), paths)
            for handler in getattr(statement, "handlers", []):
                yield from _bound(handler.body, paths)


def _starred(statement: ast.ImportFrom, paths: tuple[Path, ...]) -> Iterator[str]:
    sibling = paths[-1].parent.joinpath(*(statement.module or "").split(".")).with_suffix(".py")
    if sibling not in paths and sibling.is_file():  # two modules may take each other's
        yield from (name for name in _names(sibling, paths) if not name.startswith("_"))
