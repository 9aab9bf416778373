"""TFX's taxi module, unmodified, trained on the outputs of Transform."""

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft

from penstock.components.trainer import executor
from penstock.core.artifacts import Examples, Model, SavedModel
from penstock.core.examples import records
from penstock.core.models import predict

# What the user's module and Keras warn of is theirs.
pytestmark = [pytest.mark.usefixtures("forks"), pytest.mark.filterwarnings("default")]


def train(taxi: Any, module: Path, folder: Path, steps: int = 60) -> Model:
    result = executor.run(
        **taxi.inputs(),
        model=str(folder / "model"),
        model_run=str(folder / "model_run"),
        module_file=str(module),
        train_args=json.dumps({"num_steps": steps}),
        eval_args=json.dumps({"num_steps": 5}),
    )
    assert result.metadata == {"model": {"tfx_version": "1.21.0"}, "model_run": {"tfx_version": "1.21.0"}}
    return Model(folder / "model")


@pytest.fixture(scope="module")
def trained(taxi: Any, taxi_module: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    train(taxi, taxi_module, folder)
    return folder


@pytest.mark.slow
def test_the_model_serves_and_transforms(taxi: Any, trained: Path) -> None:
    loaded = tf.saved_model.load(str(Model(trained / "model").require_serving()))
    assert set(loaded.signatures) == {"serving_default", "transform_features"}
    file = Examples(taxi.root / "examples").files("eval")[0]
    transformed = loaded.signatures["transform_features"](tf.constant(next(records.read(file, 4))))
    expected = set(tft.TFTransformOutput(str(taxi.root / "transform_graph")).transformed_feature_spec())
    assert set(transformed) == expected
    rows = predict.predict_rows(trained / "model", file, rows=200, label="tips")
    predictions = [row["prediction"]["outputs"] for row in rows]
    assert all(0 < value < 1 for value in predictions)
    # The model has learnt that who pays cash tips less (in the data: no cash payer tips).
    cash = [p for p, row in zip(predictions, rows, strict=True) if row["features"]["payment_type"] == "Cash"]
    card = [p for p, row in zip(predictions, rows, strict=True) if row["features"]["payment_type"] == "Credit Card"]
    assert sum(cash) / len(cash) < sum(card) / len(card)


def test_model_run_holds_tensorboard_logs(trained: Path) -> None:
    events = sorted((trained / "model_run").rglob("events.out.tfevents.*"))
    assert {path.parent.name for path in events} == {"train", "validation"}
    logged = {
        value.tag: float(tf.make_ndarray(value.tensor))
        for path in events
        for event in tf.compat.v1.train.summary_iterator(str(path))
        for value in event.summary.value
        if value.tag.startswith("epoch_")
    }
    assert {"epoch_loss", "epoch_binary_accuracy"} <= set(logged)
    assert all(math.isfinite(value) for value in logged.values())


@pytest.mark.slow
def test_a_rerun_trains_the_same_weights(taxi: Any, taxi_module: Path, trained: Path, tmp_path: Path) -> None:
    again = _weights(train(taxi, taxi_module, tmp_path))
    assert again == _weights(Model(trained / "model"))
    assert len(again) > 10
    assert _weights(train(taxi, taxi_module, tmp_path, steps=61)) != again


@pytest.mark.slow
def test_reruns_write_the_same_bytes(taxi: Any, taxi_module: Path, tmp_path: Path) -> None:
    """In processes of their own, as tasks run; and as a program."""
    digests = set()
    for attempt in ("first", "second"):
        arguments = taxi.inputs() | {
            "model": str(tmp_path / attempt / "model"),
            "model_run": str(tmp_path / attempt / "model_run"),
            "module_file": str(taxi_module),
            "train_args": '{"num_steps": 30}',
            "eval_args": '{"num_steps": 2}',
        }
        program = [sys.executable, "-m", "penstock.components.trainer.executor", json.dumps(arguments)]
        subprocess.run(program, check=True, capture_output=True)
        digests.add(SavedModel(Model(tmp_path / attempt / "model").require_serving()).digest())
    assert len(digests) == 1


def _weights(model: Model) -> dict[str, bytes]:
    """The variables by their names; the file of them also holds Keras's names of layers, which count up."""
    checkpoint = tf.train.load_checkpoint(str(model.serving / "variables" / "variables"))
    names = [name for name in checkpoint.get_variable_to_shape_map() if not name.startswith("_CHECKPOINT")]
    return {name: np.asarray(checkpoint.get_tensor(name)).tobytes() for name in names}
