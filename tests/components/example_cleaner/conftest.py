"""Real data as examples in two splits of several files, and a function that cleans them."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tfx

from penstock.components.example_cleaner import executor
from penstock.core import artifacts
from penstock.core.artifacts import DataCleaning, Examples, TaskResult
from penstock.core.examples import records

_TAXI = Path(tfx.__file__).parent / "examples/chicago_taxi_pipeline/data/simple/data.csv"
_ROWS = 3000
FILES = 3


@pytest.fixture(scope="session")
def taxi() -> dict[str, pd.DataFrame]:
    """Taxi trips of each split, the types as examples hold them: 32-bit floats, texts, whole numbers."""
    columns = ["company", "payment_type", "fare", "tips", "trip_seconds", "trip_miles", "pickup_community_area"]
    table = pd.read_csv(_TAXI, usecols=[*columns, "pickup_census_tract"])[:_ROWS]
    floats = ["fare", "tips", "trip_miles", "pickup_census_tract"]
    table = table.astype(dict.fromkeys(floats, "float32"))
    for name in ("trip_seconds", "pickup_community_area"):
        table[name] = table[name].astype("Int64")
    cut = _ROWS * 2 // 3
    return {"train": table[:cut].reset_index(drop=True), "eval": table[cut:].reset_index(drop=True)}


@dataclass(frozen=True)
class Cleaned:
    """What a run of ExampleCleaner left."""

    root: Path
    result: TaskResult | None = None

    def frame(self, split: str) -> pd.DataFrame:
        """Returns the rows that are left, a missing value as NaN."""
        batches = records.read_batches(Examples(self.root / "cleaned").files(split))
        tables = [pa.Table.from_batches([_single(batch)]) for batch in batches]
        table = pa.concat_tables(tables, promote_options="permissive")
        return table.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)

    @property
    def quarantine(self) -> pd.DataFrame:
        return pq.read_table(self.root / "quarantine").to_pandas()

    @property
    def cleaning(self) -> Any:
        return json.loads(DataCleaning(self.root / "cleaning").path.read_text())

    @property
    def page(self) -> str:
        return (self.root / "report.html").read_text()

    @property
    def files(self) -> dict[str, bytes]:
        return {str(path.relative_to(self.root)): path.read_bytes() for path in self.root.rglob("*") if path.is_file()}


def _single(batch: pa.RecordBatch) -> pa.RecordBatch:
    columns = []
    for column in batch.columns:
        if pa.types.is_null(column.type):
            columns.append(column)
            continue
        kind = column.type.value_type
        values = pa.array([cell[0] if cell else None for cell in column.to_pylist()], kind)
        columns.append(values.cast(pa.string()) if pa.types.is_large_binary(kind) else values)
    return pa.RecordBatch.from_arrays(columns, batch.schema.names)


type Clean = Callable[..., Cleaned]


@pytest.fixture
def clean(tmp_path: Path, write_examples: Callable[..., Path]) -> Clean:
    """Returns a function that cleans tables by split with rules; all else are arguments of the executor."""

    def of_tables(splits: Mapping[str, Any], *rules: Any, name: str = "out", **arguments: Any) -> Cleaned:
        tables = {split: _table(frame) for split, frame in splits.items()}
        examples = write_examples(tables, files=FILES, name=f"{name}-examples")
        metadata = artifacts.metadata(split_names=tables)
        return run(examples, tmp_path / name, *rules, examples_metadata=metadata, **arguments)

    return of_tables


def run(examples: Path, out: Path, *rules: Mapping[str, Any], **arguments: Any) -> Cleaned:
    """Cleans examples; all that there is afterwards is in `out`."""
    result = executor.run(
        cleaned_examples=str(out / "cleaned"),
        quarantine=str(out / "quarantine"),
        cleaning=str(out / "cleaning"),
        report=str(out / "report.html"),
        examples=str(examples),
        rules=json.dumps(rules),
        **({"engine": "local:1", "max_quarantined": 0.9} | arguments),
    )
    return Cleaned(out, result)


def _table(data: Any) -> Any:
    return pa.Table.from_pandas(data, preserve_index=False) if isinstance(data, pd.DataFrame) else data


@pytest.fixture
def left(tmp_path: Path) -> Callable[[str], Cleaned]:
    """Returns what a run that ended with an error has left."""
    return lambda name="out": Cleaned(tmp_path / name)
