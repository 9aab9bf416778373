"""Trains on the penguins in a process of its own, which a test may kill.

    python penguin_training.py CSV MODEL_RUN_DIR WEIGHTS [DROPOUT [DEVICES [ROWS [TIMES]]]]

Writes the final weights to WEIGHTS (.npz). With DEVICES, so many virtual processors are replicas; where TF_CONFIG is
set, this process is one of its workers. With ROWS, a batch of more than that does not fit into this process's memory.
The rows are repeated TIMES times: the twenty of the default leave time to kill it.
An error of Penstock's is told as `penstock` tells it.
"""

import functools
import sys
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from penstock.core.errors import PenstockError
from penstock.trainer.data import input_data
from penstock.trainer.hardware.distribution import Distribution, start
from penstock.trainer.loop import fitting

NUMBERS = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]


def data(csv: Path, times: int = 1) -> tuple[input_data.InMemory, input_data.InMemory]:
    """The penguins with all measurements, two thirds to train on, repeated; is it a Gentoo?"""
    table = pd.read_csv(csv).dropna(subset=NUMBERS).sample(frac=1, random_state=0)
    numbers = (table[NUMBERS] - table[NUMBERS].mean()) / table[NUMBERS].std()
    label = (table["species"] == "Gentoo").to_numpy("float32")[:, None]
    cut = len(table) * 2 // 3

    def part(rows: slice, times: int) -> input_data.InMemory:
        columns = {name: np.tile(numbers[name].to_numpy("float32")[rows, None], (times, 1)) for name in NUMBERS}
        return input_data.InMemory(columns, np.tile(label[rows], (times, 1)))

    return part(slice(0, cut), times), part(slice(cut, None), 1)


class Hungry(keras.layers.Layer):
    """Passes its input on, and asks for 2^46 bytes of memory if a batch has more rows than `rows`."""

    def __init__(self, rows: int):
        super().__init__()
        self.rows = rows

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        size = tf.where(tf.shape(inputs)[0] > self.rows, tf.constant(2**44, tf.int64), tf.constant(1, tf.int64))
        return inputs + 0.0 * tf.random.uniform([size])[0]


def build(dropout: float = 0.2, rows: int = 0) -> keras.Model:
    inputs = {name: keras.Input((1,), name=name) for name in NUMBERS}
    hidden = keras.layers.Concatenate()(list(inputs.values()))
    if rows:
        hidden = Hungry(rows)(hidden)
    hidden = keras.layers.Dropout(dropout)(keras.layers.Dense(8, activation="relu")(hidden))
    model = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(hidden))
    model.compile(optimizer=keras.optimizers.AdamW(0.01), loss="binary_crossentropy", metrics=["accuracy"])
    return model


def main(
    csv: str,
    model_run_dir: str,
    weights: str,
    dropout: str = "0.2",
    devices: str = "0",
    rows: str = "0",
    times: str = "20",
) -> None:
    distribution = distributed(int(devices))
    train, evaluate = data(Path(csv), int(times))
    settings = fitting.Settings(batch_size=8, epochs=2, checkpoint_seconds=0)
    make = functools.partial(build, float(dropout), int(rows))
    fitted = fitting.fit(make, train, evaluate, settings, Path(model_run_dir), distribution=distribution)
    np.savez(weights, *fitted.model.get_weights())


def distributed(devices: int) -> Distribution:
    if not devices:
        return start()
    (processor,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * devices)
    return Distribution(tf.distribute.MirroredStrategy([f"CPU:{index}" for index in range(devices)]))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except PenstockError as error:
        print(f"{type(error).__name__}: {error}")
        sys.exit(error.exit_code)
