"""A query cut by the values of a column: ranges that connections read side by side, all in one moment."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from penstock.components.example_gen.sources.sql import statements
from penstock.components.example_gen.sources.sql.databases.database import Connection, Database

_BYTES_PER_VALUE = 8  # what a value is taken for, as nobody knows it before the rows are read


@dataclass(frozen=True)
class RangePiece:
    """The rows of one range: a query, and the moment that it is read in."""

    name: str
    query: str
    moment: str
    size: int


def cut(query: str, key: str, rows: int, database: Database, connection: Connection) -> list[str]:
    """Returns the conditions of ranges of about so many rows, in the order of the key, rows without one last.

    They depend on the rows alone: a range begins at every `rows`-th key. Rows with equal keys are in one range,
    however many these are. None where there is no row.
    """
    quoted = database.quote(key)
    numbered = statements.of(
        query, f"{quoted}, row_number() OVER (ORDER BY {quoted}) - 1 AS n", database.quote, f"{quoted} IS NOT NULL"
    )
    first = statements.of(numbered, f"{database.as_text(quoted)}, n", database.quote, f"n % {rows} = 0", order="n")
    found = [database.literal(value) for value, _ in connection.values(first)]
    starts = [start for index, start in enumerate(found) if index == 0 or start != found[index - 1]]
    conditions = list(_between(quoted, starts))
    ((without,),) = connection.values(statements.of(query, "count(*)", database.quote, f"{quoted} IS NULL"))
    if without:
        conditions.append(f"{quoted} IS NULL")
    return conditions


def size(rows: int, schema: pa.Schema) -> int:
    """Returns about how many bytes so many rows are, before they are read."""
    return rows * max(1, len(schema)) * _BYTES_PER_VALUE


def _between(key: str, starts: Sequence[str]) -> Iterator[str]:
    """Yields the conditions from each start to the next one. The first and the last range are open to their sides."""
    for index in range(len(starts)):
        lower = [f"{key} >= {starts[index]}"] if index else []
        upper = [f"{key} < {starts[index + 1]}"] if index + 1 < len(starts) else []
        yield " AND ".join(lower + upper) or f"{key} IS NOT NULL"
