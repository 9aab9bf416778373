"""Trains on the penguins with the backend of KERAS_BACKEND, exports on TensorFlow, and writes predictions beside it.

python backend_training.py CSV FOLDER
"""

import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np

from penstock.trainer.hardware import backends
from penstock.trainer.loop import fitting
from tests.trainer import penguin_training


def export(model: keras.Model, folder: str) -> None:
    assert keras.backend.backend() == "tensorflow"
    model.export(folder, verbose=False)


def main(csv: str, folder: str) -> None:
    train, evaluate = penguin_training.data(Path(csv))
    settings = fitting.Settings(batch_size=32, epochs=3)
    fitted: Any = fitting.fit(penguin_training.build, train, evaluate, settings, Path(folder) / "run")
    again: Any = fitting.fit(penguin_training.build, train, evaluate, settings, Path(folder) / "run")
    for ours, theirs in zip(again.model.get_weights(), fitted.model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    inputs, _ = evaluate.arrays()
    predictions = keras.ops.convert_to_numpy(fitted.model(inputs, training=False))
    np.savez(Path(folder) / "predictions.npz", predictions=predictions, loss=[e["loss"] for e in fitted.history])
    backends.on_tensorflow(f"{export.__module__}:export", fitted.model, {"folder": str(Path(folder) / "exported")})


if __name__ == "__main__":
    from tests.trainer import backend_training  # under the name by which the other process finds `export`

    backend_training.main(*sys.argv[1:])
