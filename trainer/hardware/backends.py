"""Training on JAX or PyTorch (KERAS_BACKEND), and the way back: a process on TensorFlow that exports the model.

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
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from penstock.core.errors import ConfigError, ModelError

VARIABLE = "KERAS_BACKEND"
_BACKENDS = ("tensorflow", "jax", "torch")  # their packages have the same names


def check(environment: Mapping[str, str] = os.environ) -> None:
    """Raises a ConfigError if KERAS_BACKEND names a backend that is not there; to be called before Keras's import."""
    backend = environment.get(VARIABLE, "") or "tensorflow"
    if backend not in _BACKENDS:
        raise ConfigError(f"{VARIABLE}: expected one of {', '.join(_BACKENDS)}, received {backend!r}")
    if backend != "tensorflow" and importlib.util.find_spec(backend) is None:
        raise ConfigError(
            f"{VARIABLE}={backend}, but the package {backend} is not installed: pip install {backend}, or leave "
            f"{VARIABLE} unset to train on TensorFlow"
        )


def on_tensorflow(function: str, model: Any, arguments: Mapping[str, Any]) -> None:
    """Calls `function` ("package.module:name") with the model and keyword arguments, on TensorFlow.

    On TensorFlow that is a call; on another backend the model is saved, and a process loads and passes it. The
    arguments must be JSON there. The function's module must register what is the model's own
    (`keras.saving.register_keras_serializable`). Raises a ModelError with the process's last line if it fails.
    """
    import keras

    if keras.backend.backend() == "tensorflow":
        _find(function)(model, **arguments)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        command = [sys.executable, "-P", "-m", __name__, str(path), function, json.dumps(dict(arguments))]
        # The device trains here; the other process needs none, and memory on it is taken.
        environment = {**os.environ, VARIABLE: "tensorflow", "CUDA_VISIBLE_DEVICES": "-1"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise ModelError(f"the model trained on {keras.backend.backend()} could not be exported: {last}", done.stderr)


def _find(function: str) -> Any:
    module, _, name = function.partition(":")
    return getattr(importlib.import_module(module), name)


def main(path: str, function: str, arguments: str) -> None:
    called = _find(function)  # before the model is loaded: its module registers the model's layers
    import keras

    called(keras.saving.load_model(path, compile=False), **json.loads(arguments))


if __name__ == "__main__":
    main(*sys.argv[1:])
