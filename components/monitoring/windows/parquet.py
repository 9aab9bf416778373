"""Rows of a request log in Parquet, column by column."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from penstock.components.monitoring.windows.account import Account
from penstock.components.monitoring.windows.files import NO_LOG, NOT_WHOLE, Piece
from penstock.components.monitoring.windows.logged import ABOUT, BATCH_ROWS, INPUTS, OUTPUTS, LoggedRows


def read(piece: Piece, account: Account) -> Iterator[LoggedRows]:
    """Yields the rows of a piece; counts a file that is damaged, or that is none of a request log."""
    try:
        with pq.ParquetFile(piece.path) as file:
            names = [name for name in file.schema_arrow.names if _is_wanted(name)]
            if missing := next((name for name in ABOUT.names if name not in names), None):
                account.left_out.add("files", NO_LOG, f"{piece.name}: there is no column {missing!r}")
                return
            groups = range(piece.start, piece.stop)
            for batch in file.iter_batches(BATCH_ROWS, groups, columns=names, use_threads=False):
                yield _rows(batch)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        account.left_out.add("files", NOT_WHOLE, f"{piece.name}: {error}")


def _is_wanted(name: str) -> bool:
    return name in ABOUT.names or name.startswith((INPUTS, OUTPUTS))


def _rows(batch: pa.RecordBatch) -> LoggedRows:
    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
    about = [columns[field.name].cast(field.type) for field in ABOUT]
    return LoggedRows(
        pa.RecordBatch.from_arrays(about, schema=ABOUT),
        {name.removeprefix(INPUTS): column for name, column in columns.items() if name.startswith(INPUTS)},
        {name.removeprefix(OUTPUTS): column for name, column in columns.items() if name.startswith(OUTPUTS)},
    )
