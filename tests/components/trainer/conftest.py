"""What stands upstream of the Trainer, made by the real components: taxi trips and penguins, transformed."""

import os
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from penstock.components.schema_gen import executor as schema_gen
from penstock.components.statistics_gen import executor as statistics_gen
from penstock.components.trainer import executor
from penstock.components.transform import executor as transform
from penstock.core.artifacts import Examples
from penstock.core.examples import records

# One process: TensorFlow, which runs in this one, does not survive a fork.
ENGINE = "local:1"
_TRANSFORM_OUTPUTS = [
    "transform_graph",
    "transformed_examples",
    "updated_analyzer_cache",
    "pre_transform_schema",
    "pre_transform_stats",
    "post_transform_schema",
    "post_transform_stats",
    "post_transform_anomalies",
]


@dataclass(frozen=True)
class Upstream:
    """Folders of the artifacts that a Trainer is given."""

    root: Path

    def inputs(self) -> dict[str, str]:
        names = {"examples": "transformed_examples"}
        inputs = ("examples", "transform_graph", "schema", "statistics")
        return {name: str(self.root / names.get(name, name)) for name in inputs}


def build(root: Path, table: pd.DataFrame, module_file: Path) -> Upstream:
    """Runs StatisticsGen, SchemaGen and Transform on the table, two thirds of it as split train, the rest as eval."""
    examples, cut = Examples(root / "examples"), len(table) * 2 // 3
    for split, part in (("train", table[:cut]), ("eval", table[cut:])):
        records.write(examples.shard(split, 0, 1), records.encode(list_columns(part)))
    folders = {name: str(root / name) for name in ("statistics", "schema", *_TRANSFORM_OUTPUTS)}
    for folder in folders.values():
        os.makedirs(folder)
    source, schema = str(examples.root), folders["schema"]
    statistics_gen.run(statistics=folders["statistics"], examples=source, engine=ENGINE)
    schema_gen.run(schema=schema, statistics=folders["statistics"])
    outputs = {name: folders[name] for name in _TRANSFORM_OUTPUTS}
    transform.run(**outputs, examples=source, schema=schema, module_file=str(module_file), engine=ENGINE)
    return Upstream(root)


def list_columns(table: pd.DataFrame) -> pa.RecordBatch:
    """Cells as lists of one value, missing ones as nulls; numbers that are whole are integers."""
    columns = {}
    for name in table:
        values = table[name].convert_dtypes()
        cells = [None if cell is pd.NA or pd.isna(cell) else [cell] for cell in values]
        if pd.api.types.is_integer_dtype(values.dtype):
            arrow_type = pa.int64()
        elif pd.api.types.is_float_dtype(values.dtype):
            arrow_type = pa.float32()
        else:
            arrow_type, cells = pa.large_binary(), [cell and [cell[0].encode()] for cell in cells]
        columns[name] = pa.array(cells, pa.large_list(arrow_type))
    return pa.RecordBatch.from_arrays(list(columns.values()), list(columns))


@pytest.fixture(scope="session")
def taxi(taxi_csv: Path, taxi_module: Path, tmp_path_factory: pytest.TempPathFactory) -> Upstream:
    """The first 3,000 trips."""
    return build(tmp_path_factory.mktemp("taxi"), pd.read_csv(taxi_csv, nrows=3000), taxi_module)


@pytest.fixture
def outputs(tmp_path: Path) -> dict[str, str]:
    """The Trainer's output folders, empty."""
    folders = {name: tmp_path / "outputs" / name for name in ("model", "model_run")}
    for folder in folders.values():
        folder.mkdir(parents=True)
    return {name: str(folder) for name, folder in folders.items()}


@pytest.fixture
def seen(taxi: Upstream, outputs: dict[str, str], tmp_path: Path) -> Callable[..., Any]:
    """Returns a function that runs the Trainer with a module that keeps its fn_args, and returns them."""

    def run(**arguments: Any) -> Any:
        module = write_module(tmp_path, _KEEP)
        executor.run(**{**outputs, **taxi.inputs(), "module_file": str(module), **arguments})
        return sys.modules[module.stem].kept

    return run


_KEEP = """
import tensorflow as tf

def run_fn(fn_args):
    global kept
    kept = fn_args
    tf.saved_model.save(tf.Module(), fn_args.serving_model_dir)
"""


def write_module(folder: Path, source: str) -> Path:
    """Writes a module under a name that no other test has imported."""
    module = folder / f"module_{uuid.uuid4().hex}.py"
    module.write_text(source)
    return module


@pytest.fixture
def module(tmp_path: Path) -> Callable[[str], str]:
    """Returns a function that writes a module file and returns its path."""
    return lambda source: str(write_module(tmp_path, source))


@pytest.fixture(scope="session")
def upstream() -> Callable[[Path, pd.DataFrame, Path], Upstream]:
    return build
