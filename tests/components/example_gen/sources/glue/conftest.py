"""Glue's tables, as moto's server keeps them: the catalogue, and the files in S3."""

import datetime
import decimal
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from penstock.components.example_gen.sources.glue import hive_types
from penstock.core.services import retries, waiting
from tests.components.example_gen.sources import tables
from tests.servers.object_stores import ObjectStore, s3

SERDES = {
    "parquet": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
    "orc": "org.apache.hadoop.hive.ql.io.orc.OrcSerde",
    "avro": "org.apache.hadoop.hive.serde2.avro.AvroSerDe",
    "text": "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe",
    "csv": "org.apache.hadoop.hive.serde2.OpenCSVSerde",
    "json": "org.openx.data.jsonserde.JsonSerDe",
}
TYPES = {
    "id": "bigint",
    "city": "string",
    "fare": "double",
    "price": "decimal(12,2)",
    "at": "timestamp",
    "day": "date",
    "paid": "boolean",
}
NESTED = {"tags": "array<string>", "stop": "struct<zip:int,name:string>"}


def trips(first: int = 0, count: int = 60) -> pa.Table:
    """Rows of many types, as a table of these types has them."""
    start = datetime.datetime(2026, 1, 1)
    rows = [
        {
            "id": row,
            "city": None if row % 7 == 0 else f"city {row % 3}",
            "fare": row / 2,
            "price": decimal.Decimal(row).scaleb(-2),
            "at": start + datetime.timedelta(hours=row),
            "day": start.date() + datetime.timedelta(days=row),
            "paid": None if row % 5 == 0 else row % 2 == 0,
            "tags": ["x"] * (row % 3),
            "stop": {"zip": row, "name": "a"},
        }
        for row in range(first, first + count)
    ]
    types = {**TYPES, **NESTED}
    return pa.Table.from_pylist(rows, pa.schema([(name, hive_types.arrow(kind, name)) for name, kind in types.items()]))


def parquet(table: pa.Table) -> bytes:
    stream = io.BytesIO()
    pq.write_table(table, stream)
    return stream.getvalue()


class Lake:
    """moto's Glue and S3, with a database of the name sales."""

    def __init__(self, store: ObjectStore):
        self.store = store
        self.glue = boto3.client("glue")

    def table(
        self,
        name: str,
        serde: str,
        files: dict[str, bytes],
        types: dict[str, str] | None = None,
        keys: dict[str, str] | None = None,
    ) -> None:
        location = self.store.write(dict(files), name)
        storage = {
            "Columns": [{"Name": column, "Type": kind} for column, kind in (types or {**TYPES, **NESTED}).items()],
            "Location": location,
            "SerdeInfo": {"SerializationLibrary": SERDES[serde]},
        }
        own = [{"Name": key, "Type": kind} for key, kind in (keys or {}).items()]
        self.glue.create_table(
            DatabaseName="sales", TableInput={"Name": name, "StorageDescriptor": storage, "PartitionKeys": own}
        )

    def partition(self, table: str, folder: str, values: list[str], serde: dict[str, Any] | None = None) -> None:
        """Adds a partition to the catalogue; without a SerDe of its own it is written as the table is."""
        storage = {"Location": self.store.uri(table, folder), **({"SerdeInfo": serde} if serde else {})}
        part = {"Values": values, "StorageDescriptor": storage}
        self.glue.create_partition(DatabaseName="sales", TableName=table, PartitionInput=part)

    def clear(self) -> None:
        """Leaves an empty database and an empty bucket."""
        self.store.remove_everything()
        for database in self.glue.get_databases()["DatabaseList"]:
            self.glue.delete_database(Name=database["Name"])
        self.glue.create_database(DatabaseInput={"Name": "sales"})


@pytest.fixture(scope="module")
def running() -> Iterator[Lake]:
    with s3() as store, pytest.MonkeyPatch.context() as patch:
        for name, value in store.environment.items():
            patch.setenv(name, value)
        patch.setenv("AWS_ENDPOINT_URL_GLUE", store.environment["AWS_ENDPOINT_URL_S3"])
        yield Lake(store)


@pytest.fixture
def lake(running: Lake, monkeypatch: pytest.MonkeyPatch) -> Lake:
    monkeypatch.setattr(retries, "PAUSE", 0.0)
    monkeypatch.setattr(waiting, "PAUSE", 0.0)
    running.clear()
    return running


class Read(tables.Read):
    """Resolves and runs ExampleGen on a table of the database."""

    def __init__(self, folder: Path):
        super().__init__(folder)
        self.state = str(folder / "state")

    def __call__(self, table: str, input_config: str = "", **options: Any) -> list[dict[str, Any]]:
        run = {key: options.pop(key) for key in ("engine", "label") if key in options}
        base = json.dumps({"glue": {"database": "sales", "table": table, **options}})
        return super().__call__(base, input_config=input_config, state=self.state, **run)


@pytest.fixture
def read(tmp_path: Path) -> Read:
    return Read(tmp_path)
