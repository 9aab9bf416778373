"""PostgreSQL, by ADBC: the server's binary COPY straight into Arrow. Of the libraries that were measured the fastest,
and the only one whose connections can share a snapshot.
"""

import contextlib
import functools
import itertools
import json
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import adbc_driver_manager
import adbc_driver_manager.dbapi
import adbc_driver_postgresql  # type: ignore[import-untyped]
import pyarrow as pa
from sqlalchemy.dialects.postgresql.base import PGDialect

from penstock.components.example_gen.sources.sql.databases import numbers
from penstock.components.example_gen.sources.sql.databases.database import (
    CONNECT_SECONDS,
    LOCK_SECONDS,
    Connection,
    Database,
    NoColumn,
    NoTable,
)
from penstock.core.errors import DataError, PenstockError, ServerError, ServerUnavailable
from penstock.core.services.retries import Unanswered

if TYPE_CHECKING:
    from adbc_driver_manager.dbapi import Cursor

# Rows come in the same order whenever a table is read: alone, from its beginning. Times are UTC, the keys' texts too.
# All of it ends with the transaction: a pooler may give the connection to others.
_SETTINGS = {
    "application_name": "penstock",
    "TimeZone": "UTC",
    "DateStyle": "ISO",
    "IntervalStyle": "iso_8601",
    "standard_conforming_strings": "on",
    "synchronize_seqscans": "off",
    "max_parallel_workers_per_gather": "0",
    "idle_in_transaction_session_timeout": "0",
}
_BATCH, _BATCH_BYTES = "adbc.postgresql.batch_size_hint_bytes", 1 << 20
_COPIES = "adbc.postgresql.use_copy"
PART_PAGES = 1024  # of 8 KB: a few hundredths of a second, of which asking for a part is a small share
_MOST_PARTS = 256
# Of tables in one file of pages, by which the server finds rows since version 14.
_PAGES = """SELECT pg_relation_size(c.oid) / current_setting('block_size')::int FROM pg_class c
    JOIN pg_am a ON a.oid = c.relam WHERE c.oid = {table}::regclass AND a.amname = 'heap' AND c.relkind IN ('r', 'm')
    AND NOT c.relhassubclass AND current_setting('server_version_num')::int >= 140000"""
_NO_COLUMN = re.compile(r'column "?([^"]+)"? does not exist')
_BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_SNAPSHOT = re.compile(r"[0-9A-F-]+")
_KEEPALIVE = {"connect_timeout": CONNECT_SECONDS, "keepalives_idle": 30, "keepalives_interval": 10}
# What ADBC has no type of its own for, or another one's: these are asked for as something else.
_AS = {"money": "numeric", "oid": "bigint"}
_DIGITS = 38  # of a decimal128
_ASKED_TOGETHER = 1600 // _DIGITS  # of the 1,664 columns that a query may have
_LOST = "08006"
# What ADBC says without an SQLSTATE: in the middle of the rows, and where there is no connection.
_STATES = {
    "password authentication failed": "28P01",
    "no password supplied": "28P01",
    "no pg_hba.conf entry": "28000",
    "role .* does not exist": "28000",
    "database .* does not exist": "3D000",
    "too many clients": "53300",
    "remaining connection slots": "53300",
    "too many connections": "53300",
    "statement timeout": "57014",
    "lock timeout": "55P03",
    "invalid snapshot": "22023",
    "conflict with recovery": "40001",
}
_GONE = (
    *("server closed the connection", "FATAL:", "no connection to the server"),
    *("Failed to prepare query: \n", "Connection refused", "timeout expired", "could not receive", "could not send"),
    *("SSL SYSCALL", "Connection reset", "could not translate host name", "No route to host"),
)
# Of a statement, and of Arrow's readers in the middle of its rows.
_ERRORS = (adbc_driver_manager.dbapi.Error, OSError, pa.ArrowException)


class _Kept:
    """Stands for the driver's database where a connection, which it outlives, closes it."""

    def close(self) -> None:
        pass


@functools.lru_cache(maxsize=4)
def _driver(connection_string: str) -> adbc_driver_manager.AdbcDatabase:
    """Returns the driver's database. It asks for the server's types (190 KB) as it is made, so one is enough for a
    process and those that it forks. It holds no connection.
    """
    made: adbc_driver_manager.AdbcDatabase = adbc_driver_postgresql.connect(connection_string)
    return made


def _connect(connection_string: str) -> adbc_driver_manager.dbapi.Connection:
    connection = adbc_driver_manager.AdbcConnection(_driver(connection_string))
    return adbc_driver_manager.dbapi.Connection(_Kept(), connection, autocommit=True)  # type: ignore[arg-type]


class PostgresConnection(Connection):
    def __init__(self, database: "PostgreSQL", cursor: "Cursor") -> None:
        self._database = database
        self._cursor = cursor

    def names(self, query: str) -> list[str]:
        return list(self._described(query).names)

    def casts(self, query: str) -> dict[str, str]:
        described = self._described(query)
        columns = _columns(described)
        types = ", ".join(f"pg_typeof({column})::text" for column in columns)
        found = f"(\n{query}\n) AS found({', '.join(columns)})"
        (names,) = self.values(f"SELECT {types} FROM (VALUES (1)) AS one LEFT JOIN {found} ON false")  # reads no row
        kinds = {field.name: _asked_as(field, name) for field, name in zip(described, names, strict=True)}
        return {name: f"CAST({self._database.quote(name)} AS {kind})" for name, kind in kinds.items() if kind}

    def schema(self, query: str, where: str) -> pa.Schema:
        described = self._described(query)
        whole = self._whole(query, described)
        return pa.schema([(field.name, _held_as(field, n in whole)) for n, field in enumerate(described)])

    def batches(self, query: str, schema: pa.Schema, where: str) -> Iterator[pa.RecordBatch]:
        for batch in self._read(query):
            columns = [
                numbers.converted(_stored(column), field.type, field.name, where)
                for column, field in zip(batch.columns, schema, strict=True)
            ]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)

    def values(self, query: str) -> list[Sequence[Any]]:
        batches = self._read(query)
        return [row for batch in batches for row in zip(*(column.to_pylist() for column in batch.columns), strict=True)]

    def _read(self, query: str) -> Iterator[pa.RecordBatch]:
        """Yields rows as the driver has them. In the middle of them it tells no SQLSTATE."""
        with self._database.explaining():
            self._cursor.execute(query)
            reader = self._cursor.fetch_record_batch()
        try:
            yield from reader
        except _ERRORS as error:
            raise self._database.meaning(error, _LOST if self._lost() else _state(error)) from None

    def _lost(self) -> bool:
        """Returns whether there is no connection any more, after a statement of the transaction has failed."""
        try:
            self._cursor.execute("SELECT 1")
        except adbc_driver_manager.dbapi.Error as error:
            return error.sqlstate != "25P02"  # the transaction is there: it takes no statement after one that failed
        return False

    def _whole(self, query: str, described: pa.Schema) -> set[int]:
        """Returns which columns are numerics without places, which the driver does not tell.

        The server is asked how it would execute casts to all of them: it leaves out one to the type that there is.
        """
        found = set()
        columns = _columns(described)
        numerics = [(n, "[]" * pa.types.is_list(field.type)) for n, field in enumerate(described) if _is_numeric(field)]
        for asked in itertools.batched(numerics, _ASKED_TOGETHER):
            casts = [f"{columns[n]}::numeric({p},0){list_}" for n, list_ in asked for p in range(1, _DIGITS + 1)]
            outputs = self._plan(
                f"WITH found({', '.join(columns)}) AS MATERIALIZED (\n{query}\n) SELECT {', '.join(casts)} FROM found"
            )["Output"]
            for (n, _), told in zip(asked, itertools.batched(outputs, _DIGITS), strict=True):
                if not all("::" in output for output in told):
                    found.add(n)
        return found

    def tables(self) -> list[str]:
        with self._database.explaining():
            self._cursor.execute("ROLLBACK")
        found = self.values(
            "SELECT table_schema, table_name FROM information_schema.tables "
            "WHERE table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2"
        )
        return [name if schema == "public" else f"{schema}.{name}" for schema, name in found]

    def parts(self, query: str, table: str) -> list[str]:
        """By a table's pages, where the server would read these from the first to the last: that is their order too."""
        found = self.values(_PAGES.format(table=self._database.literal(table)))
        if not found or found[0][0] < 2 * PART_PAGES or self._plan(query)["Node Type"] != "Seq Scan":
            return []
        step = max(PART_PAGES, found[0][0] // _MOST_PARTS)
        starts = range(0, found[0][0] - step // 2, step)
        bounds = [f"ctid >= '({start},0)'::tid" for start in starts]
        ends = [f" AND ctid < '({start},0)'::tid" for start in starts[1:]]
        return [lower + upper for lower, upper in zip(bounds, [*ends, ""], strict=True)]

    def _plan(self, query: str) -> dict[str, Any]:
        """Returns how the last step of a query would be executed."""
        self._cursor.adbc_statement.set_options(**{_COPIES: "false"})  # COPY explains nothing
        try:
            ((plan,),) = self.values(f"EXPLAIN (VERBOSE, FORMAT JSON) {query}")
        finally:
            self._cursor.adbc_statement.set_options(**{_COPIES: "true"})
        found: dict[str, Any] = json.loads(plan)[0]["Plan"]
        return found

    def share(self) -> dict[str, str] | None:
        ((name, moment),) = self.values("SELECT pg_export_snapshot(), pg_current_snapshot()::text")
        return {"moment": str(name), "snapshot": str(moment)}

    def _described(self, query: str) -> pa.Schema:
        with self._database.explaining():
            return self._cursor.adbc_execute_schema(query)


class PostgreSQL(Database):
    dialect = PGDialect

    def check(self) -> None:
        """Any URL may be one: libpq fills in what is left out."""

    def as_text(self, expression: str) -> str:
        return f"CAST({expression} AS text)"

    @contextlib.contextmanager
    def connected(self, moment: str = "") -> Iterator[PostgresConnection]:
        with contextlib.ExitStack() as opened:
            with self.explaining():
                connection = opened.enter_context(_connect(self._connection_string()))
                cursor = opened.enter_context(connection.cursor(adbc_stmt_kwargs={_BATCH: str(_BATCH_BYTES)}))
                cursor.execute(_BEGIN)
                if moment:
                    assert _SNAPSHOT.fullmatch(moment)
                    cursor.execute(f"SET TRANSACTION SNAPSHOT '{moment}'")
                settings = {**_SETTINGS, "lock_timeout": f"{LOCK_SECONDS}s"}
                changed = ", ".join(f"set_config('{name}', '{value}', true)" for name, value in settings.items())
                cursor.execute(f"SELECT {changed}")
            yield PostgresConnection(self, cursor)

    def _connection_string(self) -> str:
        """Returns what libpq connects by. (URLs that SQLAlchemy writes hold spaces, which libpq refuses.)"""
        place = {"host": self.url.host, "port": self.url.port, "user": self.url.username, "dbname": self.url.database}
        settings = {**_KEEPALIVE, **place, "password": self.url.password, **self.url.query}
        escaped = {key: re.sub(r"(['\\])", r"\\\1", str(value)) for key, value in settings.items() if value is not None}
        return " ".join(f"{key}='{value}'" for key, value in escaped.items())

    def explained(self, error: Exception) -> PenstockError | None:
        if not isinstance(error, _ERRORS):
            return None
        state = getattr(error, "sqlstate", None) or _state(error)
        return self.meaning(error, state or _LOST if any(words in str(error) for words in _GONE) else state)

    def meaning(self, error: Exception, state: str) -> PenstockError:
        """Returns an error of the client library as one of ours, by its SQLSTATE; "" where nobody knows it."""
        text = str(error)
        said = f"{self.shown}: {self.said(error)}"
        if state == "42P01":
            return NoTable(f"{said}: expected a table that exists")
        if state == "42703" and (column := _NO_COLUMN.search(said)):
            return NoColumn(said, column[1])
        if state == "22023" and "snapshot" in text:
            return ServerUnavailable(
                f"{self.shown}: the connection that held the snapshot is gone, and rows of another moment would not "
                "fit those that are read: run again"
            )
        if state == "53300":
            return Unanswered(
                said, "every worker is a connection: fewer workers (engine: local:2), or more connections"
            )
        if state == "57014":
            return DataError(
                f"{said}: the server, the database or the role ends queries after its statement_timeout: ask for "
                "fewer rows, or raise it"
            )
        if state == "55P03":
            return Unanswered(said, f"others have locked the table for more than {LOCK_SECONDS} s: run again later")
        if state[:2] == "28" or state == "42501":
            return ServerError(f"{said}: check the user, and what password_env, password_file or url_env holds")
        if state == "3D000":
            return ServerError(f"{said}: name another one at the end of the URL")
        if state[:2] in ("08", "40", "57"):
            return Unanswered(said, "is the server running, and reachable from here?")
        if not state and "Failed to connect" in text:
            return ServerError(said)
        return DataError(said)

    def said(self, error: BaseException) -> str:
        """Returns the server's own sentence, without what the driver writes around it, such as the query."""
        text = str(error)
        for words in ("ERROR:  ", "FATAL:  ", "Failed to connect: "):
            text = text.rpartition(words)[2]
        lost = "PQgetCopyData() failed" in text or "Failed to prepare query: \n" in text
        return super().said(Exception("the connection was lost" if lost else text.removeprefix("[libpq] ")))


def _state(error: Exception) -> str:
    """Returns the SQLSTATE of what the driver says without one; "" for any other."""
    return next((state for pattern, state in _STATES.items() if re.search(pattern, str(error))), "")


def _columns(described: pa.Schema) -> list[str]:
    """Returns names for a query's columns that need no quotes, and of which no two are equal."""
    return [f"c{number}" for number in range(len(described))]


def _is_numeric(field: pa.Field) -> bool:
    element = field.type.value_type if pa.types.is_list(field.type) else field.type
    return isinstance(element, pa.OpaqueType) and element.type_name == "numeric"


def _asked_as(field: pa.Field, name: str) -> str:
    """Returns the type that a column of the server's type `name` is asked for as; "" for its own.

    The name says what is an array, too: the driver does not know types that are newer than its database.
    """
    if name in _AS:
        return _AS[name]
    is_list = pa.types.is_list(field.type)
    element = field.type.value_type if is_list else field.type
    opaque = isinstance(element, pa.OpaqueType) and pa.types.is_binary(element.storage_type)
    if opaque or isinstance(element, pa.UuidType) or pa.types.is_struct(element):
        return "text[]" if is_list or name.endswith("[]") else "text"
    return ""


def _held_as(field: pa.Field, whole: bool) -> pa.DataType:
    """Returns the type that a column has here: numerics are numbers, whole ones where they have no places."""
    element = field.type.value_type if pa.types.is_list(field.type) else field.type
    if _is_numeric(field):
        element = pa.decimal128(_DIGITS, 0) if whole else pa.float64()
    elif isinstance(element, pa.BaseExtensionType):
        element = element.storage_type
    return pa.list_(element) if pa.types.is_list(field.type) else element


def _stored(column: pa.Array) -> pa.Array:
    """Returns a column without types that only the driver knows."""
    if isinstance(column, pa.ExtensionArray):
        return column.storage
    if pa.types.is_list(column.type) and isinstance(column.values, pa.ExtensionArray):
        mask = column.is_null() if column.null_count else None
        return pa.ListArray.from_arrays(column.offsets, column.values.storage, mask=mask)
    return column
