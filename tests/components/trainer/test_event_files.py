"""Learning curves of modules of users: of the event files that Keras's TensorBoard callback writes."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
import tensorflow as tf

from penstock.components.trainer import epochs, event_files, report
from penstock.core.artifacts import ModelRun
from penstock.core.page import numbers


def _write(folder: Path, tag: str, values: Sequence[float], first: int = 0) -> Path:
    """Writes scalars as Keras does; returns the file."""
    before = set(folder.glob("*"))
    writer = tf.summary.create_file_writer(str(folder))
    with writer.as_default():
        for step, value in enumerate(values, first):
            tf.summary.scalar(tag, value, step=step)
    writer.close()
    (file,) = set(folder.glob("*")) - before
    return file


def _measured(folder: Path) -> list[tuple[int, dict[str, float | None]]]:
    event_files.record(folder)
    history = epochs.read(folder)
    assert history
    return [(epoch.epoch, dict(epoch.measured)) for epoch in history.epochs]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["keras", "tf_keras"])
def test_what_fit_has_logged_are_the_epochs(tmp_path: Path, name: str) -> None:
    keras = pytest.importorskip(name)
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=[keras.metrics.MeanAbsoluteError(name="mean_absolute_error")])
    rows, labels = tf.random.uniform((32, 2)), tf.random.uniform((32, 1))
    fitted = model.fit(
        *(rows, labels),
        validation_data=(rows, labels),
        epochs=3,
        verbose=0,
        callbacks=[keras.callbacks.TensorBoard(str(tmp_path / "logs"), update_freq="batch")],
    )
    measured = _measured(tmp_path)
    assert [epoch for epoch, _ in measured] == [1, 2, 3]
    for name, values in fitted.history.items():
        assert [of_epoch[name] for _, of_epoch in measured] == pytest.approx(values), name
    text = report.write(tmp_path / "page", tmp_path).read_text()
    assert "<figcaption>loss</figcaption>" in text
    assert f"<p>3 epochs, on the eval split: loss {numbers.number(measured[-1][1]['val_loss'])}, MAE " in text


def test_a_training_that_goes_on_replaces_what_was_after_its_step(tmp_path: Path) -> None:
    first = _write(tmp_path / "train", "epoch_loss", [5, 4, 3, 2])
    _write(tmp_path / "train", "epoch_loss", [1.5], first=2).rename(first.with_name("events.out.tfevents.9999999999.b"))
    with first.open("ab") as file:
        file.write(b"cut off")
    _write(tmp_path / "train", "loss_of_a_batch", [7.0])
    _write(tmp_path / "train", "epoch_utilisation", [7.0])
    assert _measured(tmp_path) == [(1, {"loss": 5}), (2, {"loss": 4}), (3, {"loss": 1.5})]


def test_of_several_log_dirs_the_last_one_counts(tmp_path: Path) -> None:
    old = _write(tmp_path / "b" / "train", "epoch_loss", [9, 9])
    old.rename(old.with_name("events.out.tfevents.1111111111.b"))
    _write(tmp_path / "a" / "validation", "epoch_loss", [1])
    assert _measured(tmp_path) == [(1, {"val_loss": 1})]


def test_a_file_of_the_modules_stays_and_nothing_is_made_of_nothing(tmp_path: Path) -> None:
    event_files.record(tmp_path)
    assert list(tmp_path.iterdir()) == []
    _write(tmp_path / "train", "epoch_loss", [1])
    ModelRun(tmp_path).history.write_text("my own")
    event_files.record(tmp_path)
    assert ModelRun(tmp_path).history.read_text() == "my own"
    ModelRun(tmp_path).history.unlink()
    shutil.rmtree(tmp_path / "train")
    _write(tmp_path / "train", "a_scalar_of_the_modules", [1])
    event_files.record(tmp_path)
    assert not ModelRun(tmp_path).history.exists()
