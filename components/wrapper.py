"""The decorator of every component. It makes the only kind of component that runs alike on all targets.

The decorated function is sent to the container as source text. So its body must import what it needs, and may not use
names of its module.

Declare an optional artifact as `Input[Model] = None`, not as `Optional[Input[Model]] = None`. Both compile to the same.
But a Kubeflow server passes artifacts without their type. KFP's executor (2.15 to 2.17) then creates an instance of the
annotation, and an Optional cannot be instantiated.

`@component(imports=[...])` declares which modules a component needs imported. The decorator is not part of the source
text, so the compiled pipeline is the same with and without the declaration.
"""

import functools
import os
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import TYPE_CHECKING, Any, overload

from kfp import dsl

from penstock.core import failures
from penstock.core.tasks import supervision

if TYPE_CHECKING:
    from kfp.dsl.python_component import PythonComponent

# The target replaces this image by its own (pipelines/targets/target.py). The tag has the package's version, so that no
# cache returns the result of older code.
NAME = "penstock-python"
IMAGE = f"{NAME}:{metadata.version('penstock')}"
_imports: dict[str, tuple[str, ...]] = {}  # by the source text of the component

type _Function = Callable[..., Any]


@overload
def component(function: _Function, /) -> "PythonComponent": ...


@overload
def component(*, imports: Sequence[str]) -> "Callable[[_Function], PythonComponent]": ...


def component(function: _Function | None = None, *, imports: Sequence[str] | None = None) -> object:
    """Makes a KFP component of a function with annotated arguments: `@component`, or `@component(imports=[...])`.

    In a running task it returns the function itself, because there KFP has no compiler; importing an executor imports
    its package, which imports the component. From then on, an uncaught error ends the task with a sentence, and so does
    an end without outputs.

    Args:
        function: The function.
        imports: The modules that the task needs and that import TensorFlow, which takes seconds. A local run imports
            them before the task starts; with an empty list the task starts at once. Without the argument the task
            waits for all modules that its body imports.
    """
    if function is None:
        return functools.partial(_component, imports=imports)
    return _component(function, imports)


def _component(function: _Function, imports: Sequence[str] | None) -> object:
    if os.environ.get("_KFP_RUNTIME") == "true":
        failures.tell_uncaught()
        supervision.begin()
        return function
    python_component = dsl.component(function, base_image=IMAGE, install_kfp_package=False)
    if imports is not None:
        _imports[python_component.component_spec.implementation.container.command[-1]] = tuple(imports)
    return python_component


def declared(source: str) -> tuple[str, ...] | None:
    """Returns the imports of the component with this source text; None if this process has no declaration for it."""
    return _imports.get(source)
