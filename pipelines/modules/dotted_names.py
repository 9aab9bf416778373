"""What the names in a module's source stand for: `L.Dense` is tensorflow.keras.layers.Dense where L was imported so."""

import ast
import re
from collections.abc import Iterator

# Other ways to the same: TensorFlow's versions of its API, and its short cuts to Keras.
_SAME = (
    (re.compile(r"^tensorflow\.(_api\.v2\.)?compat\.(v2\.|v1\.(?=(keras|estimator|contrib)\b))"), "tensorflow."),
    (re.compile(r"^tensorflow\.keras\.api\._v[12]\.keras\b"), "tensorflow.keras"),
    (re.compile(r"^tensorflow\.(?=(losses|metrics|optimizers|initializers)\b)"), "tensorflow.keras."),
)


class DottedNames:
    """The dotted names of what a module imports, wherever in it, and gives another name."""

    def __init__(self, tree: ast.Module):
        self._tree = tree
        self._known: dict[str, str] = {}
        for node in ast.walk(tree):
            self._known |= dict(_imported(node))
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
                name = self.of(node.value)
                if name:
                    self._known.setdefault(node.targets[0].id, name)

    def of(self, node: ast.expr) -> str:
        """Returns the dotted name of an expression such as `tf.keras.layers`; "" if it is none, or not imported."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if isinstance(node, ast.Call):
            name = self._imported_by_call(node)
        else:
            name = self._known.get(node.id, "") if isinstance(node, ast.Name) else ""
        return _plain(".".join([name, *reversed(parts)])) if name else ""

    def _imported_by_call(self, call: ast.Call) -> str:
        """Returns the module that importlib.import_module("name") or __import__("name") returns; "" for other calls."""
        by_builtin = isinstance(call.func, ast.Name) and call.func.id == "__import__"
        if not by_builtin and (isinstance(call.func, ast.Call) or self.of(call.func) != "importlib.import_module"):
            return ""
        arguments = [*call.args, *(keyword.value for keyword in call.keywords if keyword.arg == "name")]
        name = arguments[0].value if arguments and isinstance(arguments[0], ast.Constant) else None
        if not isinstance(name, str):
            return ""
        return name.partition(".")[0] if by_builtin else name  # `import a.b` binds a

    def used(self, top: ast.AST | None = None) -> Iterator[tuple[str, int]]:
        """Yields the dotted names below a node, by default the module's, with their lines: imported, or used."""
        for node in ast.walk(top or self._tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                yield from ((_plain(name), node.lineno) for _, name in _imported(node, whole=True))
            elif isinstance(node, ast.Attribute | ast.Name | ast.Call):
                name = self.of(node)
                if name:
                    yield name, node.lineno


def _imported(node: ast.AST, whole: bool = False) -> Iterator[tuple[str, str]]:
    """Yields the names that an import binds, and what they stand for; of `import a.b` a, or with `whole` a.b."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            first = alias.name.partition(".")[0]
            yield alias.asname or first, alias.name if alias.asname or whole else first
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        yield from ((alias.asname or alias.name, f"{node.module}.{alias.name}") for alias in node.names)


def _plain(name: str) -> str:
    for pattern, replacement in _SAME:
        name = pattern.sub(replacement, name)
    return name
