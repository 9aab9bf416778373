"""DuckDB, which gives Arrow itself. A file that is open for reading is open for writing to nobody."""

import contextlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

import duckdb
import pyarrow as pa
from sqlalchemy.dialects.postgresql.base import PGDialect

from penstock.components.example_gen.sources.sql import statements
from penstock.components.example_gen.sources.sql.databases import files, numbers
from penstock.components.example_gen.sources.sql.databases.database import (
    BATCH_ROWS,
    Connection,
    Database,
    NoColumn,
    NoTable,
)
from penstock.core.errors import DataError, PenstockError
from penstock.core.services.retries import Unanswered

_NO_COLUMN = re.compile(r'column "([^"]+)" not found')


class DuckDBConnection(Connection):
    def __init__(self, database: "DuckDB", connection: "duckdb.DuckDBPyConnection") -> None:
        self._database = database
        self._connection = connection

    def names(self, query: str) -> list[str]:
        with self._database.explaining():
            return list(self._connection.sql(query).columns)

    def casts(self, query: str) -> dict[str, str]:
        return {}

    def schema(self, query: str, where: str) -> pa.Schema:
        with self._database.explaining():
            empty = self._connection.sql(statements.of(query, "*", self._database.quote, "false"))
            given = empty.to_arrow_reader(1).schema
        return pa.schema([(field.name, _without_dictionary(field.type)) for field in given])

    def batches(self, query: str, schema: pa.Schema, where: str) -> Iterator[pa.RecordBatch]:
        with self._database.explaining():
            for batch in self._connection.sql(query).to_arrow_reader(BATCH_ROWS):
                columns = [
                    numbers.converted(column, field.type, field.name, where)
                    for column, field in zip(batch.columns, schema, strict=True)
                ]
                yield pa.RecordBatch.from_arrays(columns, schema=schema)

    def values(self, query: str) -> list[Sequence[Any]]:
        with self._database.explaining():
            return list(self._connection.sql(query).fetchall())

    def tables(self) -> list[str]:
        found = self.values("SELECT table_schema, table_name FROM information_schema.tables ORDER BY 1, 2")
        return [name if schema == "main" else f"{schema}.{name}" for schema, name in found]


class DuckDB(Database):
    dialect = PGDialect  # whose rules of quoting are DuckDB's

    def check(self) -> None:
        files.require(self.url)

    def fingerprint(self) -> str:
        path = files.path(self.url)
        return files.fingerprint(path, path.with_name(f"{path.name}.wal"))

    def as_text(self, expression: str) -> str:
        return f"CAST({expression} AS varchar)"

    @contextlib.contextmanager
    def connected(self, moment: str = "") -> Iterator[DuckDBConnection]:
        assert not moment
        with self.explaining():
            connection = duckdb.connect(
                str(files.path(self.url)),
                read_only=True,
                # A query that reads other files would be answered from the cache when these change.
                config={"enable_external_access": "false"},
            )
        with contextlib.closing(connection):
            with self.explaining():
                connection.execute("SET TimeZone = 'UTC'")
                connection.execute("BEGIN TRANSACTION")
            yield DuckDBConnection(self, connection)

    def explained(self, error: Exception) -> PenstockError | None:
        if not isinstance(error, duckdb.Error):
            return None
        said = f"{self.shown}: {self.said(error)}"
        if isinstance(error, duckdb.CatalogException) and "Table" in said:
            return NoTable(f"{said}: expected a table that exists")
        if isinstance(error, duckdb.BinderException) and (column := _NO_COLUMN.search(said)):
            return NoColumn(said, column[1])
        if "Could not set lock" in said:
            return Unanswered(said, "another program has the file open for writing: run again when it is done")
        if self._is_of_sqlite():  # which DuckDB would load an extension for, and says that it may not
            return DataError(
                f"{self.shown}: expected a file that DuckDB has written, found one of SQLite: sqlite:///FILE"
            )
        if "not a valid DuckDB database" in said:
            return DataError(f"{said}: expected a file that DuckDB has written")
        return DataError(said)

    def _is_of_sqlite(self) -> bool:
        try:
            with files.path(self.url).open("rb") as file:
                return file.read(15) == b"SQLite format 3"
        except OSError:
            return False


def _without_dictionary(arrow: pa.DataType) -> pa.DataType:
    """Returns a type whose batches can follow one another in a file: an enum's as its values."""
    return arrow.value_type if pa.types.is_dictionary(arrow) else arrow
