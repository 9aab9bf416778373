"""Writes README.md of every component from its signature and docstring.

    python -m penstock.pipelines.compiling.component_docs

With `--check` nothing is written, and the exit code is 1 if a committed file is stale.
"""

import inspect
import re
import sys
import textwrap
from pathlib import Path
from typing import Any

import docstring_parser

from penstock.pipelines.compiling import catalog

_TYPES = {"String": "str", "Integer": "int", "Float": "float", "Boolean": "bool"}
_ARTIFACTS = ("system.", "google.")
_USE = """```python
from penstock.components.{folder}.component import {name}

# or without Penstock, from what `penstock components -o exported` writes:
{name} = kfp.components.load_component_from_file("exported/{name}/component.yaml")
```"""


def stale() -> dict[Path, str]:
    """Returns the READMEs whose committed text differs from the generated one, with the latter."""
    generated = {catalog.COMPONENTS / folder / "README.md": readme(folder) for folder in catalog.folders()}
    return {
        path: text
        for path, text in sorted(generated.items())
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    }


def readme(folder: str) -> str:
    """Returns the README of the components that a folder holds, as Markdown."""
    parts = [
        "<!-- Generated from component.py: python -m penstock.pipelines.compiling.component_docs -->\n",
        *(_component(task, folder) for task in catalog.components(folder)),
    ]
    return "\n".join(parts)


def _component(task: Any, folder: str) -> str:
    function, spec = task.python_func, task.component_spec
    documented = docstring_parser.parse(inspect.getdoc(function) or "", docstring_parser.DocstringStyle.GOOGLE)
    texts = {entry.arg_name: _one_line(entry.description) for entry in documented.params}
    texts |= _returned(function)
    inputs, outputs = spec.inputs or {}, spec.outputs or {}
    artifacts = [name for name, entry in inputs.items() if _is_artifact(entry.type)]
    parameters = [name for name in inputs if name not in artifacts]
    lines = [f"# {function.__name__}", "", documented.short_description or "", ""]
    if documented.long_description:
        lines += [documented.long_description, ""]
    lines += [*_USE.format(folder=folder, name=function.__name__).splitlines(), ""]
    lines += _table("Inputs", [(name, _kind(inputs[name]), texts.get(name, "")) for name in artifacts])
    lines += _table(
        "Parameters", [(name, _kind(inputs[name]) + _default(inputs[name]), texts.get(name, "")) for name in parameters]
    )
    lines += _table("Outputs", [(name, _type(entry.type), texts.get(name, "")) for name, entry in outputs.items()])
    return "\n".join(lines)


def _returned(function: Any) -> dict[str, str]:
    """Returns what the docstring says of the outputs: `name: text` under Returns, "Returns whether ..." of a gate."""
    text = (inspect.getdoc(function) or "") + "\n"
    gate = re.search(r"Returns (whether [^.]*\.)", text)
    outputs = {"Output": _one_line(gate[1]).capitalize()} if gate else {}
    section = re.search(r"\nReturns:\n((?:    .*\n?|\n)*)", text)
    body = textwrap.dedent(section[1]) if section else ""
    entries = re.findall(r"^(\w+): (.*(?:\n[ ]+.*)*)", body, re.MULTILINE)
    if body and not entries:
        outputs["Output"] = _one_line(body)
    return outputs | {name: _one_line(entry) for name, entry in entries}


def _table(title: str, rows: list[tuple[str, str, str]]) -> list[str]:
    if not rows:
        return []
    cells = [f"| `{name}` | {kind} | {text.replace('|', chr(92) + '|')} |" for name, kind, text in rows]
    return [f"## {title}", "", "| name | type | |", "| --- | --- | --- |", *cells, ""]


def _is_artifact(kind: str) -> bool:
    return kind.startswith(_ARTIFACTS)


def _kind(entry: Any) -> str:
    text = _type(entry.type)
    return f"{text}, optional" if _is_artifact(entry.type) and entry.optional else text


def _type(kind: str) -> str:
    return f"`{_TYPES.get(kind, kind).partition('@')[0].removeprefix('typing.')}`"


def _default(entry: Any) -> str:
    return f" = `{entry.default!r}`" if entry.optional else ""


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())


def main(arguments: list[str]) -> int:
    changed = stale()
    for path, text in changed.items():
        print(f"{path.relative_to(catalog.COMPONENTS.parent)} {'is stale' if '--check' in arguments else 'written'}")
        if "--check" not in arguments:
            path.write_text(text, encoding="utf-8")
    return 1 if changed and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
