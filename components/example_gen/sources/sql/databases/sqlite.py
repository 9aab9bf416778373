"""SQLite, by the library that Python has. A value has a type of its own there, whatever its column is declared as."""

import contextlib
import re
import sqlite3
import urllib.parse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from sqlalchemy.dialects.sqlite.base import SQLiteDialect

from penstock.components.example_gen.sources.sql import statements
from penstock.components.example_gen.sources.sql.databases import files
from penstock.components.example_gen.sources.sql.databases.database import (
    BATCH_ROWS,
    LOCK_SECONDS,
    Connection,
    Database,
    NoColumn,
    NoTable,
)
from penstock.core.errors import DataError, PenstockError
from penstock.core.services.retries import Unanswered

_STORED = ("integer", "real", "text", "blob")
_NO_COLUMN = re.compile(r'no such column: "?(.+?)"?(?: - .*)?$')
_AT_ONCE = 400  # columns whose types are asked for: SQLite returns at most 2,000 values in a row


class SQLiteConnection(Connection):
    def __init__(self, database: "SQLite", connection: sqlite3.Connection) -> None:
        self._database = database
        self._connection = connection

    def names(self, query: str) -> list[str]:
        with self._database.explaining():
            described = self._connection.execute(statements.of(query, "*", self._database.quote, "0")).description
        return [column[0] for column in described]

    def casts(self, query: str) -> dict[str, str]:
        return {}

    def schema(self, query: str, where: str) -> pa.Schema:
        """Returns the types that the values of all rows have."""
        names = self.names(query)
        if len(set(names)) < len(names):
            raise DataError(f"{where}: expected different names of columns, found {', '.join(names)}")
        return pa.schema(
            [
                (name, self._type(name, counts, query, where))
                for start in range(0, len(names), _AT_ONCE)
                for name, counts in self._counts(names[start : start + _AT_ONCE], query)
            ]
        )

    def batches(self, query: str, schema: pa.Schema, where: str) -> Iterator[pa.RecordBatch]:
        with self._database.explaining(), contextlib.closing(self._connection.execute(query)) as cursor:
            while rows := cursor.fetchmany(BATCH_ROWS):
                columns = [
                    pa.array(values, field.type) for values, field in zip(zip(*rows, strict=True), schema, strict=True)
                ]
                yield pa.RecordBatch.from_arrays(columns, schema=schema)

    def values(self, query: str) -> list[Sequence[Any]]:
        with self._database.explaining():
            return [
                [value.decode(errors="replace") if isinstance(value, bytes) else value for value in row]
                for row in self._connection.execute(query)
            ]

    def tables(self) -> list[str]:
        found = self.values("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') ORDER BY 1")
        return [str(name) for (name,) in found]

    def _counts(self, names: Sequence[str], query: str) -> Iterator[tuple[str, dict[str, int]]]:
        """Yields how many values of each type a column has."""
        quote = self._database.quote
        counted = [f"count(*) FILTER (WHERE typeof({quote(name)}) = '{kind}')" for name in names for kind in _STORED]
        (counts,) = self.values(statements.of(query, ", ".join(counted), quote))
        for index, name in enumerate(names):
            own = dict(zip(_STORED, counts[index * len(_STORED) :], strict=False))
            yield name, {kind: count for kind, count in own.items() if count}

    def _type(self, name: str, counts: dict[str, int], query: str, where: str) -> pa.DataType:
        if not counts:
            return pa.null()
        if len(counts) == 1 or set(counts) == {"integer", "real"}:
            kinds = {"integer": pa.int64(), "real": pa.float64(), "text": pa.binary(), "blob": pa.binary()}
            return kinds["real" if "real" in counts else next(iter(counts))]
        rarest = min(counts, key=lambda kind: counts[kind])
        quote = self._database.quote
        numbered = statements.of(query, f"row_number() OVER () AS n, {quote(name)} AS v", quote)
        first = statements.of(numbered, "n, v", quote, f"typeof(v) = '{rarest}'") + " LIMIT 1"
        ((row, value),) = self.values(first)
        others = " and ".join(kind for kind in counts if kind != rarest)
        raise DataError(
            f"{where}: column {name!r}, row {row:,}: expected {others}, as in other rows, found {rarest} "
            f"({str(value)[:40]!r}): mend the row, leave it out (where), or make one type of all in a query, "
            "CAST(… AS …)"
        )


class SQLite(Database):
    dialect = SQLiteDialect

    def check(self) -> None:
        files.require(self.url)

    def fingerprint(self) -> str:
        path = files.path(self.url)
        return files.fingerprint(path, path.with_name(f"{path.name}-wal"))

    @contextlib.contextmanager
    def connected(self, moment: str = "") -> Iterator[SQLiteConnection]:
        assert not moment
        place = urllib.parse.quote(str(Path(files.path(self.url)).absolute()))
        with self.explaining():
            connection = sqlite3.connect(
                f"file:{place}?mode=ro", uri=True, isolation_level=None, timeout=LOCK_SECONDS, check_same_thread=False
            )
        with contextlib.closing(connection):
            connection.text_factory = bytes  # others wrote it, in any encoding
            with self.explaining():
                connection.execute("BEGIN")
                connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()  # the moment is this first look's
            yield SQLiteConnection(self, connection)

    def explained(self, error: Exception) -> PenstockError | None:
        if not isinstance(error, sqlite3.Error):
            return None
        said = f"{self.shown}: {self.said(error)}"
        if "no such table" in said:
            return NoTable(f"{said}: expected a table that exists")
        if column := _NO_COLUMN.search(said):
            return NoColumn(said, column[1])
        if "locked" in said or "busy" in said:
            return Unanswered(said, f"another program has written for more than {LOCK_SECONDS} s: run again later")
        if "not a database" in said or "malformed" in said:
            return DataError(f"{said}: expected a file that SQLite has written, whole")
        return DataError(said)
