"""A model with an evaluation and a baseline, requests that it has answered, and labels that come later."""

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from penstock.components.evaluator import executor as evaluator
from penstock.components.model_monitor import executor as model_monitor
from penstock.components.window_monitor import executor
from penstock.core import artifacts
from penstock.core.artifacts import Schema
from penstock.core.artifacts.monitoring import MonitoredWindow, WindowRecord
from penstock.core.artifacts.window_history import WindowHistory
from penstock.core.examples import records
from tests.components.model_monitor.test_executor import LABEL, columns, schema
from tests.components.monitoring.conftest import NOON, prediction, write_log
from tests.components.window_monitor.test_executor import lists

__all__ = ["write_log"]
EVAL_CONFIG = json.dumps(
    {
        "model_specs": [{"signature_name": "serving_default"}],
        "slicing_specs": [{}, {"feature_keys": ["company"]}],
        "metrics_specs": [
            {
                "metrics": [
                    {"class_name": "ExampleCount"},
                    {"class_name": "AUC", "threshold": {"value_threshold": {"lower_bound": 0.6}}},
                    {"class_name": "BinaryAccuracy"},
                    {"class_name": "BinaryCrossentropy"},
                ]
            }
        ],
    }
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The probability of being late grows with the miles; another signature makes the label's number."""
    examples = tf.TensorSpec([None], tf.string, name="examples")

    @tf.function(input_signature=[examples])
    def serving_default(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        parsed = tf.io.parse_example(serialized, {"miles": tf.io.FixedLenFeature([1], tf.float32, 0.0)})
        return {"probabilities": 1 - tf.exp(-parsed["miles"] / 10)}

    @tf.function(input_signature=[examples])
    def transform_features(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        parsed = tf.io.parse_example(serialized, {"late": tf.io.FixedLenFeature([1], tf.string, "")})
        return {"late_xf": tf.cast(parsed["late"] == "yes", tf.float32)}

    folder = tmp_path_factory.mktemp("model")
    signatures = {"serving_default": serving_default, "transform_features": transform_features}
    tf.saved_model.save(tf.Module(), str(folder / "Format-Serving"), signatures=signatures)
    LABEL.write(folder / "Format-Serving")
    return folder


@pytest.fixture(scope="module")
def evaluate(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Callable[[Mapping[str, Any]], Path]:
    """Returns a function that evaluates the model on rows, and returns the evaluation's folder."""

    def run(rows: Mapping[str, Any], of_model: Path = model, config: str = EVAL_CONFIG) -> Path:
        folder = tmp_path_factory.mktemp("evaluation")
        path = artifacts.Examples(folder / "examples").shard("eval", 0, 1)
        records.write(path, records.encode(lists(rows), skip_nulls=True))
        Schema(folder / "schema").write(schema())
        evaluator.run(
            evaluation=str(folder / "evaluation"),
            blessing=str(folder / "blessing"),
            validation=str(folder / "validation"),
            report=str(folder / "report.html"),
            examples=str(folder / "examples"),
            model=str(of_model),
            schema=str(folder / "schema"),
            eval_config=config,
            importance_rows=0,
            engine="local:1",
        )
        return folder / "evaluation"

    return run


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory, model: Path, evaluate: Callable[..., Path]) -> Path:
    return make_baseline(tmp_path_factory.mktemp("baseline"), model, evaluate(columns(2, 1000)))


def make_baseline(folder: Path, model: Path, evaluation: Path) -> Path:
    """Makes a baseline of 2,000 trips."""
    for split, seed, rows in (("train", 1, 2000), ("eval", 2, 1000)):
        path = artifacts.Examples(folder / "examples").shard(split, 0, 1)
        records.write(path, records.encode(lists(columns(seed, rows)), skip_nulls=True))
    Schema(folder / "schema").write(schema())
    model_monitor.run(
        baseline=str(folder / "baseline"),
        examples=str(folder / "examples"),
        schema=str(folder / "schema"),
        model=str(model),
        evaluation=str(evaluation),
        label="late",
        engine="local:1",
    )
    return folder / "baseline"


class Serving:
    """Logs rows as requests of a model, and monitors the hours in which they came."""

    def __init__(self, folder: Path, baseline: Path, write: Callable[..., Path]):
        self.folder, self._baseline, self._write = folder, baseline, write

    def asked(self, rows: Mapping[str, Any], hours: int = 0, form: str = "parquet", each: int = 500) -> None:
        """Logs rows in requests of so many, whose ids are r0, r1, and so on."""
        count = len(rows["hour"])
        features = {name: column for name, column in rows.items() if name != "late"}
        examples = np.array(records.encode(lists(features), skip_nulls=True), object)
        miles = np.array([one or 0.0 for one in pa.array(rows["miles"]).to_pylist()], np.float32)
        requests = []
        for number, start in enumerate(range(0, count, each)):
            part = slice(start, start + each)
            one = prediction({"examples": examples[part]}, 3600 * hours + 60 + number, f"{hours}-{number}")
            one.outputs.clear()  # type: ignore[attr-defined]
            one.outputs["probabilities"] = 1 - np.exp(-miles[part, None] / 10)  # type: ignore[index]
            requests.append(one)
        self._write(form, requests)

    def labels(self, rows: Mapping[str, Any], hours: int = 0, each: int = 500) -> list[tuple[str, int, str]]:
        """Returns request_id, row and label of each row."""
        return [(f"id-{hours}-{place // each}", place % each, str(late)) for place, late in enumerate(rows["late"])]

    def monitor(self, hours: int = 0, **more: Any) -> WindowRecord:
        window = self.folder / f"window-{hours}"
        arguments = {
            "window": str(window),
            "baseline": str(self._baseline),
            "requests": str(self.folder / "log"),
            "begin": (NOON + timedelta(hours=hours)).isoformat(),
            "window_length": "1h",
            "history": str(self.folder / "history"),
            "engine": "local:1",
            "now": NOON + timedelta(hours=hours + 1),
        }
        executor.run(**arguments | more)
        return MonitoredWindow(window).read()

    def history(self) -> list[WindowRecord]:
        return WindowHistory(self.folder / "history").before("taxi", NOON + timedelta(days=1), 9)

    def again(self, hours: int) -> list[WindowRecord]:
        return MonitoredWindow(self.folder / f"window-{hours}").read_again()


@pytest.fixture
def serving(tmp_path: Path, baseline: Path, write_log: Callable[..., Path]) -> Serving:
    return Serving(tmp_path, baseline, write_log)
