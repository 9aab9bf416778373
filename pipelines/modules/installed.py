"""Which modules the user's files import that are not installed here, read from their sources: nothing is imported."""

import ast
import importlib.util
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from penstock.core.suggestions import listed
from penstock.pipelines.modules import parsed


def missing(files: Iterable[Path], folders: Iterable[Path]) -> str:
    """Returns a sentence that names what files import and what is not installed, "" if all is.

    `folders` are those that the user's own modules are in. An import that a `try` may catch is the user's to decide.
    """
    beside = list(folders)
    lacking: dict[str, str] = {}
    for file in files:
        for name, line in _imported(parsed.tree(file).body):
            top = name.partition(".")[0]
            own = any((folder / top).is_dir() or (folder / f"{top}.py").is_file() for folder in (*beside, file.parent))
            if not own and not _is_installed(top):
                lacking.setdefault(top, f"{top} ({file.name}, line {line})")
    if not lacking:
        return ""
    return (
        f"modules that are imported and not installed here: {listed(list(lacking.values()))}: a local run needs them, "
        f"such as by `pip install {next(iter(lacking))}`, and so does the image of other runs"
    )


def _imported(body: Iterable[ast.AST]) -> Iterator[tuple[str, int]]:
    """Yields the names of absolute imports with their lines, but for those that a `try` or a type checker is about."""
    for node in body:
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.module and not node.level:
                yield node.module, node.lineno
        elif not isinstance(node, ast.Try | ast.TryStar) and not _is_for_types(node):
            yield from _imported(ast.iter_child_nodes(node))


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def _is_installed(name: str) -> bool:
    if name in sys.builtin_module_names or name in sys.stdlib_module_names or name in sys.modules:
        return True
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False
