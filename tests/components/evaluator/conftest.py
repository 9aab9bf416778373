"""Penguins to evaluate on, and models of them: real SavedModels, whose weights are written down here."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from penstock.components.evaluator import executor
from penstock.core import artifacts
from penstock.core.artifacts import GateResult, Model
from penstock.core.examples import records
from tests.components.evaluator import tfma_alone

# One process: TensorFlow, which runs in this one, does not survive a fork.
ENGINE = "local:1"
# A metrics_spec that has an evaluation go through Beam: what it groups are the examples of a query, not of a shard.
ON_BEAM = """{query_key: year, metrics: [{class_name: NDCG, config: '{"gain_key": "year", "top_k_list": [3]}'}]}"""
SPECIES = ("Adelie", "Chinstrap", "Gentoo")
_FLOATS = ("bill", "flipper", "mass", "weight")
_INTS = ("year", "male", "species_id")
_BYTES = ("island", "sex", "species")
_PARSED = {
    **{name: tf.io.FixedLenFeature([], tf.float32, 0.0) for name in _FLOATS},
    **{name: tf.io.FixedLenFeature([], tf.int64, 0) for name in _INTS},
    **{name: tf.io.FixedLenFeature([], tf.string, "") for name in _BYTES},
}
_SERIALIZED = [tf.TensorSpec([None], tf.string, name="examples")]


def _score(features: Mapping[str, tf.Tensor], slope: float) -> tf.Tensor:
    """How likely a penguin is male, in logits: males are larger than females of their species."""
    offset = tf.gather(tf.constant([3706.0, 3733.0, 5076.0]), features["species_id"])
    return slope * (features["mass"] - offset) / 100.0 + 0.1 * (features["bill"] - 44.0)


class PenguinModel(tf.Module):
    """`kind` is what is predicted: sex (one number), species (three), mass (a number), or `both` of the first two."""

    def __init__(self, kind: str, slope: float = 0.5):
        self.kind, self.slope = kind, tf.Variable(slope)

    @tf.function(input_signature=_SERIALIZED)
    def serve(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        features = tf.io.parse_example(examples, _PARSED)
        sex = tf.sigmoid(_score(features, self.slope))[:, None]
        distances = [tf.abs(features["flipper"] - center) for center in (190.0, 196.0, 217.0)]
        species = tf.nn.softmax(-self.slope * tf.stack(distances, axis=1))
        outputs = {
            "sex": sex,
            "species": species,
            "mass": 49.7 * features["flipper"][:, None] - 5780.0 * self.slope * 2,
        }
        if self.kind == "both":
            return {"sex": sex, "species": species}
        return {"outputs": outputs[self.kind]}

    @tf.function(input_signature=_SERIALIZED)
    def transform_features(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        features = tf.io.parse_example(examples, _PARSED)
        return {"male_xf": tf.cast(features["sex"] == "male", tf.int64)[:, None]}


def save(folder: Path, kind: str, slope: float = 0.5) -> Path:
    """Writes a Model artifact; returns its folder."""
    model = PenguinModel(kind, slope)
    signatures = {"serving_default": model.serve, "transform_features": model.transform_features}
    tf.saved_model.save(model, str(Model(folder).serving), signatures=signatures)
    return folder


@dataclass(frozen=True)
class Penguins:
    """Folders: Examples with the splits eval (three files) and test, their Schema, and Models by name."""

    examples: Path
    schema: Path
    models: dict[str, Path]

    @property
    def one_file(self) -> Path:
        """The split eval in one file. TFMA alone counts the first of several parts twice in some metrics."""
        return artifacts.Examples(self.examples.parent / "together").shard("eval", 0, 1)

    def serving(self, *names: str) -> list[str]:
        return [str(Model(self.models[name]).serving) for name in names]


@pytest.fixture(scope="session")
def penguins(penguins_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Penguins:
    root = tmp_path_factory.mktemp("penguins")
    table = pd.read_csv(penguins_csv).dropna(subset=["body_mass_g"]).sample(frac=1, random_state=7)
    vowels = table.island.str.lower().str.findall("[aeiou]")
    columns: dict[str, Any] = {
        "bill": table.bill_length_mm, "flipper": table.flipper_length_mm, "mass": table.body_mass_g,
        "weight": 1 + (table.body_mass_g % 7) / 7, "year": table.year, "male": (table.sex == "male").astype(int),
        "species_id": table.species.map(SPECIES.index), "island": table.island, "sex": table.sex,
        "species": table.species, "words": vowels.where(table.year > 2007, None),
    }  # fmt: skip
    batch = pa.RecordBatch.from_arrays([_lists(name, values) for name, values in columns.items()], list(columns))
    examples, rows = artifacts.Examples(root / "examples"), records.encode(batch)
    for index in range(3):
        records.write(examples.shard("eval", index, 3), rows[100 * index : 100 * (index + 1)])
    records.write(examples.shard("test", 0, 1), rows[300:])
    records.write(artifacts.Examples(root / "together").shard("eval", 0, 1), rows[:300])
    schema = artifacts.Schema(root / "schema")
    schema.write(_schema())
    kinds = {name: (name, 0.5) for name in ("sex", "species", "mass", "both")} | {"worse": ("sex", -0.02)}
    models = {name: save(root / name, *arguments) for name, arguments in kinds.items()}
    return Penguins(examples.root, schema.root, models)


def _lists(name: str, values: pd.Series) -> pa.Array:
    kind = pa.float32() if name in _FLOATS else pa.int64() if name in _INTS else pa.binary()
    if name == "words":  # none, one or several values, the same one twice
        return pa.array([value and [word.encode() for word in value] for value in values], pa.list_(kind))
    cells = [None if pd.isna(value) else [value.encode() if isinstance(value, str) else value] for value in values]
    return pa.array(cells, pa.list_(kind))


def _schema() -> schema_pb2.Schema:
    kinds = (
        [(name, "FLOAT") for name in _FLOATS] + [(name, "INT") for name in _INTS] + [(name, "BYTES") for name in _BYTES]
    )
    features = "".join(
        f"feature {{ name: '{name}' type: {kind} value_count {{ min: 1 max: 1 }} presence {{ min_count: 1 }} }} "
        for name, kind in kinds
    )
    return text_format.Parse(features + "feature { name: 'words' type: BYTES }", schema_pb2.Schema())


@dataclass(frozen=True)
class Evaluated:
    """What the executor returned, and the folders it wrote."""

    result: GateResult
    evaluation: Path
    blessing: Path
    validation: Path
    report: Path


@pytest.fixture
def evaluate(penguins: Penguins, tmp_path: Path) -> Callable[..., Evaluated]:
    """Returns a function that evaluates a model, by its name, with an EvalConfig in any notation."""

    def run(eval_config: str, model: str = "sex", baseline: str | None = None, **arguments: Any) -> Evaluated:
        outputs = {name: tmp_path / "out" / name for name in ("evaluation", "blessing", "validation", "report")}
        inputs = {"examples": str(penguins.examples), "schema": str(penguins.schema), "engine": ENGINE}
        models = {"model": penguins.models[model], "baseline_model": penguins.models[baseline] if baseline else ""}
        given = {name: str(path) for name, path in {**models, **outputs}.items() if path}
        return Evaluated(executor.run(eval_config=eval_config, **{**inputs, **given, **arguments}), **outputs)

    return run


@pytest.fixture
def garbage(tmp_path: Path) -> str:
    """Examples that an Evaluator cannot read: whoever reads them fails with a DataError."""
    file = artifacts.Examples(tmp_path / "garbage").shard("eval", 0, 1)
    file.parent.mkdir(parents=True)
    file.write_bytes(b"no gzip, no TFRecord, no Example")
    return str(tmp_path / "garbage")


class Oracle:
    """TFMA in a process of its own. It works while the test does: ask first, then evaluate, then look."""

    def __init__(self, penguins: Penguins, root: Path):
        self._penguins, self._root, self._asked = penguins, root, 0
        program = [sys.executable, "-W", "ignore", "-m", tfma_alone.__name__]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen(program, cwd=Path(__file__).parents[3], **pipes, text=True)

    def ask(self, config: str, *models: str) -> Callable[[], Path]:
        """Starts an evaluation; returns a function that waits for it and returns the folder of its results."""
        number = self._asked = self._asked + 1
        output = self._root / str(number)
        given = {"config": config, "models": self._penguins.serving(*models), "data": str(self._penguins.one_file)}
        schema = str(artifacts.Schema(self._penguins.schema).path)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({**given, "schema": schema, "output": str(output)}) + "\n")
        self._process.stdin.flush()
        answers = self._process.stdout

        def wait() -> Path:
            asked, answer = "", ""
            while asked != str(output):  # those before are of tests that failed before they looked
                asked, answer = json.loads(answers.readline())
            assert answer == "done", answer
            return output

        return wait

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)


@pytest.fixture(scope="session")
def oracle(penguins: Penguins, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oracle]:
    """Evaluates with TFMA as it is installed."""
    process = Oracle(penguins, tmp_path_factory.mktemp("oracle"))
    yield process
    process.close()
