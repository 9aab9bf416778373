"""KERAS_BACKEND: the same model trains on JAX and PyTorch and is served by TensorFlow."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from penstock.core.errors import ConfigError
from penstock.trainer.hardware import backends
from tests.trainer import backend_training, penguin_training

ROOT = Path(__file__).parents[3]


def test_a_backend_that_is_not_there_is_one_sentence() -> None:
    backends.check({})
    backends.check({"KERAS_BACKEND": "tensorflow"})
    with pytest.raises(ConfigError, match="KERAS_BACKEND: expected one of tensorflow, jax, torch, received 'theano'"):
        backends.check({"KERAS_BACKEND": "theano"})
    for name in ("jax", "torch"):
        if importlib.util.find_spec(name) is None:
            with pytest.raises(ConfigError, match=f"KERAS_BACKEND={name}, but the package {name} is not installed"):
                backends.check({"KERAS_BACKEND": name})


def test_the_check_comes_before_keras() -> None:
    command = [sys.executable, "-c", "import penstock.trainer.run_fn"]
    done = subprocess.run(command, env={**os.environ, "KERAS_BACKEND": "theano"}, capture_output=True, text=True)
    assert done.stderr.splitlines()[-1].startswith("penstock.core.errors.ConfigError: KERAS_BACKEND: expected")


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_another_backend_trains_and_tensorflow_serves(penguins_csv: Path, tmp_path: Path, backend: str) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": paths, "TF_CPP_MIN_LOG_LEVEL": "2"}
    command = [sys.executable, backend_training.__file__, str(penguins_csv), str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr[-3000:]
    with np.load(tmp_path / "predictions.npz") as stored:
        trained, losses = stored["predictions"], stored["loss"]
    assert losses[-1] < losses[0]
    _, evaluate = penguin_training.data(penguins_csv)
    inputs, _ = evaluate.arrays()
    served = tf.saved_model.load(str(tmp_path / "exported"))
    np.testing.assert_allclose(served.serve(inputs), trained, atol=1e-5)
