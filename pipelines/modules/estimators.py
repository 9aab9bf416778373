"""Estimators in a module, which TensorFlow no longer has: read from its source, so that nothing runs in vain."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeGuard

from penstock.pipelines.modules import parsed
from penstock.pipelines.modules.dotted_names import DottedNames
from penstock.pipelines.modules.keras_use import Use

_GONE = ("tensorflow.estimator", "tensorflow.contrib", "tensorflow.keras.estimator", "tensorflow_estimator")
type _Function = ast.FunctionDef | ast.AsyncFunctionDef


def used(paths: Iterable[Path], functions: Iterable[str]) -> Use | None:
    """Returns the first place that uses estimators when the module is imported or one of its functions is called.

    What is reached is judged by names alone: a function counts as called if its name is in one that is. Code that asks
    first whether there are estimators (`if hasattr`, `try`) is left alone, and so is a function that nothing calls,
    such as a trainer_fn beside a run_fn.
    """
    trees = {path: parsed.tree(path) for path in paths}
    bodies: dict[str, list[_Function]] = {}
    waiting = list(functions)
    for tree in trees.values():
        waiting += (name for statement in tree.body for name in _identifiers(statement) if not _is_function(statement))
        for node in ast.walk(tree):
            if _is_function(node):
                bodies.setdefault(node.name, []).append(node)
    reached = set[int]()
    while waiting:
        for body in bodies.get(waiting.pop(), []):
            if id(body) not in reached:
                reached.add(id(body))
                waiting += _identifiers(body)
    for path, tree in trees.items():
        names = DottedNames(tree)
        for node in _run(tree, reached):
            for name, line in names.used(node):
                if any(name == gone or name.startswith(f"{gone}.") for gone in _GONE):
                    return Use(path, line, name.replace("tensorflow.", "tf.", 1))
    return None


def _is_function(node: ast.AST) -> TypeGuard[_Function]:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


def _identifiers(body: ast.AST) -> Iterator[str]:
    for node in ast.walk(body):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr


def _run(tree: ast.Module, reached: set[int]) -> Iterator[ast.AST]:
    """Yields the smallest parts of a module that run: those outside of functions, and the bodies of what is reached."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.expr | ast.Import | ast.ImportFrom):
            yield node
        elif not (isinstance(node, ast.Try) or (isinstance(node, ast.If) and _asks(node.test))):
            body = node.body if _is_function(node) and id(node) not in reached else []  # but not its annotations
            waiting += [child for child in ast.iter_child_nodes(node) if child not in body][::-1]


def _asks(test: ast.expr) -> bool:
    return any(name in ("hasattr", "getattr", "__version__") for name in _identifiers(test))
