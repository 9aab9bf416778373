"""Exchanges in Parquet, with the bodies as they came: what the collector of KServe's events writes."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from penstock.components.monitoring.windows.account import Account
from penstock.components.monitoring.windows.files import NO_LOG, NOT_WHOLE, Piece
from penstock.components.monitoring.windows.payloads.exchange import Body, Exchange

SCHEMA = pa.schema(
    [
        ("time", pa.timestamp("us", "UTC")),
        ("request_id", pa.string()),
        ("model", pa.string()),
        ("version", pa.int64()),
        ("seconds", pa.float64()),
        ("sample", pa.float64()),
        ("request", pa.large_binary()),
        ("request_type", pa.string()),
        ("response", pa.large_binary()),  # null where there is none
        ("response_type", pa.string()),
    ]
)
_READ = ("time", "request_id", "sample", "request", "request_type", "response", "response_type")
_BATCH_ROWS = 512  # whose bodies are in memory at once


def read(piece: Piece, account: Account) -> Iterator[Exchange]:
    """Yields the exchanges of a piece, also those without a request; counts a file that is damaged."""
    try:
        with pq.ParquetFile(piece.path) as file:
            if missing := next((name for name in _READ if name not in file.schema_arrow.names), None):
                account.left_out.add("files", NO_LOG, f"{piece.name}: there is no column {missing!r}")
                return
            groups = range(piece.start, piece.stop)
            for batch in file.iter_batches(_BATCH_ROWS, groups, columns=list(_READ), use_threads=False):
                yield from _exchanges(batch)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        account.left_out.add("files", NOT_WHOLE, f"{piece.name}: {error}")


def _exchanges(batch: pa.RecordBatch) -> Iterator[Exchange]:
    times = batch.column("time").cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_pylist()
    others = (batch.column(name).to_pylist() for name in _READ[1:])
    for time, request_id, sample, request, request_type, response, response_type in zip(times, *others, strict=True):
        yield Exchange(
            time,
            request_id,
            None if request is None else Body(request, request_type or ""),
            None if response is None else Body(response, response_type or ""),
            sample,
        )
