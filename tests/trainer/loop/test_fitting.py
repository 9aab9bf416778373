"""The training loop on the penguins: what it learns, goes on from after a kill -9, and answers when something fails."""

import contextlib
import json
import logging
import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from penstock.core.errors import DataError, ModelError, UserError
from penstock.core.files import temporary
from penstock.trainer.data import input_data
from penstock.trainer.hardware.devices import Device
from penstock.trainer.loop import checkpoints, fitting, history
from penstock.trainer.loop.fitting import Settings
from penstock.trainer.network import model as default
from tests.trainer import penguin_training
from tests.trainer.penguin_training import build

pytestmark = pytest.mark.usefixtures("forks")

_SETTINGS = Settings(batch_size=32, epochs=5)


@pytest.fixture(scope="module")
def data(penguins_csv: Path) -> tuple[input_data.InMemory, input_data.InMemory]:
    return penguin_training.data(penguins_csv)


def weights(fitted: fitting.Fitted) -> list[list[Any]]:
    return [array.tolist() for array in fitted.model.get_weights()]


@pytest.mark.slow
def test_it_learns_and_writes_what_it_did(data: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    fitted = fitting.fit(build, *data, replace(_SETTINGS, epochs=15), tmp_path)
    assert fitted.finished == "epochs"
    assert len(fitted.history) == 15
    assert fitted.history[-1]["val_accuracy"] > 0.97
    assert fitted.history[-1]["loss"] < fitted.history[0]["loss"] / 3
    assert json.loads((tmp_path / "history.json").read_text())["epochs"] == fitted.history
    lines = [record.message for record in caplog.records if record.name == "penstock.trainer.loop.history"]
    assert len(lines) == 15
    assert lines[0].startswith("epoch 1 of at most 15: loss 0.")
    assert "examples/s, cpu " in lines[0]
    for folder, name in (("train", "epoch_loss"), ("train", "epoch_examples_per_second"), ("validation", "epoch_loss")):
        events = EventAccumulator(str(tmp_path / folder), {"tensors": 0}).Reload()
        assert [event.step for event in events.Tensors(name)] == list(range(15))
    measured = fitted.model.evaluate(data[1].once(100), verbose=0, return_dict=True)
    assert measured["loss"] == pytest.approx(min(record["val_loss"] for record in fitted.history), abs=1e-6)


def test_a_gpus_share_is_what_nvidia_smi_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program of that name that writes as it does, once a second and for each of two devices."""
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 80\necho 40\necho '[N/A]'\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with contextlib.closing(history.Meter(on_gpu=True)) as meter:
        deadline = time.monotonic() + 20
        while meter.shares().get("gpu") != 0.6 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert meter.shares()["gpu"] == 0.6
        assert 0 <= meter.shares()["cpu"] <= 1
        meter.start()
        assert "gpu" not in meter.shares()


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_learns_and_goes_on_after_a_kill(data: Any, tmp_path: Path, policy: str) -> None:
    """float16 with its loss scaling, whose state is in the checkpoint: an epoch, then two more as if never stopped."""
    device = Device("cpu", "this machine", 1, policy)
    whole = fitting.fit(build, *data, replace(_SETTINGS, epochs=3), tmp_path / "whole", device=device)
    assert whole.model.layers[-1].compute_dtype == policy.removeprefix("mixed_")
    assert whole.history[-1]["loss"] < whole.history[0]["loss"]
    assert keras.mixed_precision.dtype_policy().name == "float32"

    class Killed(Exception):
        pass

    def kill(self: checkpoints.Checkpoints, snapshot: checkpoints.Snapshot) -> None:
        save(self, snapshot)
        if snapshot.progress.epoch == 1:
            raise Killed

    save = checkpoints.Checkpoints.save
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(checkpoints.Checkpoints, "save", kill)
        with pytest.raises(Killed):
            fitting.fit(build, *data, replace(_SETTINGS, epochs=3), tmp_path / "killed", device=device)
    resumed = fitting.fit(build, *data, replace(_SETTINGS, epochs=3), tmp_path / "killed", device=device)
    assert weights(resumed) == weights(whole)
    assert json.loads((tmp_path / "killed" / "history.json").read_text())["precision"] == policy


@pytest.mark.slow
def test_the_loss_is_what_keras_own_fit_gets(data: Any, tmp_path: Path) -> None:
    """The same batches through Keras's fit: the same weights."""
    train, evaluate = data
    fitted = fitting.fit(build, train, evaluate, replace(_SETTINGS, epochs=3), tmp_path)
    keras.utils.set_random_seed(1)
    model = build()
    losses = [model.fit(train.batches(32, epoch, 1), shuffle=False, verbose=0).history["loss"][0] for epoch in range(3)]
    assert [record["loss"] for record in fitted.history] == pytest.approx(losses, rel=1e-5)
    for ours, theirs in zip(fitted.model.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_early_stopping_restores_the_best_epoch(data: Any, tmp_path: Path) -> None:
    """With a learning rate that is far too high an early epoch is the best."""

    def wild() -> keras.Model:
        model = build()
        model.optimizer.learning_rate = 3.0
        return model

    fitted = fitting.fit(wild, *data, replace(_SETTINGS, epochs=60, patience=3), tmp_path)
    assert fitted.finished == "patience"
    assert len(fitted.history) == fitted.best_epoch + 3 < 60
    losses = [record["val_loss"] for record in fitted.history]
    assert losses.index(min(losses)) == fitted.best_epoch - 1
    measured = fitted.model.evaluate(data[1].once(100), verbose=0, return_dict=True)
    assert measured["loss"] == pytest.approx(min(losses), rel=1e-5)


@pytest.mark.slow
def test_a_metric_that_grows_may_decide(data: Any, tmp_path: Path) -> None:
    settings = replace(_SETTINGS, epochs=12, patience=0, monitor="val_accuracy", direction="max")
    fitted = fitting.fit(build, *data, settings, tmp_path)
    accuracies = [record["val_accuracy"] for record in fitted.history]
    assert fitted.best_epoch == accuracies.index(max(accuracies)) + 1
    with pytest.raises(ModelError, match=r"monitor: the model does not measure 'val_auc': expected one of .*val_accur"):
        fitting.fit(build, *data, replace(settings, monitor="val_auc"), tmp_path)


@pytest.mark.slow
def test_a_seed_repeats_a_training(data: Any, tmp_path: Path) -> None:
    first = weights(fitting.fit(build, *data, _SETTINGS, tmp_path / "1"))
    assert weights(fitting.fit(build, *data, _SETTINGS, tmp_path / "2")) == first
    assert weights(fitting.fit(build, *data, replace(_SETTINGS, seed=2), tmp_path / "3")) != first


def run_killed(csv: Path, folder: Path, epoch: int) -> checkpoints.Progress:
    """Starts the training, kills it in the middle of an epoch, and returns where its checkpoint stands."""
    command = [sys.executable, penguin_training.__file__, str(csv), str(folder), str(folder / "weights.npz")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    state = folder / "checkpoint" / "state.npz"
    try:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and process.poll() is None:
            progress = read_progress(state) if state.exists() else None
            if progress and progress["epoch"] == epoch and progress["row"] > 1000:
                break
            time.sleep(0.01)
        assert process.poll() is None, "the training was over before it could be killed"
    finally:
        process.kill()
        process.wait()
    return checkpoints.Progress(**read_progress(state))


def read_progress(state: Path) -> dict[str, Any]:
    with np.load(state) as stored:
        progress: dict[str, Any] = json.loads(stored["progress"].tobytes())["progress"]
    return progress


@pytest.mark.slow
def test_a_killed_training_goes_on_and_ends_the_same(
    penguins_csv: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    stands = run_killed(penguins_csv, tmp_path / "killed", epoch=1)
    assert stands.row > 1000
    assert not (tmp_path / "killed" / "weights.npz").exists()
    penguin_training.main(str(penguins_csv), str(tmp_path / "killed"), str(tmp_path / "resumed.npz"))
    assert f"resuming from the checkpoint: epoch 2, {stands.row:,} of 4,560 rows" in caplog.text
    penguin_training.main(str(penguins_csv), str(tmp_path / "whole"), str(tmp_path / "whole.npz"))
    with np.load(tmp_path / "resumed.npz") as resumed, np.load(tmp_path / "whole.npz") as whole:
        assert resumed.files == whole.files
        for name in whole.files:
            np.testing.assert_allclose(resumed[name], whole[name], atol=1e-6)
    histories = [json.loads((tmp_path / name / "history.json").read_text()) for name in ("killed", "whole")]
    assert [record["loss"] for record in histories[0]["epochs"]] == pytest.approx(
        [record["loss"] for record in histories[1]["epochs"]], abs=1e-6
    )


def test_a_finished_training_is_not_repeated(data: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = fitting.fit(build, *data, _SETTINGS, tmp_path)
    caplog.set_level(logging.INFO)
    again = fitting.fit(build, *data, _SETTINGS, tmp_path)
    assert weights(again) == weights(first)
    assert again.history == first.history
    assert "training was finished in epoch 5" in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize("what", ["settings", "data set", "model", "data set and another settings"])
def test_a_checkpoint_of_something_else_is_not_used(
    data: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    train, evaluate = data
    fitting.fit(build, train, evaluate, _SETTINGS, tmp_path)

    def other() -> keras.Model:
        model = build()
        model.layers[-2].rate = 0.3
        return model

    settings = replace(_SETTINGS, batch_size=16) if "settings" in what else _SETTINGS
    train = train.take(np.arange(200)) if "data" in what else train
    fitted = fitting.fit(other if what == "model" else build, train, evaluate, settings, tmp_path)
    assert f"is of a training with another {what} and is not used: training starts anew" in caplog.text
    assert weights(fitted) == weights(
        fitting.fit(other if what == "model" else build, train, evaluate, settings, tmp_path / "fresh")
    )


@pytest.mark.slow
def test_a_damaged_checkpoint_is_not_used(data: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = weights(fitting.fit(build, *data, _SETTINGS, tmp_path))
    state = tmp_path / "checkpoint" / "state.npz"
    state.write_bytes(state.read_bytes()[:1000])
    assert weights(fitting.fit(build, *data, _SETTINGS, tmp_path)) == first
    assert "cannot be read and is not used" in caplog.text


def test_a_full_disk_is_told(data: Any, tmp_path: Path) -> None:
    """/dev/full refuses every byte; a link in the place of the temporary file leads there."""
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    temporary.beside(folder / "state.npz").symlink_to("/dev/full")
    with pytest.raises(UserError, match=r"the checkpoint could not be written: the disk is full while writing .*state"):
        fitting.fit(build, *data, _SETTINGS, tmp_path)


class Greedy(keras.layers.Layer):
    """Asks for memory that no machine has as soon as a batch has more than `rows` rows."""

    def __init__(self, rows: int):
        super().__init__()
        self.rows = rows

    def call(self, inputs: Any) -> Any:
        excess = tf.numpy_function(self._allocate, [tf.shape(inputs)[0]], tf.float32)
        return inputs + tf.ensure_shape(excess, [])

    def _allocate(self, size: Any) -> Any:
        return np.float32(np.empty(1 << 57 if size > self.rows else 0).size)

    def get_config(self) -> dict[str, Any]:
        return {"rows": self.rows}


def greedy(rows: int) -> keras.Model:
    inputs = {name: keras.Input((1,), name=name) for name in penguin_training.NUMBERS}
    hidden = Greedy(rows)(keras.layers.Concatenate()(list(inputs.values())))
    model = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(hidden))
    model.compile(optimizer="adam", loss="binary_crossentropy")
    return model


@pytest.mark.slow
def test_a_batch_too_large_for_the_memory_is_halved(
    data: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train, evaluate = data
    fitted = fitting.fit(lambda: greedy(20), train, evaluate, replace(_SETTINGS, batch_size=64), tmp_path)
    assert "out of memory with a batch of 64: continuing with 32 from epoch 1, row 0" in caplog.text
    assert "out of memory with a batch of 32: continuing with 16 from epoch 1, row 0" in caplog.text
    assert [record["batch_size"] for record in fitted.history] == [16] * 5
    assert "out of memory with 28 rows of evaluation data at once: continuing with 14" in caplog.text
    assert fitted.rows_at_once == 14
    small = fitting.fit(lambda: greedy(20), train, evaluate, replace(_SETTINGS, batch_size=16), tmp_path / "small")
    assert [record["loss"] for record in fitted.history] == [record["loss"] for record in small.history]
    tiny = train.take(np.arange(4))
    with pytest.raises(ModelError, match="does not fit into the device's memory with a batch of one row"):
        fitting.fit(lambda: greedy(0), tiny, evaluate, _SETTINGS, tmp_path / "none")


def test_a_batch_larger_than_the_data_is_told(data: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fitted = fitting.fit(build, *data, replace(_SETTINGS, batch_size=1000), tmp_path)
    assert "batch_size 1000 is larger than the 228 rows to train on: each epoch is one step" in caplog.text
    assert fitted.history[0]["batch_size"] == 228


def test_a_loss_that_is_no_number_stops_with_the_features_of_the_batch(data: Any, tmp_path: Path) -> None:
    train, evaluate = data
    inputs, label = train.arrays()
    bad = {name: values.copy() for name, values in inputs.items()}
    bad["body_mass_g"][100] = np.nan

    def smooth() -> keras.Model:  # relu makes 0 of what is no number
        inputs = {name: keras.Input((1,), name=name) for name in penguin_training.NUMBERS}
        probability = keras.layers.Dense(1, activation="sigmoid")(keras.layers.Concatenate()(list(inputs.values())))
        model = keras.Model(inputs, probability)
        model.compile(optimizer="adam", loss="binary_crossentropy")
        return model

    batches = [batch["body_mass_g"] for batch, _ in input_data.InMemory(bad, label).batches(32, 0, 1)]
    step = next(index for index, batch in enumerate(batches) if np.isnan(batch).any()) + 1
    message = r"the loss is nan at step \d \(epoch 1, batch \d\), with a learning rate of 0.001; the features .*lower"
    with pytest.raises(DataError, match=message) as raised:
        fitting.fit(smooth, input_data.InMemory(bad, label), evaluate, _SETTINGS, tmp_path)
    assert f"at step {step} " in str(raised.value)
    assert "in that batch: body_mass_g -" in str(raised.value)
    assert "(1 not finite)" in str(raised.value)


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "said"), [(228, "the loss is nan at step 2"), (32, "val_log_loss is nan after step")])
def test_a_learning_rate_that_explodes_is_told(data: Any, tmp_path: Path, rows: int, said: str) -> None:
    """Also where an epoch is one step, whose own loss is still a number."""
    train, evaluate = data
    settings = default.Hyperparameters.for_rows(rows, learning_rate=1e6, warmup=0.0, batch_size=32)

    def explosive() -> keras.Model:
        head = default.Head("binary", 2, frequencies=(0.5, 0.5))
        return default.build([default.Number(name) for name in penguin_training.NUMBERS], head, settings)

    def numbers(part: Any, count: int) -> input_data.InMemory:
        inputs, label = part.arrays()
        zeros = np.zeros_like(label[:count])
        return input_data.InMemory({name: np.hstack([v[:count], zeros]) for name, v in inputs.items()}, label[:count])

    asked = replace(_SETTINGS, monitor="val_log_loss")
    with pytest.raises(DataError) as raised:
        fitting.fit(explosive, numbers(train, rows), numbers(evaluate, 100), asked, tmp_path)
    told = str(raised.value)
    assert told.startswith(said)
    assert re.search(r"\(epoch 1, batch \d\), with a learning rate of 1e\+06; the features in that batch: ", told)
    assert all(re.search(rf"{name} -\d\S* to \d", told) for name in penguin_training.NUMBERS)
    assert told.endswith("lower training.learning_rate")


def test_evaluation_data_that_is_no_number_is_told(data: Any, tmp_path: Path) -> None:
    train, evaluate = data
    inputs, label = evaluate.arrays()
    bad = label.copy()
    bad[7] = np.nan
    with pytest.raises(DataError, match=r"^val_loss is nan: the evaluation data .*: label 0 to 1 \(1 not finite\), "):
        fitting.fit(build, train, input_data.InMemory(inputs, bad), _SETTINGS, tmp_path)
