"""PostgreSQL, by ADBC: the server's binary COPY straight into Arrow. Of the libraries that were measured the fastest,
and the only one whose connections can share a snapshot.
"""

import contextlib
import functools
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
_AS = {"money": "numeric", "oid": "bigint", "record": "text", "uuid": "text"}
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
    *("PQgetCopyData() failed", "server closed the connection", "FATAL:", "no connection to the server"),
    *("Failed to prepare query: \n", "Connection refused", "timeout expired", "could not receive", "could not send"),
    *("SSL SYSCALL", "Connection reset", "could not translate host name", "No route to host"),
)


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
        kinds = {field.name: _asked_as(field) for field in self._described(query)}
        return {name: f"CAST({self._database.quote(name)} AS {kind})" for name, kind in kinds.items() if kind}

    def schema(self, query: str, where: str) -> pa.Schema:
        return pa.schema([(field.name, _held_as(field)) for field in self._described(query)])

    def batches(self, query: str, schema: pa.Schema, where: str) -> Iterator[pa.RecordBatch]:
        with self._database.explaining():
            self._cursor.execute(query)
            reader = self._cursor.fetch_record_batch()
            for batch in reader:
                columns = [
                    numbers.converted(_stored(column), field.type, field.name, where)
                    for column, field in zip(batch.columns, schema, strict=True)
                ]
                yield pa.RecordBatch.from_arrays(columns, schema=schema)

    def values(self, query: str) -> list[Sequence[Any]]:
        with self._database.explaining():
            self._cursor.execute(query)
            return list(self._cursor.fetchall())

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
        if not found or found[0][0] < 2 * PART_PAGES or self._plan(query) != "Seq Scan":
            return []
        step = max(PART_PAGES, found[0][0] // _MOST_PARTS)
        starts = range(0, found[0][0] - step // 2, step)
        bounds = [f"ctid >= '({start},0)'::tid" for start in starts]
        ends = [f" AND ctid < '({start},0)'::tid" for start in starts[1:]]
        return [lower + upper for lower, upper in zip(bounds, [*ends, ""], strict=True)]

    def _plan(self, query: str) -> str:
        """Returns how a query begins to be executed."""
        self._cursor.adbc_statement.set_options(**{_COPIES: "false"})  # COPY explains nothing
        try:
            ((plan,),) = self.values(f"EXPLAIN (FORMAT JSON) {query}")
        finally:
            self._cursor.adbc_statement.set_options(**{_COPIES: "true"})
        return str(json.loads(plan)[0]["Plan"]["Node Type"])

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
        if not isinstance(error, adbc_driver_manager.dbapi.Error | OSError):
            return None
        text = str(error)
        state = getattr(error, "sqlstate", None) or next(
            (state for pattern, state in _STATES.items() if re.search(pattern, text)), ""
        )
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
        if state[:2] in ("08", "40", "57") or (not state and any(words in text for words in _GONE)):
            return Unanswered(said, "is the server running, and reachable from here?")
        if not state and "Failed to connect" in text:
            return ServerError(said)
        return DataError(said)

    def said(self, error: BaseException) -> str:
        """Returns the server's own sentence, without what the driver writes around it, such as the query."""
        text = str(error)
        for words in ("ERROR:  ", "FATAL:  ", "Failed to connect: "):
            text = text.rpartition(words)[2]
        return super().said(Exception("the connection was lost" if "[libpq]" in text else text))


def _told(field: pa.Field, key: str) -> str:
    """Returns what the driver tells of a column, "" for nothing."""
    metadata: dict[bytes, bytes] = field.metadata or {}
    return metadata.get(f"POSTGRESQL:{key}".encode(), b"").decode()


def _asked_as(field: pa.Field) -> str:
    """Returns the type that a column is asked for as; "" for its own."""
    name = _told(field, "type")
    if name in _AS:
        return _AS[name]
    element = field.type.value_type if pa.types.is_list(field.type) else field.type
    if isinstance(element, pa.UuidType):
        return "text[]"
    if isinstance(element, pa.OpaqueType) and pa.types.is_binary(element.storage_type):
        return "text"
    return ""


def _held_as(field: pa.Field) -> pa.DataType:
    """Returns the type that a column has here: numerics are numbers, whole ones where they have no places."""
    element = field.type.value_type if pa.types.is_list(field.type) else field.type
    if isinstance(element, pa.OpaqueType) and element.type_name == "numeric":
        modifier = int(_told(field, "typmod") or -1)
        whole = modifier >= 4 and not (modifier - 4) & 0x7FF
        element = pa.decimal128(38, 0) if whole else pa.float64()
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
