"""Examples of the first taxi trips, as ExampleGen would write them, and a runner of the executor."""

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pytest
import tensorflow_data_validation as tfdv
from tensorflow_data_validation.statistics import stats_impl

from penstock.components.transform import executor
from penstock.core.artifacts import Examples, Schema, TaskResult
from penstock.core.examples import records

OUTPUTS = (
    "transform_graph",
    "transformed_examples",
    "updated_analyzer_cache",
    "pre_transform_schema",
    "pre_transform_stats",
    "post_transform_schema",
    "post_transform_stats",
    "post_transform_anomalies",
)


def list_columns(table: pa.Table) -> pa.RecordBatch:
    """Cells as lists of one value; an empty cell is null."""
    columns = {}
    for name in table.column_names:
        cells = table[name].combine_chunks()
        if pa.types.is_null(cells.type):
            continue
        kind = pa.float32() if pa.types.is_floating(cells.type) else cells.type
        kind = pa.binary() if pa.types.is_string(kind) else kind
        values = [None if cell is None else [cell] for cell in cells.cast(kind).to_pylist()]
        columns[name] = pa.array(values, pa.large_list(pa.large_binary() if kind == pa.binary() else kind))
    return pa.RecordBatch.from_arrays(list(columns.values()), list(columns))


def write_examples(root: Path, batch: pa.RecordBatch, files: dict[str, int]) -> Path:
    """Deals the rows out to splits with the given numbers of files; writes a schema beside them."""
    examples, count, start = Examples(root), sum(files.values()), 0
    size = -(-batch.num_rows // count)
    for split, number in files.items():
        for index in range(number):
            records.write(examples.shard(split, index, number), records.encode(batch.slice(start, size)))
            start += size
    statistics = stats_impl.generate_statistics_in_memory(batch, tfdv.StatsOptions())
    Schema(root).write(tfdv.infer_schema(statistics))
    return root


@pytest.fixture(scope="session")
def examples_of() -> Callable[[Path, pa.RecordBatch, dict[str, int]], Path]:
    return write_examples


@pytest.fixture(scope="session")
def trips(taxi_csv: Path) -> pa.RecordBatch:
    """The 15,002 trips as list columns."""
    return list_columns(pa.csv.read_csv(taxi_csv, convert_options=pa.csv.ConvertOptions(strings_can_be_null=True)))


@pytest.fixture
def taxi_examples(trips: pa.RecordBatch, tmp_path: Path) -> Path:
    """600 trips: three files to train on, two to evaluate on, and their schema.pbtxt."""
    return write_examples(tmp_path / "examples", trips.slice(0, 600), {"train": 3, "eval": 2})


@dataclass(frozen=True)
class Run:
    root: Path
    result: TaskResult

    def __getattr__(self, name: str) -> Path:
        return self.root / name

    def rows(self, split: str) -> list[bytes]:
        files = Examples(self.root / "transformed_examples").files(split)
        return [record for file in files for batch in records.read(file) for record in batch]


@pytest.fixture
def transform(taxi_examples: Path, tmp_path: Path) -> Callable[..., Run]:
    """Runs the executor on the taxi examples, or on others, in a folder of its own."""

    def run(name: str, **arguments: Any) -> Run:
        for argument in ("splits_config", "custom_config"):
            if argument in arguments and not isinstance(arguments[argument], str):
                arguments[argument] = json.dumps(arguments[argument])
        root = tmp_path / name
        for output in OUTPUTS:
            (root / output).mkdir(parents=True)
        defaults = {"examples": str(taxi_examples), "schema": str(taxi_examples), "engine": "local:1"}
        outputs = {output: str(root / output) for output in OUTPUTS}
        return Run(root, executor.run(**outputs, **{**defaults, **arguments}))

    return run


@pytest.fixture
def module(tmp_path: Path) -> Callable[[str], str]:
    """Writes a user's module with imports of tensorflow and tft before it; returns its path.

    Each has a name of its own: modules stay imported.
    """

    def write(text: str) -> str:
        path = tmp_path / f"user_{uuid.uuid4().hex}.py"
        path.write_text("import tensorflow as tf\nimport tensorflow_transform as tft\n\n" + text)
        return str(path)

    return write
