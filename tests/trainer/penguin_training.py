"""Trains on the penguins in a process of its own, which a test may kill.

python penguin_training.py CSV MODEL_RUN_DIR WEIGHTS      writes the final weights to WEIGHTS (.npz)
"""

import sys
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from penstock.trainer import fitting, input_data

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


def build() -> keras.Model:
    inputs = {name: keras.Input((1,), name=name) for name in NUMBERS}
    hidden = keras.layers.Concatenate()(list(inputs.values()))
    hidden = keras.layers.Dropout(0.2)(keras.layers.Dense(8, activation="relu")(hidden))
    model = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(hidden))
    model.compile(optimizer=keras.optimizers.AdamW(0.01), loss="binary_crossentropy", metrics=["accuracy"])
    return model


def main(csv: str, model_run_dir: str, weights: str) -> None:
    train, evaluate = data(Path(csv), times=20)
    settings = fitting.Settings(batch_size=8, epochs=2, checkpoint_seconds=0)
    fitted = fitting.fit(build, train, evaluate, settings, Path(model_run_dir))
    np.savez(weights, *fitted.model.get_weights())


if __name__ == "__main__":
    main(*sys.argv[1:])
