"""A module that works on tf.SequenceExamples, from the file to the pushed model; and what is said without one."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from penstock.core import artifacts
from penstock.core.errors import ConfigError
from tests import sequences

MODULE = """
import tensorflow as tf
import tensorflow_transform as tft
from tfx_bsl.public import tfxio
from tfx_bsl.tfxio import tensor_representation_util


def preprocessing_fn(inputs):
    tft.vocabulary(inputs["page_lists"], vocab_filename="pages")
    visits = tf.cast(inputs["seconds"].row_lengths(), tf.float32)[:, tf.newaxis]
    return {"visits": tft.scale_to_0_1(visits), "label": inputs["has_bought"]}


class Share(tf.Module):
    def __init__(self, share, lists):
        self.share = tf.Variable(share)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
        def serve(examples):
            _, parsed, _ = tf.io.parse_sequence_example(examples, sequence_features=lists)
            often = tf.cast(parsed["seconds"].row_lengths() > 2, tf.float32)
            return {"outputs": self.share * often[:, tf.newaxis]}

        self.serve = serve


def run_fn(fn_args):
    output = tft.TFTransformOutput(fn_args.transform_graph_path)
    schema = output.raw_metadata.schema
    options = tfxio.TensorFlowDatasetOptions(batch_size=50, num_epochs=1, label_key="has_bought")
    read = fn_args.data_accessor.tf_dataset_factory
    labels = tf.concat([label for _, label in read(fn_args.train_files, options, schema)], axis=0)
    features = next(iter(read(fn_args.train_files, options, schema)))[0]
    assert features["page_lists"].shape.rank == 3
    _, lists = tensor_representation_util.CreateTfSequenceExampleParserConfig(schema)
    model = Share(tf.reduce_mean(tf.cast(labels, tf.float32)), lists)
    tf.saved_model.save(model, fn_args.serving_model_dir, signatures={"serving_default": model.serve})
"""
PIPELINE = """
name: visits
data: {path: data, format: tfrecord, payload_format: FORMAT_TF_SEQUENCE_EXAMPLE}
label: bought
schema: {file: schema.pbtxt}
module_file: visits.py
transform: {materialize: false}
training: {train_steps: 1, eval_steps: 1}
evaluation: {metrics: [ExampleCount, MeanPrediction], slices: [city], thresholds: {example_count: {min: 10}}}
push: {directory: serving}
"""


@pytest.mark.slow
def test_a_pipeline_of_sequence_examples(python: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with tf.io.TFRecordWriter(str(tmp_path / "data" / "visitors.tfrecord")) as writer:
        for record in sequences.VISITORS:
            writer.write(record)
    artifacts.Schema(tmp_path).write(sequences.SCHEMA)
    (tmp_path / "visits.py").write_text(MODULE)
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    command = [python, "-m", "penstock.pipelines.cli.main"]
    options: dict[str, Any] = {"cwd": tmp_path, "capture_output": True, "text": True, "check": False, "timeout": 300}
    done = subprocess.run([*command, "run"], **options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "model: BLESSED" in done.stdout
    (record,) = tmp_path.glob("runs/visits/visits-*/run.json")
    assert {task["status"] for task in json.loads(record.read_text())["tasks"]} == {"done"}
    predicted = subprocess.run([*command, "predict", "pipeline.yaml", "--rows", "1"], **options)
    assert predicted.returncode == 0, predicted.stdout + predicted.stderr
    assert "pages" in predicted.stdout


@pytest.mark.parametrize(
    ("assignments", "message"),
    [
        (
            ["module_file=null", "training={}"],
            r"payload_format: the model without code takes tf\.Examples",
        ),
        (["data.format=csv"], "payload_format: expected none for csv data"),
        (["data.payload_format=FORMAT_PROTO"], "payload_format: .*FORMAT_TF_SEQUENCE_EXAMPLE"),
    ],
)
def test_what_cannot_be_is_said_before_a_run(
    load: Callable[..., Any], project: Path, values: dict[str, Any], assignments: list[str], message: str
) -> None:
    values["data"] = {"path": "data.csv", "format": "tfrecord", "payload_format": sequences.FORMAT}
    load()
    with pytest.raises(ConfigError, match=message):
        load(assignments)
