"""Which Keras `tf.keras` is: 2, of the package tf_keras, or 3, of the package keras.

TensorFlow reads TF_USE_LEGACY_KERAS when it is imported and when `tf.keras` is first used, and importing TensorFlow
Transform uses it. A task that is forked from a process with all imports done would come too late. So `use` makes
TensorFlow look again: its names that lead to Keras are lazy loaders, which are put back as they were in the beginning.
Libraries that want Keras 2 whatever the variable says (TFT, TFMA) import tf_keras then, so both are in every process.
"""

import importlib.abc
import importlib.util
import logging
import os
import re
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from penstock.core.errors import ConfigError

VARIABLE = "TF_USE_LEGACY_KERAS"
VERSIONS = (2, 3)
_YES = ("true", "True", "1")  # as TensorFlow reads it
_API = re.compile(r"tensorflow(?:\._api\.v2(?:\.v2)?)?(?:\.compat\.v[12])*")
_IMPORTED = re.compile(rf"{_API.pattern}\.keras(?:\..+)?")
_ALIASES = ("losses", "metrics", "optimizers", "initializers")  # tf.losses is tf.keras.losses
logger = logging.getLogger(__name__)
_LEGACY = "__internal__.legacy"  # where Keras 2 has tf.compat.v1.layers and tf.compat.v1.nn.rnn_cell


def default() -> None:
    """Makes `tf.keras` Keras 3 in this process and those it starts, unless the environment says otherwise.

    Else the order of imports would decide: TensorFlow Transform makes it Keras 2 if it is imported before the first
    use. With Keras 3 it takes tf_keras for its own layer and warns, of what is no user's concern: that is not logged.
    """
    os.environ.setdefault(VARIABLE, "0")
    if not any(isinstance(finder, _Quiet) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Quiet())


def leave_out() -> None:
    """Keeps TensorFlow from importing Keras in this process, which it does where there is one: before TensorFlow is.

    It takes almost as long as the rest of TensorFlow. A model server needs none of it: a SavedModel holds graphs.
    """
    for name in ("keras", "tf_keras"):
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # so Python marks what is not to be imported


def use(version: int) -> None:
    """Makes `tf.keras` that version, in this process and those it starts; 0 stands for what the environment says.

    To be called before the user's module is imported: a name that is bound already, as by `from tensorflow import
    keras`, stays what it is. Raises a ConfigError for any other number, and for 2 without the package tf_keras.
    """
    if version not in (0, *VERSIONS):
        raise ConfigError(f"keras: expected 2 or 3, received {version!r}")
    if version:
        os.environ[VARIABLE] = "1" if version == 2 else "0"
    if current() == 2 and _legacy() is None:
        raise ConfigError("keras: 2 is the package tf_keras, which is not installed here: pip install tf_keras")
    if version:
        logger.info("tf.keras is Keras %d", version)
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is not None and _resolved(tensorflow) != current():
        _look_again()


def current() -> int:
    """Returns the version that the environment asks for."""
    return 2 if os.environ.get(VARIABLE) in _YES else 3


def _legacy() -> Path | None:
    """Returns the folder of the package tf_keras; None if it is not installed."""
    spec = importlib.util.find_spec("tf_keras")
    return Path(spec.origin).parent if spec and spec.origin else None


def _resolved(tensorflow: ModuleType) -> int:
    """Returns the version that `tf.keras` is; 0 if it has not been used yet."""
    file, legacy = vars(vars(tensorflow)["keras"]).get("__file__"), _legacy()
    return 0 if file is None else 2 if legacy and Path(file).is_relative_to(legacy) else 3


def _look_again() -> None:
    """Puts TensorFlow's names of Keras back to lazy loaders, which read the environment at their first use."""
    from tensorflow.python.util.lazy_loader import KerasLazyLoader

    for name in list(filter(_IMPORTED.fullmatch, sys.modules)):
        del sys.modules[name]
    for name, module in list(sys.modules.items()):
        if not _API.fullmatch(name) or "keras" not in vars(module):
            continue
        mode = name[-2:] if name[-3:] in (".v1", ".v2") and ".compat." in name else None
        module.keras = KerasLazyLoader(vars(module), mode=mode)  # type: ignore[attr-defined]
        if mode == "v1":
            module.layers = KerasLazyLoader(  # type: ignore[attr-defined]
                vars(module), submodule=f"{_LEGACY}.layers", name="layers", mode=mode
            )
            module.nn.rnn_cell = KerasLazyLoader(
                vars(module), submodule=f"{_LEGACY}.rnn_cell", name="rnn_cell", mode=mode
            )
        else:
            for alias in _ALIASES:
                setattr(module, alias, KerasLazyLoader(vars(module), submodule=alias, name=alias, mode=mode))
        _set_path(module, "_v1" if mode == "v1" else "_v2")


def _set_path(module: ModuleType, api: str) -> None:
    """Makes `import tensorflow.keras` find the same Keras as `tf.keras`."""
    legacy = _legacy()
    if legacy is None:
        return
    others = [path for path in module.__path__ if path is None or not Path(path).is_relative_to(legacy)]
    module.__path__ = [str(legacy / "api" / api), *others] if current() == 2 else others


class _Quiet(importlib.abc.MetaPathFinder):
    """Finds no module. It sees that TensorFlow Transform is about to choose its Keras, and keeps it from warning."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == "tensorflow_transform.keras_lib":
            from absl import logging as absl_logging  # type: ignore[import-untyped]

            absl_logging.get_absl_logger().addFilter(_concerns_the_user)
        return None


def _concerns_the_user(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith(f"{VARIABLE} is set to")
