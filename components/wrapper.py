"""The decorator of every component: the only kind of component that runs alike on all targets.

The body of a decorated function travels as source text into the container, so it imports what it needs itself and
may not use names of its module.

An artifact that may be left out is declared as `Input[Model] = None`, not as `Optional[Input[Model]] = None`. Both
compile to the same. But a Kubeflow server gives artifacts without their type. KFP's executor (2.15 to 2.17) then makes
an instance of the annotation, and an Optional cannot be instantiated.
"""

import os
from collections.abc import Callable
from importlib import metadata
from typing import Any

from kfp import dsl

from penstock.core import failures

# The target puts its own image in place of this one (pipelines/targets/target.py). The tag carries the package's
# version, so that no cache serves the result of older code.
NAME = "penstock-python"
IMAGE = f"{NAME}:{metadata.version('penstock')}"


def component(function: Callable[..., Any]) -> Any:
    """Makes a KFP component of a function with annotated arguments.

    Within a running task the function stays as it is: there KFP leaves out its compiler, and importing an executor
    imports its package, which imports the component. From then on an error that ends the task is told in a sentence.
    """
    if os.environ.get("_KFP_RUNTIME") == "true":
        failures.tell_uncaught()
        return function
    return dsl.component(function, base_image=IMAGE, install_kfp_package=False)
