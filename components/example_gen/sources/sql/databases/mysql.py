"""MySQL and MariaDB, by PyMySQL: one connection, as no two of them can be given one snapshot.

connectorx reads ten times as fast, and is not used: it runs each query in a transaction of its own, and a date such as
0000-00-00 ends its process's thread in a panic.
"""

import contextlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pymysql  # type: ignore[import-untyped]
from pymysql import converters
from pymysql.constants import FIELD_TYPE  # type: ignore[import-untyped]
from pymysql.cursors import SSCursor  # type: ignore[import-untyped]
from sqlalchemy.dialects.mysql.base import MySQLDialect

from penstock.components.example_gen.sources.sql import statements
from penstock.components.example_gen.sources.sql.databases import numbers
from penstock.components.example_gen.sources.sql.databases.database import (
    BATCH_ROWS,
    CONNECT_SECONDS,
    LOCK_SECONDS,
    Connection,
    Database,
    NoColumn,
    NoTable,
)
from penstock.core.errors import ConfigError, DataError, PenstockError, ServerError
from penstock.core.services.retries import Unanswered

_SETTINGS = (
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    "SET SESSION time_zone = '+00:00'",
    "SET SESSION net_write_timeout = 600",
)
_BEGIN = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"
_INTEGERS = {
    *(FIELD_TYPE.TINY, FIELD_TYPE.SHORT, FIELD_TYPE.LONG, FIELD_TYPE.INT24, FIELD_TYPE.LONGLONG, FIELD_TYPE.YEAR),
}
_DECIMALS = {FIELD_TYPE.DECIMAL, FIELD_TYPE.NEWDECIMAL}
# As text MySQL writes six digits of a FLOAT, and a BIT as bytes; as part of a sum these are a DOUBLE and an integer.
_SUMMED = {FIELD_TYPE.FLOAT: "0E0", FIELD_TYPE.BIT: "0"}
_WHOLE = re.compile(r"-?(0|[1-9]\d{0,18})")
_READ_SECONDS = 3600  # an answer may take long, but not for ever
_FILES = ("ssl_ca", "ssl_cert", "ssl_key")
_NO_COLUMN = re.compile(r"column '([^']+)'")
_REFUSED = {1044, 1045, 1142, 1143, 1227, 1698, 2059}
_PASSING = {1040, 1053, 1203, 1205, 1213, 1226, 1317, 1927, 2002, 2003, 2006, 2013, 2014, 4031}
_TOO_MANY = {1040, 1203, 1226}
_TIMEOUTS = {1969, 3024}


class _Unbuffered(SSCursor):  # type: ignore[misc]
    """Rows as they come. Of a connection that is gone PyMySQL's own cursor would read the rest, and fail anew."""

    connection: Any

    def close(self) -> None:
        if self.connection is not None and not self.connection.open:
            if self._result is not None:
                self._result.unbuffered_active = False
            self.connection = None
        super().close()

    __del__ = close


class MySQLConnection(Connection):
    def __init__(self, database: "MySQL", connection: "pymysql.Connection[Any]") -> None:
        self._database = database
        self._connection = connection

    def names(self, query: str) -> list[str]:
        return [str(column[0]) for column in self._described(query)]

    def casts(self, query: str) -> dict[str, str]:
        kinds = {str(name): _SUMMED.get(kind) for name, kind, *_ in self._described(query)}
        return {name: f"({self._database.quote(name)} + {zero})" for name, zero in kinds.items() if zero}

    def schema(self, query: str, where: str) -> pa.Schema:
        return pa.schema([(column[0], _type(column, where)) for column in self._described(query)])

    def batches(self, query: str, schema: pa.Schema, where: str) -> Iterator[pa.RecordBatch]:
        with self._database.explaining(), self._giving_up(), self._connection.cursor(_Unbuffered) as cursor:
            cursor.execute(query)
            while rows := cursor.fetchmany(BATCH_ROWS):
                columns = [
                    _column(values, field, where) for values, field in zip(zip(*rows, strict=True), schema, strict=True)
                ]
                yield pa.RecordBatch.from_arrays(columns, schema=schema)

    def values(self, query: str) -> list[Sequence[Any]]:
        with self._database.explaining(), self._connection.cursor() as cursor:
            cursor.execute(query)
            return [[value.decode() if isinstance(value, bytes) else value for value in row] for row in cursor]

    def tables(self) -> list[str]:
        found = self.values(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY 1"
        )
        return [str(name) for (name,) in found]

    @contextlib.contextmanager
    def _giving_up(self) -> Iterator[None]:
        """Closes the connection on an error: else all rows that the server still sends would have to be read first."""
        try:
            yield
        except BaseException:
            with contextlib.suppress(pymysql.Error):  # it is closed already
                self._connection.close()
            raise

    def _described(self, query: str) -> Sequence[Sequence[Any]]:
        with self._database.explaining(), self._connection.cursor() as cursor:
            cursor.execute(statements.of(query, "*", self._database.quote, "FALSE"))
            return list(cursor.description or ())


class MySQL(Database):
    dialect = MySQLDialect

    def check(self) -> None:
        unknown = sorted(set(self.url.query) - {*_FILES, "charset"})
        if unknown:
            raise ConfigError(f"sql.url: ?{unknown[0]}=: expected {', '.join(_FILES)} after the ?, or nothing")
        if not self.url.database:
            raise ConfigError(f"sql.url: {self.shown}: expected a database's name at its end")

    def literal(self, value: Any) -> str:
        if isinstance(value, str) and _WHOLE.fullmatch(value):  # as a text it would be compared by 53 bits
            return value
        return super().literal(value.replace("\\", "\\\\") if isinstance(value, str) else value)

    def as_text(self, expression: str) -> str:
        return f"CAST({expression} AS CHAR)"

    @contextlib.contextmanager
    def connected(self, moment: str = "") -> Iterator[MySQLConnection]:
        assert not moment
        files = {key: str(self.url.query[key]) for key in _FILES if key in self.url.query}
        with self.explaining():
            connection = pymysql.connect(
                host=self.url.host or "localhost",
                port=self.url.port or 3306,
                user=self.url.username,
                password=str(self.url.password or ""),
                database=self.url.database,
                charset="utf8mb4",
                use_unicode=False,  # values as the server writes them: Arrow makes numbers of whole columns
                conv=converters.encoders,
                connect_timeout=CONNECT_SECONDS,
                read_timeout=_READ_SECONDS,
                autocommit=True,
                **files,
            )
        try:
            with self.explaining(), connection.cursor() as cursor:
                for setting in (*_SETTINGS, f"SET SESSION lock_wait_timeout = {LOCK_SECONDS}", _BEGIN):
                    cursor.execute(setting)
            yield MySQLConnection(self, connection)
        finally:
            with contextlib.suppress(pymysql.Error):  # it may be closed already, by whom it was cut
                connection.close()

    def explained(self, error: Exception) -> PenstockError | None:
        if not isinstance(error, pymysql.MySQLError | OSError):
            return None
        code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
        said = f"{self.shown}: {self.said(error)}"
        if code == 1146:
            return NoTable(f"{said}: expected a table that exists")
        if code == 1054 and (column := _NO_COLUMN.search(said)):
            return NoColumn(said, column[1])
        if code in _REFUSED:
            return ServerError(f"{said}: check the user, and what password_env, password_file or url_env holds")
        if code == 1049:
            return ServerError(f"{said}: name another one at the end of the URL")
        if code in _TIMEOUTS:
            return DataError(f"{said}: the server ends queries after max_statement_time: read fewer rows, or raise it")
        if code in _TOO_MANY:
            return Unanswered(said, "allow more connections, or run fewer tasks at once")
        if code == 1205:
            return Unanswered(said, f"others have locked the table for more than {LOCK_SECONDS} s: run again later")
        if code in _PASSING or isinstance(error, pymysql.InterfaceError | OSError):
            return Unanswered(said, "is the server running, and reachable from here?")
        return DataError(said)

    def said(self, error: BaseException) -> str:
        """Returns the server's own sentence, without its number."""
        text = str(error.args[1]) if len(error.args) > 1 else str(error)
        return super().said(Exception(re.sub(r"\s*\[?\(?Errno.*", "", text) or text))


def _type(column: Sequence[Any], where: str) -> pa.DataType:
    """Returns what a column becomes; dates and times stay as the server writes them, which may be 0000-00-00."""
    name, kind, _, _, _, scale, *_ = column
    if kind in _INTEGERS:
        return pa.int64()
    if kind in _DECIMALS:
        return pa.float64() if scale else pa.decimal128(38, 0)
    if kind in (FIELD_TYPE.FLOAT, FIELD_TYPE.DOUBLE):
        return pa.float64()
    if kind == FIELD_TYPE.NULL:
        return pa.null()
    if kind == FIELD_TYPE.GEOMETRY:
        raise DataError(
            f"{where}: column {name!r}: expected numbers, text, bytes or times, found a geometry: leave it out, or "
            "make text of it in a query, ST_AsText(…)"
        )
    return pa.binary()


def _column(values: Sequence[bytes | None], field: pa.Field, where: str) -> pa.Array:
    raw = pa.array(values, pa.binary())
    if pa.types.is_binary(field.type):
        return raw
    if pa.types.is_null(field.type):
        return pa.nulls(len(values))
    return numbers.converted(raw.cast(pa.string()), field.type, field.name, where)
