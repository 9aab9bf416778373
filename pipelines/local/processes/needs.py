"""What has to be imported before a task starts: what its component declares, and what its body imports."""

import contextlib
import importlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from penstock.components import wrapper
from penstock.pipelines.local.processes import imports

_OUR_COMPONENT = re.compile(r"penstock\.components\.\w+")
_OUR_FUNCTION = re.compile(r"(penstock(?:\.\w+)+)\.\w+")


@dataclass(frozen=True)
class Needs:
    """What a component's task needs.

    modules: to import before it starts.
    slow: whether they load TensorFlow, or may: of a component that declares nothing, such as a person's own, that is
        not known.
    """

    modules: tuple[str, ...]
    slow: bool


def of_component(source: str) -> Needs:
    """Returns the needs of the component with this source text."""
    body = imports.direct(source)
    for package in filter(_OUR_COMPONENT.fullmatch, body):
        with contextlib.suppress(ImportError):  # the task that imports it will say what is wrong with it
            importlib.import_module(package)  # declares what its component needs
    declared = wrapper.declared(source)
    return Needs((*body, *(declared or ())), slow=declared is None or bool(declared))


def of_parameters(values: Iterable[object]) -> tuple[str, ...]:
    """Returns the modules that a task's parameters lead to.

    They are those of our functions that a value names, and what the user's module files import. The files themselves
    and their siblings are the task's to import.
    """
    modules: list[str] = []
    for value in values:
        if not isinstance(value, str):
            continue
        function = _OUR_FUNCTION.fullmatch(value)
        if function:
            modules.append(function[1])
        elif value.endswith(".py") and Path(value).is_file():
            names = imports.direct(Path(value).read_text(encoding="utf-8", errors="replace"))
            siblings = {path.stem for path in Path(value).parent.iterdir()}
            modules += [name for name in names if name.partition(".")[0] not in siblings]
    return tuple(dict.fromkeys(modules))
