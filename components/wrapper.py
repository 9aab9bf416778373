"""The decorator of every component: the only kind of component that runs alike on all targets.

The body of a decorated function travels as source text into the container, so it imports what it needs itself and
may not use names of its module.

An artifact that may be left out is declared as `Input[Model] = None`, not as `Optional[Input[Model]] = None`. Both
compile to the same. But a Kubeflow server gives artifacts without their type. KFP's executor (2.15 to 2.17) then makes
an instance of the annotation, and an Optional cannot be instantiated.

What a component needs imported is declared beside it, `@component(imports=[...])`. Decorators do not travel, so the
compiled pipeline is the same with and without it.
"""

import functools
import os
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Any, overload

from kfp import dsl

from penstock.core import failures

# The target puts its own image in place of this one (pipelines/targets/target.py). The tag carries the package's
# version, so that no cache serves the result of older code.
NAME = "penstock-python"
IMAGE = f"{NAME}:{metadata.version('penstock')}"
_declared: dict[str, tuple[str, ...]] = {}  # by a component's source text, as it travels


@overload
def component(function: Callable[..., Any], /) -> Any: ...


@overload
def component(*, imports: Sequence[str]) -> Callable[[Callable[..., Any]], Any]: ...


def component(function: Callable[..., Any] | None = None, *, imports: Sequence[str] | None = None) -> Any:
    """Makes a KFP component of a function with annotated arguments: `@component`, or `@component(imports=[...])`.

    Within a running task the function stays as it is: there KFP leaves out its compiler, and importing an executor
    imports its package, which imports the component. From then on an error that ends the task is told in a sentence.

    Args:
        function: The function.
        imports: The modules that the task needs and that load TensorFlow, which takes seconds: a local run imports
            them before the task starts. An empty list says that it needs none, so that the task waits for none. By
            default that is not known: the task waits for all that its body imports.
    """
    if function is None:
        return functools.partial(_component, imports=imports)
    return _component(function, imports)


def _component(function: Callable[..., Any], imports: Sequence[str] | None) -> Any:
    if os.environ.get("_KFP_RUNTIME") == "true":
        failures.tell_uncaught()
        return function
    made = dsl.component(function, base_image=IMAGE, install_kfp_package=False)
    if imports is not None:
        _declared[made.component_spec.implementation.container.command[-1]] = tuple(imports)
    return made


def declared(source: str) -> tuple[str, ...] | None:
    """Returns the imports of the component whose source text this is; None if none are declared in this process."""
    return _declared.get(source)
