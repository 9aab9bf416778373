"""Columns with the names of arguments: of signatures, and of what TFMA keeps beside the features."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2

from penstock.core import artifacts
from penstock.core.examples import records
from tests.components.evaluator.conftest import ON_BEAM, Evaluated, Penguins

NAMES = (
    "examples", "inputs", "features", "labels", "predictions", "example_weights", "transformed_features", "input",
    "__raw_record__", "arrow_record_batch", "slice_keys", "serving_default", "candidate", "baseline", "examples_input",
    "", "self", "args_0", "keras",
)  # fmt: skip
CONFIG = (
    "model_specs: [{label_key: male_xf, preprocessing_function_names: [transform_features]}]\n"
    "slicing_specs: [{}, {feature_keys: [examples]}]\n"
    "metrics_specs: [{metrics: [{class_name: AUC, threshold: {value_threshold: {lower_bound: 0.9}, "
    "change_threshold: {absolute: -0.5, direction: HIGHER_IS_BETTER}}}]}]"
)
type Evaluate = Callable[..., Evaluated]


def values(evaluated: Evaluated) -> dict[str, float]:
    reasons = json.loads((evaluated.validation / "validation.json").read_text())["reasons"]
    return {f"{reason['slice']} {reason['threshold']}": reason["value"] for reason in reasons}


@pytest.fixture
def renamed(penguins: Penguins, tmp_path: Path) -> Callable[..., dict[str, str]]:
    """Returns a function that adds columns of text or numbers to the penguins; examples and schema, as arguments."""

    def add(kind: str, *names: str) -> dict[str, str]:
        rows = []
        for file in artifacts.Examples(penguins.examples).files("eval"):
            for number, row in enumerate(next(records.read(file))):
                example = tf.train.Example.FromString(row)
                for name in names:
                    feature = example.features.feature[name]
                    if kind == "BYTES":
                        feature.bytes_list.value.append(b"even" if number % 2 == 0 else b"odd")
                    else:
                        feature.int64_list.value.append(number % 2)
                rows.append(example.SerializeToString(deterministic=True))
        records.write(artifacts.Examples(tmp_path / "renamed").shard("eval", 0, 1), rows)
        schema = artifacts.Schema(penguins.schema).read()
        for name in names:
            shape: Any = {"value_count": schema_pb2.ValueCount(min=1, max=1)}
            schema.feature.add(name=name, type=kind, presence=schema_pb2.FeaturePresence(min_count=1), **shape)
        artifacts.Schema(tmp_path / "schema").write(schema)
        return {"examples": str(tmp_path / "renamed"), "schema": str(tmp_path / "schema")}

    return add


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "runner"), [("BYTES", ""), ("INT", f"{ON_BEAM}, ")])
def test_what_columns_are_called_does_not_count(
    kind: str, runner: str, evaluate: Evaluate, renamed: Callable[..., dict[str, str]]
) -> None:
    config = CONFIG.replace("specs: [{metrics", f"specs: [{runner}{{metrics")
    told = values(evaluate(config, "sex", "worse", **renamed(kind, *NAMES)))
    overall = told["overall at least 0.9"]
    assert overall == pytest.approx(0.9381, abs=1e-4)
    assert told["overall at least -0.5"] == pytest.approx(0.2736, abs=1e-4)
    assert len(told) == 6, "two slices of the column `examples` beside the overall one"


@pytest.mark.slow
def test_a_signature_of_raw_text_gets_its_column(
    evaluate: Evaluate, penguins: Penguins, tmp_path: Path, renamed: Callable[..., dict[str, str]]
) -> None:
    """It has one argument of text as well, but parses no examples; TFMA gives it the column of that name."""

    class Raw(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 1], tf.string, name="examples")])
        def serve(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"outputs": tf.cast(examples == "odd", tf.float32)}

    raw, folder = Raw(), artifacts.Model(tmp_path / "raw").serving
    tf.saved_model.save(raw, str(folder), signatures={"serving_default": raw.serve})
    penguins.models["raw"] = tmp_path / "raw"
    mean = "metrics_specs: [{metrics: [{class_name: MeanPrediction, threshold: {value_threshold: {lower_bound: 0}}}]}]"
    told = values(evaluate(f"model_specs: [{{label_key: male}}]\n{mean}", "raw", **renamed("BYTES", "examples")))
    assert told == {"overall at least 0": 0.5}
