"""Keras's backend (KERAS_BACKEND), and a process on TensorFlow that exports what JAX or PyTorch trained.

    python -m penstock.trainer.hardware.backends MODEL.keras MODULE:FUNCTION ARGUMENTS      what `on_tensorflow` starts

Keras's own export from JAX writes a newer StableHLO than TensorFlow 2.21 loads; a `.keras` file loads on any backend.
"""

import importlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.core.errors import ConfigError, ModelError

if TYPE_CHECKING:
    import keras

VARIABLE = "KERAS_BACKEND"
_BACKENDS = ("tensorflow", "jax", "torch")  # their packages have the same names


def check(environment: Mapping[str, str] = os.environ) -> None:
    """Raises a ConfigError if KERAS_BACKEND names an unknown backend, or one that is not installed.

    To be called before Keras is imported.
    """
    backend = environment.get(VARIABLE, "") or "tensorflow"
    if backend not in _BACKENDS:
        raise ConfigError(f"{VARIABLE}: expected one of {', '.join(_BACKENDS)}, received {backend!r}")
    if backend != "tensorflow" and importlib.util.find_spec(backend) is None:
        raise ConfigError(
            f"{VARIABLE}={backend}, but the package {backend} is not installed: pip install {backend}, or leave "
            f"{VARIABLE} unset to train on TensorFlow"
        )


def on_tensorflow(function: str, model: "keras.Model", arguments: Mapping[str, Any]) -> None:
    """Calls `function` ("package.module:name") with the model and keyword arguments, on TensorFlow.

    On another backend, the model is saved, and a process on TensorFlow loads it and calls the function. The arguments
    must be JSON then, and the function's module must register the model's own classes
    (`keras.saving.register_keras_serializable`).

    Raises a ModelError with the last line of that process's output if it fails.
    """
    import keras

    if keras.backend.backend() == "tensorflow":
        _load(function)(model, **arguments)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        command = [sys.executable, "-P", "-m", __name__, str(path), function, json.dumps(dict(arguments))]
        # The other process needs no GPU, whose memory this one has taken.
        environment = {**os.environ, VARIABLE: "tensorflow", "CUDA_VISIBLE_DEVICES": "-1"}
        process = subprocess.run(command, env=environment, capture_output=True, text=True)
    if process.returncode:
        last = (process.stderr.strip().splitlines() or [f"exit code {process.returncode}"])[-1]
        raise ModelError(
            f"the model trained on {keras.backend.backend()} could not be exported: {last}", process.stderr
        )


def _load(function: str) -> Callable[..., object]:
    module, _, name = function.partition(":")
    return getattr(importlib.import_module(module), name)  # type: ignore[no-any-return]


def main(path: str, function: str, arguments: str) -> None:
    """Calls `function` with the model saved at `path` and with `arguments`, a JSON object."""
    export = _load(function)  # before the model is loaded: its module registers the model's layers
    import keras

    export(keras.saving.load_model(path, compile=False), **json.loads(arguments))


if __name__ == "__main__":
    main(*sys.argv[1:])
