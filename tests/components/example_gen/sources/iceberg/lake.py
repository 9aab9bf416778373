"""A catalogue of SQL in a folder, and rows of many types."""

import datetime
import decimal
import json
import uuid
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyiceberg.catalog import Catalog, load_catalog

ROWS = 1000
START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def trips(first: int = 0, count: int = ROWS) -> pa.Table:
    """Rows of many types, with nulls."""
    ids = range(first, first + count)
    return pa.table(
        {
            "id": pa.array(ids, pa.int64()),
            "city": pa.array([None if row % 7 == 0 else f"city {row % 3}" for row in ids]),
            "fare": pa.array([row / 2 for row in ids], pa.float64()),
            "price": pa.array([decimal.Decimal(row).scaleb(-2) for row in ids], pa.decimal128(12, 2)),
            "at": pa.array([START + datetime.timedelta(hours=row) for row in ids], pa.timestamp("us", "UTC")),
            "day": pa.array([START.date() + datetime.timedelta(days=row % 5) for row in ids]),
            "paid": pa.array([row % 2 == 0 for row in ids]),
            "raw": pa.array([bytes([row % 256]) for row in ids], pa.binary()),
            "key": pa.array([uuid.UUID(int=row).bytes for row in ids], pa.binary(16)),
            "tags": pa.array([["x"] * (row % 3) for row in ids]),
            "stop": pa.array([None if row % 5 == 0 else {"zip": row, "name": "a"} for row in ids]),
            "notes": pa.array([[("k", row)] for row in ids], pa.map_(pa.string(), pa.int64())),
        }
    )


class Lake:
    """A catalogue of SQL in a folder."""

    def __init__(self, root: Path):
        self.root = root
        self.uri = f"sqlite:///{root}/catalog.db"
        self.catalog: Catalog = load_catalog("default", type="sql", uri=self.uri, warehouse=str(root / "lake"))
        self.catalog.create_namespace("db")

    def base(self, **options: Any) -> str:
        own = {"catalog": {"uri": self.uri}, "table": "db.trips", **options}
        return json.dumps({"iceberg": own})
