"""The penguins as tf.Examples: a split of three files, with features that are dense and features that miss values."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from tensorflow_metadata.proto.v0 import schema_pb2

from penstock.core.examples import records
from tests.trainer.tables import Table, write

_TYPES = {
    "f": (pa.float32(), schema_pb2.FLOAT),
    "i": (pa.int64(), schema_pb2.INT),
    "O": (pa.binary(), schema_pb2.BYTES),
}


@dataclass(frozen=True)
class Data:
    """Files of tf.Examples, their glob pattern, their schema, and the rows in the files' order."""

    pattern: str
    files: list[Path]
    schema: Any
    rows: pd.DataFrame


@pytest.fixture(scope="session")
def penguins(penguins_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Data:
    """344 rows; measurements and `sex` have missing values and are sparse, the others are dense, of shape [1]."""
    folder = tmp_path_factory.mktemp("penguins") / "Split-train"
    table = pd.read_csv(penguins_csv).assign(row=range(344))
    table["is_gentoo"] = (table["species"] == "Gentoo").astype(int)
    files = [folder / f"data_tfrecord-{index:05d}-of-00003.gz" for index in range(3)]
    for path, (start, end) in zip(files, [(0, 150), (150, 300), (300, 344)], strict=True):
        columns = [_lists(table[name].iloc[start:end]) for name in table]
        records.write(path, records.encode(pa.RecordBatch.from_arrays(columns, list(table))))
    schema = schema_pb2.Schema()
    for name in table:
        feature = schema.feature.add(name=name, type=_TYPES[table[name].dtype.kind][1])
        if not table[name].isna().any():
            feature.presence.min_fraction = 1
            feature.shape.dim.add(size=1)
    return Data(str(folder / "*"), files, schema, table)


def _lists(column: pd.Series) -> pa.Array:
    """A list column with one value for each row, or none where it is missing."""
    arrow_type = _TYPES[column.dtype.kind][0]
    values = [value.encode() if isinstance(value, str) else value for value in column]
    return pa.array([None if pd.isna(value) else [value] for value in values], pa.large_list(arrow_type))


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., Table]:
    """Returns a function that writes a table (columns by name) as examples, statistics and schema: tables.write."""
    return lambda columns, **arguments: write(tmp_path / f"table-{len(os.listdir(tmp_path))}", columns, **arguments)
