"""Models of each kind, and a function that scores files by them in this process."""

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2

from penstock.components.engines import open_engine
from penstock.components.scoring import job as jobs
from penstock.core.artifacts import SavedModel, Schema
from penstock.core.labels import Label

# size and code must be in every row, count may be missing.
SPEC = {
    "size": tf.io.FixedLenFeature([1], tf.float32),
    "code": tf.io.FixedLenFeature([1], tf.string),
    "count": tf.io.FixedLenFeature([1], tf.int64, 0),
}
TYPES = {
    "size": schema_pb2.FLOAT,
    "code": schema_pb2.BYTES,
    "count": schema_pb2.INT,
    "note": schema_pb2.BYTES,
    "late": schema_pb2.BYTES,
}


def save(folder: Path, outputs: Callable[..., dict[str, tf.Tensor]], label: Label | None = None) -> Path:
    """A SavedModel with the schema beside it; `outputs` gets the features, [batch, 1], by their names."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serving_default(serialized: tf.Tensor) -> Any:
        features = tf.io.parse_example(serialized, SPEC)
        return outputs(**features)

    tf.saved_model.save(tf.Module(), str(folder), signatures={"serving_default": serving_default})
    schema = schema_pb2.Schema()
    for name, kind in TYPES.items():
        schema.feature.add(name=name, type=kind)
    Schema(SavedModel(folder).schema.parent).write(schema)
    if label:
        label.write(folder)
    return folder


@pytest.fixture(scope="session")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The probability of "yes" is the size."""
    label = Label("late", "late_xf", "binary", ("no", "yes"))
    return save(tmp_path_factory.mktemp("binary"), lambda size, code, count: {"probabilities": size}, label)


@pytest.fixture(scope="session")
def regression(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten times the size."""
    label = Label("late", "late_xf", "regression")
    return save(tmp_path_factory.mktemp("regression"), lambda size, code, count: {"predictions": 10 * size}, label)


@pytest.fixture(scope="session")
def multiclass(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The classes are the numbers 3, 5 and 8; the size is what 5 has of the probability."""

    def scores(size: tf.Tensor, code: tf.Tensor, count: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"scores": tf.concat([1 - size, size, tf.zeros_like(size)], axis=1)}

    label = Label("late", "late_xf", "multiclass", (3, 5, 8))
    return save(tmp_path_factory.mktemp("multiclass"), scores, label)


@pytest.fixture(scope="session")
def module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of somebody's own: it tells what it was given."""

    def outputs(size: tf.Tensor, code: tf.Tensor, count: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"twice": 2 * size, "codes": tf.concat([code, code + "!"], axis=1), "counted": count + 1}

    return save(tmp_path_factory.mktemp("module"), outputs)


@dataclasses.dataclass
class Scored:
    """What came of it: the output's path, the summary, and what a person was told."""

    path: Path
    summary: jobs.Summary
    notes: list[str]

    @property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


@pytest.fixture
def score(tmp_path: Path) -> Callable[..., Scored]:
    """Returns a function that scores files: by a model's folder, and the fields of a Request."""

    def run(
        model: Path, *data: Path | str, form: str = "csv", csv: Mapping[str, Any] | None = None, **more: Any
    ) -> Scored:
        (tmp_path / "scratch").mkdir(exist_ok=True)
        output = tmp_path / f"scores.{form}"
        options = json.dumps(dict(csv or {}))
        request = jobs.Request(model, [*map(str, data)], output, form, options, **more)  # type: ignore[arg-type]
        with open_engine("local:1") as engine, jobs.opened(request, engine, tmp_path / "scratch") as job:
            notes = list(job.notes)
            return Scored(output, job.run(), notes)

    return run


@pytest.fixture
def data(tmp_path: Path) -> Callable[..., Path]:
    """Returns a function that writes a file of these lines, with line feeds after them."""

    def write(*lines: str, name: str = "new.csv", encoding: str = "utf-8") -> Path:
        path = tmp_path / "data" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes("".join(f"{line}\n" for line in lines).encode(encoding))
        return path

    return write
