"""Models with signatures of each method, examples with two splits, and TFX's own BulkInferrer beside ours."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from tfx.components.bulk_inferrer.executor import Executor
from tfx.types import artifact_utils, standard_artifacts

from penstock.components.bulk_inferrer import executor
from penstock.core.artifacts import Examples, Model, TaskResult
from penstock.core.examples import records

FEATURES = {"x": tf.io.FixedLenFeature([], tf.float32), "kind": tf.io.FixedLenFeature([], tf.string)}
# One process: TensorFlow, which runs in this one, does not survive a fork.
ENGINE = "local:1"


class Answering(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        features = tf.io.parse_example(examples, FEATURES)
        x, kind = features["x"], features["kind"]
        return {
            "double": 2 * x[:, None],
            "pair": tf.stack([x, -x], axis=1),
            "kinds": tf.stack([kind, kind + "!"], axis=1),
            "count": tf.cast(x, tf.int64),
            "square": tf.stack([tf.stack([x, x], 1), tf.stack([x, x], 1)], 1),
        }


@pytest.fixture(scope="session")
def predicting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of TensorFlow 2."""
    folder, module = tmp_path_factory.mktemp("predicting"), Answering()
    tf.saved_model.save(module, str(Model(folder).serving), signatures={"serving_default": module.serve})
    return folder


@pytest.fixture(scope="session")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model as an estimator exports it: the signatures `is_dog` (classify) and `half` (regress)."""
    folder = tmp_path_factory.mktemp("heads")
    v1 = tf.compat.v1
    with v1.Graph().as_default(), v1.Session() as session:
        serialized = v1.placeholder(tf.string, [None])
        features = tf.io.parse_example(serialized, FEATURES)
        x = features["x"]
        names = tf.tile([["cat", "dog"]], [tf.shape(x)[0], 1])
        signatures = {
            "is_dog": v1.saved_model.classification_signature_def(serialized, names, tf.stack([1 - x, x], axis=1)),
            "half": v1.saved_model.regression_signature_def(serialized, x / 2),
        }
        builder = v1.saved_model.Builder(str(Model(folder).serving))
        builder.add_meta_graph_and_variables(session, ["serve"], signatures)
        builder.save()
    return folder


@pytest.fixture(scope="session")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eval: 7 examples in two files; train: 3 in one. One in three lacks the feature z."""
    root = tmp_path_factory.mktemp("examples")
    rows = []
    for number in range(10):
        example = tf.train.Example()
        example.features.feature["x"].float_list.value.append(number / 4)
        example.features.feature["kind"].bytes_list.value.append(b"cat" if number % 2 else b"d\xff\x00")
        if number % 3:
            example.features.feature["z"].int64_list.value.extend([number] * number * 20)
        rows.append(example.SerializeToString(deterministic=True))
    records.write(Examples(root).shard("eval", 0, 2), rows[:4])
    records.write(Examples(root).shard("eval", 1, 2), rows[4:7])
    records.write(Examples(root).shard("train", 0, 1), rows[7:])
    return root


@pytest.fixture
def infer(tmp_path: Path, examples: Path) -> Callable[..., TaskResult]:
    """Returns a function that runs BulkInferrer; its outputs are below tmp_path / "ours"."""

    def run(model: Path, **arguments: Any) -> TaskResult:
        outputs = {name: str(tmp_path / "ours" / name) for name in ("inference_result", "output_examples")}
        return executor.run(
            **{**outputs, "examples": str(examples), "model": str(model), "engine": ENGINE, **arguments}
        )

    return run


@pytest.fixture
def infer_by_tfx(tmp_path: Path, examples: Path) -> Callable[..., Path]:
    """Returns a function that runs TFX's executor; it returns the folder of its output."""

    def run(model: Path, data_spec: str = "{}", model_spec: str = "{}", output_example_spec: str = "") -> Path:
        data, saved, result = standard_artifacts.Examples(), standard_artifacts.Model(), tmp_path / "tfx"
        data.uri, saved.uri = str(examples), str(model)
        for artifact in (data, saved):
            artifact.set_string_custom_property("tfx_version", "1.21.0")
        data.split_names = artifact_utils.encode_split_names(["eval", "train"])
        kind = standard_artifacts.Examples if output_example_spec else standard_artifacts.InferenceResult
        output = kind()
        output.uri = str(result)
        specs = {"data_spec": data_spec, "model_spec": model_spec, "output_example_spec": output_example_spec}
        Executor().Do(
            {"examples": [data], "model": [saved]},
            {"output_examples" if output_example_spec else "inference_result": [output]},
            specs,
        )
        return result

    return run
