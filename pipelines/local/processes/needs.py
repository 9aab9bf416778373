"""What has to be imported before a task starts: what its component declares, and what its body imports."""

import contextlib
import importlib
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from penstock.components import wrapper
from penstock.core import user_modules
from penstock.core.legacy import keras_version
from penstock.pipelines.local.processes import imports

_OUR_COMPONENT = re.compile(r"penstock\.components\.\w+")
_KERAS = "keras"  # the parameter of our components that says which Keras the module's is
# Packages that do not ask for `tf.keras` when they are imported, or want the same whatever it is.
_EITHER_KERAS = {
    *("absl", "apache_beam", "google", "keras", "keras_tuner", "numpy", "pandas", "penstock", "pyarrow", "sklearn"),
    *("tensorflow", "tensorflow_data_validation", "tensorflow_metadata", "tensorflow_model_analysis"),
    *("tensorflow_transform", "tf_keras", "tfx", "tfx_bsl"),
    *sys.stdlib_module_names,
}
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


def of_parameters(parameters: Mapping[str, object]) -> tuple[str, ...]:
    """Returns the modules that a task's parameters lead to.

    They are those of our functions that a value names, and what the user's module files import. The files themselves
    and the user's others are the task's to import. So are packages that may ask for `tf.keras` when they are imported,
    if the task has another Keras than the rest.
    """
    modules: list[str] = []
    chosen = (parameters.get(_KERAS) or keras_version.current()) != keras_version.current()
    for value in parameters.values():
        if not isinstance(value, str):
            continue
        function = _OUR_FUNCTION.fullmatch(value)
        if function:
            modules.append(function[1])
        elif value.endswith(".py") and Path(value).is_file():
            module = Path(value).resolve()
            names = imports.direct(module.read_text(encoding="utf-8", errors="replace"))
            folders = {module.parent, user_modules.import_root(module)}
            own = {path.stem for folder in folders for path in folder.iterdir()}
            modules += [
                name
                for name in names
                if name.partition(".")[0] not in own and (not chosen or name.partition(".")[0] in _EITHER_KERAS)
            ]
    return tuple(dict.fromkeys(modules))
