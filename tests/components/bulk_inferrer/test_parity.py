"""Our predictions beside those of TFX's own executor: the same records."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from penstock.core.artifacts import Examples, InferenceResult, TaskResult
from penstock.core.examples import records

pytestmark = pytest.mark.slow
Infer = Callable[..., TaskResult]
InferByTfx = Callable[..., Path]

PREDICT = {
    "output_columns": [
        {"output_key": "double", "output_column": "twice"},
        {"output_key": "pair", "output_column": "both"},
        {"output_key": "kinds", "output_column": "names"},
        {"output_key": "count", "output_column": "whole"},
    ]
}
CLASSIFY = {"signature_name": "is_dog", "classify_output": {"label_column": "names", "score_column": "shares"}}
REGRESS = {"signature_name": "half", "regress_output": {"value_column": "halved"}}


def read(files: list[Path], message: type[Any]) -> list[Any]:
    """The records of files, in an order of their own: TFX's is that of a shuffle."""
    parsed = [message.FromString(record) for file in files for batch in records.read(file) for record in batch]
    for log in parsed:
        if message is PredictionLog and log.HasField("predict_log"):  # TFX's have each example's features in any order
            strings = log.predict_log.request.inputs["examples"].string_val
            strings[0] = tf.train.Example.FromString(strings[0]).SerializeToString(deterministic=True)
    return sorted(parsed, key=lambda one: one.SerializeToString(deterministic=True))


@pytest.mark.parametrize(
    ("model", "signatures", "field"),
    [
        ("predicting", [], "predict_log"),
        ("heads", ["is_dog"], "classify_log"),
        ("heads", ["half"], "regress_log"),
        ("heads", ["half", "is_dog"], "multi_inference_log"),
    ],
)
def test_prediction_logs_are_those_of_tfx(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    infer: Infer,
    infer_by_tfx: InferByTfx,
    model: str,
    signatures: list[str],
    field: str,
) -> None:
    folder, spec = request.getfixturevalue(model), json.dumps({"model_signature_name": signatures})
    theirs = infer_by_tfx(folder, model_spec=spec)
    infer(folder, model_spec=spec)
    ours = InferenceResult(tmp_path / "ours" / "inference_result").files()
    assert [file.name for file in ours] == [f"prediction_logs-{number:05d}-of-00003.gz" for number in range(3)]
    expected = read(InferenceResult(theirs).files(), PredictionLog)
    assert read(ours, PredictionLog) == expected
    assert len(expected) == 10
    assert all(log.HasField(field) for log in expected)


@pytest.mark.parametrize(
    ("model", "signatures", "entries"),
    [
        ("predicting", [], [{"predict_output": PREDICT}]),
        ("heads", ["is_dog"], [CLASSIFY]),
        ("heads", ["half"], [REGRESS]),
        ("heads", ["half", "is_dog"], [CLASSIFY, REGRESS]),
    ],
)
def test_examples_with_predictions_are_those_of_tfx(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    infer: Infer,
    infer_by_tfx: InferByTfx,
    model: str,
    signatures: list[str],
    entries: list[dict[str, Any]],
) -> None:
    folder = request.getfixturevalue(model)
    arguments = {
        "data_spec": '{"example_splits": ["eval"]}',
        "model_spec": json.dumps({"model_signature_name": signatures}),
        "output_example_spec": json.dumps({"output_columns_spec": entries}),
    }
    theirs = Examples(infer_by_tfx(folder, **arguments))
    result = infer(folder, **arguments)
    ours = Examples(tmp_path / "ours" / "output_examples")
    assert ours.splits() == theirs.splits() == ["eval"]
    assert [file.name for file in ours.files("eval")] == ["examples-00000-of-00002.gz", "examples-00001-of-00002.gz"]
    assert json.loads(str(result.metadata["output_examples"]["split_names"])) == ["eval"]
    expected = read(theirs.files("eval"), tf.train.Example)
    assert len(expected) == 7
    assert read(ours.files("eval"), tf.train.Example) == expected
