"""BulkInferrer: what is asked and what is not, what goes on after a killed task, and what is refused."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from penstock.components.bulk_inferrer import executor, predict_log
from penstock.components.bulk_inferrer.methods import Classify, Method, Regress
from penstock.components.bulk_inferrer.specs import OutputColumns
from penstock.core import artifacts
from penstock.core.artifacts import Examples, InferenceResult, Model, ModelBlessing, TaskResult, Unfinished
from penstock.core.errors import ConfigError, DataError, ModelError, UserError
from penstock.core.examples import payloads, records

Infer = Callable[..., TaskResult]
ONE_COLUMN = {"output_columns": [{"output_key": "double", "output_column": "twice"}]}


def spec(*entries: dict[str, Any]) -> str:
    return json.dumps({"output_columns_spec": list(entries)})


@pytest.fixture
def written(tmp_path: Path) -> Callable[[], dict[str, bytes]]:
    """Returns a function that returns what there is in the outputs."""

    def read() -> dict[str, bytes]:
        root = tmp_path / "ours"
        return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}

    return read


def test_a_model_that_is_not_blessed_is_not_asked(
    tmp_path: Path, infer: Infer, predicting: Path, written: Callable[[], dict[str, bytes]], caplog: Any
) -> None:
    """The property decides, as in TFX; without it the mark does."""
    ModelBlessing(tmp_path / "blessing").write(blessed=True)
    ModelBlessing(tmp_path / "refused").write(blessed=False)
    with caplog.at_level("INFO"):
        for blessing, blessed in (("blessing", 0), ("blessing", 0.0), ("refused", None)):
            infer(predicting, model_blessing=str(tmp_path / blessing), blessed=blessed)
            assert written() == {}
    assert caplog.text.count("nothing is predicted: the model is not blessed") == 3
    for blessing, blessed in (("refused", 1), ("refused", 1.0), ("blessing", None)):
        result = infer(predicting, model_blessing=str(tmp_path / blessing), blessed=blessed)
        assert len(written()) == 3
    assert result.metadata["inference_result"] == artifacts.metadata()


def test_a_task_that_was_killed_goes_on_after_the_files_that_it_has_written(
    tmp_path: Path, infer: Infer, predicting: Path, written: Callable[[], dict[str, bytes]], monkeypatch: Any
) -> None:
    infer(predicting)
    whole = written()
    assert len(whole) == 3  # and no mark
    output, asked = InferenceResult(tmp_path / "ours" / "inference_result"), list[int]()
    answers = executor._answers

    def dying(question: executor.Question, examples: list[bytes]) -> list[bytes]:
        asked.append(len(examples))
        if len(asked) == 2:
            raise MemoryError
        return answers(question, examples)

    monkeypatch.setattr(executor, "_answers", dying)
    with pytest.raises(MemoryError):
        infer(predicting)
    assert [file.name for file in output.files()] == ["prediction_logs-00000-of-00003.gz"]
    infer(predicting)
    assert asked == [4, 3, 3, 3]
    assert written() == whole


@pytest.mark.parametrize("change", ["examples", "columns", "finished"])
def test_files_of_other_work_are_written_again(
    tmp_path: Path, infer: Infer, predicting: Path, examples: Path, change: str
) -> None:
    arguments = {
        "output_example_spec": spec({"predict_output": ONE_COLUMN}),
        "data_spec": '{"example_splits": ["eval"]}',
    }
    infer(predicting, **arguments)
    output = Examples(tmp_path / "ours" / "output_examples")
    first = output.files("eval")[0]
    if change != "finished":
        mark = output.root / Unfinished.FILE
        mark.write_text("{}")
    records.write(first, [b"another model's"])
    (output.split("other")).mkdir()
    infer(predicting, **arguments)
    assert next(records.read(first)) != [b"another model's"]
    assert output.splits() == ["eval"]


def test_examples_keep_their_features_and_their_order(tmp_path: Path, infer: Infer, predicting: Path) -> None:
    result = infer(predicting, output_example_spec=spec({"predict_output": ONE_COLUMN}))
    output = Examples(tmp_path / "ours" / "output_examples")
    rows = [
        tf.train.Example.FromString(record)
        for split in output.splits()
        for file in output.files(split)
        for batch in records.read(file)
        for record in batch
    ]
    assert [row.features.feature["twice"].float_list.value[:] for row in rows] == [[n / 2] for n in range(10)]
    assert [row.features.feature["x"].float_list.value[:] for row in rows] == [[n / 4] for n in range(10)]
    assert ["z" in row.features.feature for row in rows] == [n % 3 > 0 for n in range(10)]
    assert result.metadata["output_examples"] == artifacts.metadata(
        split_names=["eval", "train"], payload_format=payloads.TF_EXAMPLE, file_format="tfrecords_gzip"
    )
    assert not InferenceResult(tmp_path / "ours" / "inference_result").files()


def test_sequence_examples_keep_their_feature_lists(tmp_path: Path, infer: Infer, predicting: Path) -> None:
    """TFX's executor drops them."""
    example = tf.train.SequenceExample()
    example.context.feature["x"].float_list.value.append(1.5)
    example.context.feature["kind"].bytes_list.value.append(b"cat")
    example.feature_lists.feature_list["steps"].feature.add().int64_list.value.append(3)
    data = Examples(tmp_path / "sequences")
    records.write(data.shard("eval", 0, 1), [example.SerializeToString()])
    arguments = {"examples": str(data.root), "payload_format": payloads.TF_SEQUENCE_EXAMPLE}
    infer(predicting, output_example_spec=spec({"predict_output": ONE_COLUMN}), **arguments)
    ((record,),) = records.read(Examples(tmp_path / "ours" / "output_examples").files("eval")[0])
    example.context.feature["twice"].float_list.value.append(3)
    assert tf.train.SequenceExample.FromString(record) == example


@pytest.mark.slow
def test_workers_write_the_same_bytes(
    tmp_path: Path, infer: Infer, predicting: Path, examples: Path, written: Any, python: str
) -> None:
    """In a process of its own: TensorFlow, which has run in this one, does not survive a fork."""
    infer(predicting)
    alone = written()
    outputs = {name: str(tmp_path / "ours" / name) for name in ("inference_result", "output_examples")}
    arguments = {**outputs, "examples": str(examples), "model": str(predicting), "engine": "local:2"}
    command = [python, "-m", "penstock.components.bulk_inferrer.executor", json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert written() == alone


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({"data_spec": '{"example_splits": ["test"]}'}, DataError, "split 'test' does not exist: expected one of eval"),
        (
            {"data_spec": '{"splits": ["eval"]}'},
            ConfigError,
            "data_spec: unknown key 'splits'; did you mean 'example_sp",
        ),
        (
            {"model_spec": '{"model_signature_name": ["serving"]}'},
            ModelError,
            "model_spec: the model has no signature 'serving'; did you mean 'serving_default'?",
        ),
        ({"model_spec": '{"tag": ["gpu"]}'}, ModelError, "the model has no signature 'serving_default'; there is none"),
        (
            {"output_example_spec": spec({"classify_output": {"label_column": "kind"}})},
            ConfigError,
            "expected predict_output for the method tensorflow/serving/predict, received classify_output",
        ),
        (
            {"output_example_spec": spec({"predict_output": {"output_columns": [{"output_key": "doubel"}]}})},
            ConfigError,
            r"output_columns\[0\].output_column: expected a name, received None",
        ),
        (
            {"output_example_spec": spec()},
            ConfigError,
            "expected an entry for each signature, received none for 'serving_default'",
        ),
        (
            {"output_example_spec": spec({"signature_name": "other", "predict_output": ONE_COLUMN})},
            ConfigError,
            "expected an entry for serving_default, received 'other'",
        ),
    ],
)
def test_what_does_not_fit_is_told_before_anything_is_asked(
    infer: Infer, predicting: Path, written: Any, arguments: dict[str, str], error: type[UserError], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        infer(predicting, **arguments)
    assert written() == {}


@pytest.mark.parametrize(
    ("key", "column", "sentence"),
    [
        ("doubel", "twice", "signature 'serving_default' has no output 'doubel'; did you mean 'double'?"),
        ("double", "kind", "the examples have a feature 'kind' already"),
        ("square", "twice", "expected outputs of one dimension, received 'square'"),
    ],
)
def test_columns_that_cannot_be_are_told_with_the_file(
    infer: Infer, predicting: Path, key: str, column: str, sentence: str
) -> None:
    output = {"output_columns": [{"output_key": key, "output_column": column}]}
    with pytest.raises(ConfigError, match=rf"data_tfrecord-00000-of-00002.gz: .*{sentence.replace('?', '.')}"):
        infer(predicting, output_example_spec=spec({"predict_output": output}))


def test_examples_that_the_model_cannot_take_are_told(tmp_path: Path, infer: Infer, predicting: Path) -> None:
    data = Examples(tmp_path / "other")
    records.write(data.shard("eval", 0, 1), [tf.train.Example().SerializeToString()])
    with pytest.raises(ModelError, match=r"data_tfrecord-00000-of-00001.gz: serving_default of .* failed: .*kind"):
        infer(predicting, examples=str(data.root))


def test_a_model_that_is_no_saved_model_is_refused(tmp_path: Path, infer: Infer) -> None:
    (Model(tmp_path / "model").serving).mkdir(parents=True)
    (Model(tmp_path / "model").serving / "model.pkl").write_bytes(b"")
    with pytest.raises(ModelError, match=r"expected a SavedModel, found model.pkl"):
        infer(tmp_path / "model")


@pytest.mark.parametrize(
    ("method", "outputs", "sentence"),
    [
        (Classify, ["half", "other"], "signature 'head': expected an output classes or scores, found half, other"),
        (Regress, ["half"], "signature 'head': expected an output outputs, found half"),
    ],
)
def test_a_signature_without_the_outputs_of_its_method_is_told(
    method: type[Method], outputs: list[str], sentence: str
) -> None:
    answers = {name: np.zeros((1, 1), np.float32) for name in outputs}
    with pytest.raises(ModelError, match=sentence):
        method("head", "inputs").logs([b""], answers)


@pytest.mark.parametrize(("name", "sentence"), [("label", "expected an output classes, found scores"), ("score", "")])
def test_a_signature_may_lack_the_classes_but_not_where_they_are_asked_for(name: str, sentence: str) -> None:
    method, outputs = Classify("head", "inputs"), {"scores": np.zeros((1, 2), np.float32)}
    wanted = OutputColumns("classify_output", {name: "column"})
    if not sentence:
        assert method.columns(wanted, outputs)["column"].to_pylist() == [[0, 0]]
        return
    with pytest.raises(ModelError, match=sentence):
        method.columns(wanted, outputs)


def test_what_is_kept_of_lengths_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predict_log, "_MOST_KNOWN", 3)
    examples, outputs = [b"x" * length for length in range(10)], {"y": np.zeros((10, 1), np.float32)}
    logs = predict_log.PredictLogs("serving_default", "examples")
    serialized = logs.serialize(examples, outputs)
    assert len(logs._around) == 1  # after 3, 6 and 9 of the ten
    parsed = [PredictionLog.FromString(log).predict_log.request.inputs["examples"] for log in serialized]
    assert [tensor.string_val[0] for tensor in parsed] == examples


@pytest.mark.parametrize("shape", [(3,), (3, 1), (3, 2), (3, 2, 2), (3, 0)])
@pytest.mark.parametrize("dtype", [np.float32, np.int64, object])
def test_outputs_of_any_shape_and_type_are_logged(shape: tuple[int, ...], dtype: Any) -> None:
    """Of one value for each example as well, whose array has no second dimension."""
    values: np.ndarray = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    if dtype is object:
        values = np.vectorize(lambda value: b"%d\0" % value, otypes=[object])(values)
    logs = predict_log.PredictLogs("serving_default", "examples").serialize([b"a", b"bc", b""], {"y": values})
    outputs = [PredictionLog.FromString(log).predict_log.response.outputs["y"] for log in logs]
    assert [tf.make_ndarray(output).tolist() for output in outputs] == [
        values[row : row + 1].tolist() for row in range(3)
    ]
