"""The frame around run_fn: seeds before it, a look for the model after it."""

import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from penstock.core.errors import ModuleError
from penstock.trainer import run_fn as training
from penstock.trainer.fn_args import FnArgs


def test_seeds_cover_every_generator() -> None:
    def draw() -> list[float]:
        training.set_seeds()
        layer = keras.layers.Dense(2)
        layer.build((None, 3))
        order = tf.data.Dataset.range(20).shuffle(20).as_numpy_iterator()
        return [random.random(), np.random.rand(), float(tf.random.normal([])), *np.ravel(layer.kernel), *order]

    first = draw()
    assert draw() == first
    assert len(set(first)) > 6


def test_seeds_and_precision_are_those_of_keras_2_as_well(python: str) -> None:
    script = """
import numpy as np
from penstock.core.legacy import keras_version
from penstock.trainer import run_fn
from penstock.trainer.hardware import devices
import tensorflow as tf
keras_version.use(2)
def draw():
    run_fn.set_seeds()
    layers = [tf.keras.layers.Dense(2) for _ in range(2)]
    return [np.ravel(layer(np.ones((1, 3), "float32")).numpy()).tolist() for layer in layers]
first = draw()
assert first == draw() and first[0] != first[1], first
devices.set_precision("bfloat16", devices.Device("cpu", "", 1, "mixed_bfloat16"))
assert tf.keras.layers.Dense(1).compute_dtype == "bfloat16"
print("done")
"""
    done = subprocess.run([python, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout == "done\n", done.stderr


def test_a_module_may_set_its_own_seed() -> None:
    training.set_seeds()
    tf.random.set_seed(77)
    own = float(tf.random.normal([]))
    training.set_seeds()
    assert float(tf.random.normal([])) != own


def write_nothing(fn_args: FnArgs) -> None:
    pass


def write_elsewhere(fn_args: FnArgs) -> None:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    Path(str(fn_args.serving_model_dir)).mkdir(parents=True)
    model.save(f"{fn_args.serving_model_dir}/model.keras")


def write_beside(fn_args: FnArgs) -> None:
    tf.saved_model.save(tf.Module(), str(Path(str(fn_args.serving_model_dir)).with_name("serving")))


def write_a_part(fn_args: FnArgs) -> None:
    variables = Path(str(fn_args.serving_model_dir)) / "variables"
    variables.mkdir(parents=True)
    (variables / "variables.index").touch()


def write_version(fn_args: FnArgs) -> None:
    tf.saved_model.save(tf.Module(), f"{fn_args.serving_model_dir}/1")


@pytest.mark.parametrize(
    ("run_fn", "found"),
    [
        (write_nothing, "no such folder"),
        (write_beside, "no such folder, but serving beside it"),
        (write_version, "1"),
        (write_a_part, "variables"),
    ],
)
def test_a_missing_model_is_reported_with_what_is_there(
    tmp_path: Path, run_fn: Callable[[FnArgs], None], found: str
) -> None:
    fn_args = FnArgs(serving_model_dir=str(tmp_path / "Format-Serving"))
    with pytest.raises(ModuleError, match=f"run_fn did not write a model to fn_args.serving_model_dir.*found {found};"):
        training.train(run_fn, fn_args)


def test_a_model_of_another_kind_is_taken_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    serving = tmp_path / "Format-Serving"
    assert training.train(write_elsewhere, FnArgs(serving_model_dir=str(serving))) == serving
    assert "no SavedModel (model.keras): its signatures are not checked" in caplog.text


def test_the_folder_of_the_model_is_returned(tmp_path: Path) -> None:
    serving = tmp_path / "Format-Serving"
    fn_args = FnArgs(serving_model_dir=str(serving))
    assert training.train(lambda args: tf.saved_model.save(tf.Module(), args.serving_model_dir), fn_args) == serving
    assert (serving / "saved_model.pb").is_file()
