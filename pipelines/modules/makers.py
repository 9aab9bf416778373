"""What made the object whose method a module calls, as far as the source says it.

`.save(folder)` is a method of Keras's models, and of much else: checkpoints, boosters, classes of the user's own.
"""

import ast
import sys
from collections.abc import Iterator

from penstock.pipelines.modules.dotted_names import DottedNames

# Packages none of whose objects have to do with Keras, nor what their methods return.
_OTHERS = ("catboost", "joblib", "lightgbm", "pickle", "sklearn", "tensorflow.train", "torch", "xgboost")
_OWN = "<own>"  # a function or class of the module's that is no model of Keras's
_DEEPEST = 8  # variables and calls in one another


class Makers:
    """The makers of what a module's variables hold."""

    def __init__(self, tree: ast.Module, names: DottedNames):
        self._names = names
        self._values = assigned(tree)
        self._annotations: dict[str, ast.expr] = {}
        self._functions: set[str] = set()
        self._classes: dict[str, ast.ClassDef] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.arg) and node.annotation:
                self._annotations[node.arg] = node.annotation
            elif isinstance(node, ast.FunctionDef):
                self._functions.add(node.name)
            elif isinstance(node, ast.ClassDef):
                self._classes[node.name] = node
        self._selves = set(self._of_other_classes())

    def of(self, function: ast.Attribute | ast.Name) -> str:
        """Returns the dotted name of a function, or of what made the object whose method it is; "" if it is not known.

        For what the module defines itself it is no dotted name.
        """
        name = self._names.of(function)
        if name:
            return name
        if isinstance(function, ast.Name):
            return _OWN if function.id in self._functions else ""
        return self._made(function.value, _DEEPEST)

    def _made(self, node: ast.expr, depth: int) -> str:
        if id(node) in self._selves:
            return _OWN
        if not depth:
            return ""
        text = dotted_text(node)
        if text in self._values:
            return self._made(self._values[text], depth - 1)
        if text in self._annotations:
            return self._class(self._annotations[text])
        if isinstance(node, ast.Call):
            name = self._class(node.func)
            if name or not isinstance(node.func, ast.Attribute):
                return name
            node = node.func
        if isinstance(node, ast.Attribute):  # such as booster_ of a fitted model
            name = self._made(node.value, depth - 1)
            return name if _is_other(name) else ""
        return ""

    def _class(self, node: ast.expr) -> str:
        """Returns the dotted name of a function or class; "" for a class of the module's that may be a model."""
        if isinstance(node, ast.Name) and node.id in self._classes:
            return _OWN if self._is_other_class(self._classes[node.id], ()) else ""
        return self._names.of(node)

    def _is_other_class(self, definition: ast.ClassDef, derived: tuple[str, ...]) -> bool:
        """Whether a class is certainly no model of Keras's; `derived` are the classes that have it as a base."""
        if definition.name in derived:
            return False
        for written in definition.bases:
            base = written.value if isinstance(written, ast.Subscript) else written  # Generic[T]
            name = self._names.of(base)
            own = self._classes.get(base.id) if isinstance(base, ast.Name) else None
            if own and not self._is_other_class(own, (*derived, definition.name)):
                return False
            known = name.partition(".")[0] in sys.stdlib_module_names or _is_other(name)
            if not own and not known and dotted_text(base) != "object":
                return False
        return True

    def _of_other_classes(self) -> Iterator[int]:
        """Yields the nodes that are `self` or `super()` in a class that is certainly no model of Keras's."""
        for definition in self._classes.values():
            if self._is_other_class(definition, ()):
                for node in ast.walk(definition):
                    is_super = isinstance(node, ast.Call) and dotted_text(node.func) == "super"
                    if is_super or dotted_text(node) == "self":
                        yield id(node)


def assigned(tree: ast.Module) -> dict[str, ast.expr]:
    """Returns what a module assigns to its variables, anywhere in it: by names and by `self.name`, the last of each."""
    values: dict[str, ast.expr] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            target, value = node.targets[0], node.value
        elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value:
            target, value = node.target, node.value
        elif isinstance(node, ast.withitem) and node.optional_vars:
            target, value = node.optional_vars, node.context_expr
        else:
            continue
        text = dotted_text(target)
        if text:
            values[text] = value
    return values


def dotted_text(node: ast.AST) -> str | None:
    """Returns `a.b.c` as it is written; None for other expressions."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else None


def _is_other(name: str) -> bool:
    return any(name == other or name.startswith(f"{other}.") for other in _OTHERS)
