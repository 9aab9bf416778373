"""A model of tf.SequenceExamples: it gets whole records, and slices and labels are of their context."""

import re
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
import tensorflow_model_analysis as tfma

from penstock.components.evaluator import executor
from penstock.core.artifacts import Examples, Model
from penstock.core.errors import PenstockError
from penstock.core.examples import records
from tests import sequences

CONFIG = """
model_specs: [{label_key: bought}]
metrics_specs: [{metrics: [{class_name: ExampleCount}, {class_name: MeanPrediction}, {class_name: MeanLabel}]}]
slicing_specs: [{}, {feature_keys: [city]}]
"""


class Visits(tf.Module):
    """Predicts a tenth for each visit."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        lists = {"seconds": tf.io.FixedLenSequenceFeature([], tf.float32)}
        _, _, lengths = tf.io.parse_sequence_example(examples, sequence_features=lists)
        return {"outputs": tf.cast(lengths["seconds"], tf.float32)[:, None] / 10.0}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, module = tmp_path_factory.mktemp("model"), Visits()
    tf.saved_model.save(module, str(Model(folder).serving), signatures={"serving_default": module.serve})
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("schema", [True, False], ids=["with a schema", "without"])
@pytest.mark.parametrize(
    "query", ["", "{query_key: city, metrics: [{class_name: QueryStatistics}]}, "], ids=["in process", "on Beam"]
)
def test_metrics_are_those_of_the_records(model: Path, tmp_path: Path, schema: bool, query: str) -> None:
    examples = sequences.write(tmp_path / "examples", train=1, eval=2)
    outputs = {name: str(tmp_path / name) for name in ("evaluation", "blessing", "validation", "report")}
    config = CONFIG.replace("metrics_specs: [", f"metrics_specs: [{query}")
    arguments: dict[str, Any] = {"schema": str(examples)} if schema else {}
    result = executor.run(
        **outputs, **arguments, examples=str(examples), model=str(model), eval_config=config, engine="local:1",
        payload_format=sequences.FORMAT,
    )  # fmt: skip
    assert not result.blessed
    found = {
        key: {
            name: value["doubleValue"]
            for name, value in metrics[""][""].items()
            if not re.search("quer|documents", name)
        }
        for key, metrics in tfma.load_eval_result(outputs["evaluation"]).slicing_metrics
    }
    assert found == {
        key: pytest.approx(expected(examples, key)) for key in [(), (("city", "Oslo"),), (("city", "Bonn"),)]
    }


def expected(examples: Path, key: tuple[tuple[str, str], ...]) -> dict[str, float]:
    visitors = [
        tf.train.SequenceExample.FromString(record)
        for path in Examples(examples).files("eval")
        for batch in records.read(path)
        for record in batch
    ]
    cities = [visitor.context.feature["city"].bytes_list.value[0].decode() for visitor in visitors]
    chosen = [visitor for visitor, city in zip(visitors, cities, strict=True) if not key or city == key[0][1]]
    visits = [len(visitor.feature_lists.feature_list["seconds"].feature) / 10 for visitor in chosen]
    labels = [visitor.context.feature["bought"].int64_list.value[0] for visitor in chosen]
    count = len(chosen)
    return {"example_count": count, "mean_prediction": sum(visits) / count, "mean_label": sum(labels) / count}


def test_without_the_metadata_they_are_refused(model: Path, tmp_path: Path) -> None:
    examples = sequences.write(tmp_path / "examples", train=1, eval=1)
    outputs = {name: str(tmp_path / name) for name in ("evaluation", "blessing", "validation", "report")}
    with pytest.raises(PenstockError, match="feature_lists"):
        executor.run(
            **outputs, examples=str(examples), model=str(model), eval_config=CONFIG,
            engine="local:1",
        )  # fmt: skip
