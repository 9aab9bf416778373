"""Rows a page at a time, by BigQuery's REST API: slow, and open to every account that may read a table."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from penstock.components.example_gen.sources import pieces
from penstock.components.example_gen.sources.bigquery import faults
from penstock.components.example_gen.sources.bigquery.service import BigQuery
from penstock.core.errors import DataError
from penstock.core.services import retries
from penstock.core.services.retries import Unanswered

_ROW = 100  # bytes, where BigQuery does not say how many a table has
_PAGE = 10_000  # rows


@dataclass(frozen=True)
class PagePiece:
    """Rows of a table, or of what a query's job gave, from `start` on."""

    name: str
    table: str
    job: str
    location: str
    start: int
    count: int
    size: int


def cut(service: BigQuery, table: Any, name: str, job: str = "", location: str = "") -> list[PagePiece]:
    """Returns the pieces of a table, or of what a query's job gave, which a person knows by `name`."""
    identifier = f"{table.project}.{table.dataset_id}.{table.table_id}"
    rows = table.num_rows or service.total_rows(identifier, job, location)
    row = max(1, table.num_bytes // max(1, rows)) if table.num_bytes else _ROW
    count = max(1, pieces.shard_bytes([rows * row]) // row)
    return [
        PagePiece(f"{name}, row {start}", identifier, job, location, start, min(count, rows - start), count * row)
        for start in range(0, rows, count)
    ]


def batches(service: BigQuery, piece: PagePiece, chosen: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Yields the rows of a piece; after a failure, those after the last one."""
    given = failures = 0
    while given < piece.count:
        try:
            start, left = piece.start + given, piece.count - given
            rows = service.pages(piece.table, piece.job, piece.location, start, left, _PAGE)
            for batch in rows.to_arrow_iterable():
                yield batch.select(list(chosen)) if chosen else batch
                given, failures = given + batch.num_rows, 0
            if not given < piece.count:
                return
            raise DataError(f"{piece.name}: expected {piece.count} rows, received {given}: it was changed while read")
        except Exception as error:
            failure = faults.meaning(error, piece.name)
            if not isinstance(failure, Unanswered):
                raise (failure or error) from None
        failures += 1
        if failures == retries.TRIES:
            raise failure
        retries.pause(failures, failure)
