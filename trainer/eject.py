"""Writes the default trainer as a module file that a person can change.

The file holds the plan as Python code, and the functions of preprocessing.py and default.py as they are here. So it
does, to the bit, what the trainer without code does. It imports the network, the training loop and the export.
"""

import ast
import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from penstock.trainer.plan.plan import Plan

_FOLDER = Path(__file__).parent
_WIDTH = 120
_INSTALLED = ("keras", "numpy", "tensorflow", "tensorflow_metadata", "tensorflow_transform")
_REPLACED = ("preprocessing_fn", "run_fn")
_FUNCTIONS = """
def preprocessing_fn(inputs: Tensors) -> dict[str, tf.Tensor]:
    return transform(PLAN, inputs)


def run_fn(fn_args: FnArgs) -> None:
    train(PLAN, TRAINING, fn_args)
"""


def source(plan: Plan, training: Mapping[str, Any], origin: str) -> str:
    """Returns the text of a module file with preprocessing_fn and run_fn.

    training: hyperparameters and `seed`, as `default.train` takes them.
    origin: ends the sentence "it was made …" of the file's docstring, such as "from data.csv".
    """
    parts = [_Part.of("preprocessing"), _Part.of("default")]
    constants = [text for part in parts for text in part.constants]
    functions = [_FUNCTIONS.strip("\n"), *(text for part in reversed(parts) for text in part.functions)]
    body = [
        f"PLAN = {_python(dataclasses.replace(plan, notes={}), 0)}",
        "",
        "# Hyperparameters (penstock.trainer.network.hyperparameters), `seed`; the others suit the number of rows.",
        f"TRAINING: dict[str, Any] = {_python(dict(training), 0)}",
        "",
        *constants,
        "",
        "",
        "\n\n\n".join(functions),
    ]
    docstring = [
        '"""The model that Penstock makes without code, as code: it does the same, to the bit, until you change it.',
        "",
        f"PLAN says what each column is; it was made {origin}.",
        '"""',
    ]
    return "\n".join([*docstring, "", *_imports(parts, "\n".join(body)), "", *body]) + "\n"


@dataclasses.dataclass(frozen=True)
class _Part:
    """The statements of one of the trainer's modules."""

    imports: list[ast.Import | ast.ImportFrom]
    constants: list[str]
    functions: list[str]

    @classmethod
    def of(cls, name: str) -> "_Part":
        text = (_FOLDER / f"{name}.py").read_text(encoding="utf-8")
        lines = text.splitlines()
        imports: list[ast.Import | ast.ImportFrom] = []
        constants, functions = list[str](), list[str]()
        for node in ast.parse(text).body[1:]:  # the first one is the docstring
            if isinstance(node, ast.Import | ast.ImportFrom):
                imports.append(node)
            elif isinstance(node, ast.FunctionDef):
                if node.name not in _REPLACED:
                    start = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                    functions.append("\n".join(lines[start - 1 : node.end_lineno]))
            else:
                constants.append("\n".join(lines[node.lineno - 1 : node.end_lineno]))
        return cls(imports, constants, functions)


def _imports(parts: list[_Part], body: str) -> Iterator[str]:
    """Yields the imports of what `body` uses, in isort's order."""
    used = {node.id for node in ast.walk(ast.parse(body)) if isinstance(node, ast.Name)}
    names: dict[str, set[str]] = {"penstock.trainer.plan.plan": {"Plan"}}
    lines: list[tuple[bool, str, str]] = []
    for node in (node for part in parts for node in part.imports):
        for alias in node.names:
            bound = alias.asname or alias.name
            if bound in used and isinstance(node, ast.ImportFrom) and not alias.asname:
                names.setdefault(node.module or "", set()).add(alias.name)
            elif bound in used and isinstance(node, ast.ImportFrom):
                lines.append((True, node.module or "", f"from {node.module} import {alias.name} as {alias.asname}"))
            elif bound in used:
                line = f"import {alias.name}" + (f" as {alias.asname}" if alias.asname else "")
                lines.append((False, alias.name, line))
    for module, imported in names.items():
        listed = ", ".join(sorted(imported, key=lambda name: (name.islower(), name)))
        lines.append((True, module, f"from {module} import {listed}"))
    groups: list[list[str]] = [[], [], []]
    for _, module, line in sorted(set(lines)):
        group = 2 if module.startswith("penstock") else 1 if module.split(".")[0] in _INSTALLED else 0
        groups[group].append(line)
    for number, listed_lines in enumerate(groups):
        yield from [""] * bool(number)
        yield from listed_lines


def _python(value: object, indent: int) -> str:
    """Returns a value as Python code, on one line where it fits."""
    flat = _flat(value)
    if len(flat) + indent + 8 <= _WIDTH or not (dataclasses.is_dataclass(value) or isinstance(value, tuple | dict)):
        return flat
    inner = " " * (indent + 4)
    if dataclasses.is_dataclass(value):
        opening, closing = f"{type(value).__name__}(", ")"
        items = [f"{key}={_python(item, indent + 4)}" for key, item in _fields(value)]
    elif isinstance(value, dict):
        opening, closing = "{", "}"
        items = [f"{_flat(key)}: {_python(item, indent + 4)}" for key, item in value.items()]
    else:
        opening, closing = "(", ")"
        items = [_python(item, indent + 4) for item in value]
    return "\n".join([opening, *(f"{inner}{item}," for item in items), " " * indent + closing])


def _flat(value: object) -> str:
    if dataclasses.is_dataclass(value):
        return f"{type(value).__name__}({', '.join(f'{key}={_flat(item)}' for key, item in _fields(value))})"
    if isinstance(value, tuple):
        return f"({', '.join(map(_flat, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_flat(key)}: {_flat(item)}" for key, item in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _fields(value: Any) -> Iterator[tuple[str, object]]:
    for field in dataclasses.fields(value):
        yield field.name, getattr(value, field.name)
