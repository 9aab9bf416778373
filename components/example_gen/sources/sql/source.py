"""Tables and queries of databases, all rows of one moment."""

import contextlib
import datetime
import importlib.util
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Self

import pyarrow as pa

from penstock.components.example_gen import configs, labels
from penstock.components.example_gen.configs import InputSplit
from penstock.components.example_gen.inputs import span_macros
from penstock.components.example_gen.sources import columns
from penstock.components.example_gen.sources.pieces import Shard
from penstock.components.example_gen.sources.reading_again import reading_again
from penstock.components.example_gen.sources.source import Asked, Opened, Request, Resolved
from penstock.components.example_gen.sources.sql import copies, databases, ranges, statements
from penstock.components.example_gen.sources.sql.copies import CopyPiece
from penstock.components.example_gen.sources.sql.databases.database import Connection, Database, NoColumn, NoTable
from penstock.components.example_gen.sources.sql.options import SqlOptions
from penstock.components.example_gen.sources.sql.ranges import RangePiece
from penstock.components.example_gen.sources.sql.readers import Readers
from penstock.components.example_gen.sources.sql.statements import Relation
from penstock.components.example_gen.sources.table import TableSource
from penstock.core.arguments import parse_object
from penstock.core.errors import ConfigError, DataError
from penstock.core.services.retries import Unanswered
from penstock.core.suggestions import did_you_mean

type SqlPiece = CopyPiece | RangePiece

_SMALL = 256 * 2**20  # bytes of a database, which take a second or two to copy


@dataclass(frozen=True)
class SqlSource(TableSource[SqlPiece]):
    """Reads a query's rows: out of a copy that `open` made, or range by range in the moment that it holds.

    Only connections of PostgreSQL can share a moment. So there, with `partition_by`, each range is read by the worker
    that writes it; all else is copied over one connection and then divided.
    """

    options: SqlOptions

    @classmethod
    def resolve(cls, asked: Asked) -> Resolved:
        """Makes a query of what is asked for, and asks the database whether it can be read.

        With `changed_by` a query is bound to the rows up to the newest change that there is now, and the fingerprint
        is their number and that change. Without, it is that of the file, where the database is one; else no two are
        equal, for nothing tells that the rows are the same.
        """
        options = SqlOptions.parse(asked.options)
        relations = _relations(options, asked.splits)
        return _answered(lambda: _resolved(options, relations, asked))

    @classmethod
    def may_be_looked_at(cls, asked: Asked) -> bool:
        """Only of a small file that is here: a server has other users, and all rows of a file are copied."""
        kind, _, file = str(asked.options.get("url", "")).partition(":///")
        if kind not in ("sqlite", "duckdb") or not importlib.util.find_spec("sqlalchemy"):
            return False
        return Path(file).is_file() and Path(file).stat().st_size <= _SMALL

    @classmethod
    @contextlib.contextmanager
    def open(cls, request: Request) -> Iterator[Opened[SqlPiece]]:
        """Opens one transaction for all splits. Copies are in the request's scratch folder; the transaction whose
        moment workers read in stays open until the end.
        """
        options = SqlOptions.parse(parse_object("sql", request.options))
        with contextlib.ExitStack() as stack:
            looked = _answered(lambda: _look(options, request, stack))
            queries = {f"query.{number}": split.pattern for number, split in enumerate(request.splits)}
            yield Opened(
                cls(options), _shards(looked.pieces), {"statements": len(queries)}, origin={**queries, **looked.origin}
            )

    def batches(self, piece: SqlPiece) -> Iterator[pa.RecordBatch]:
        if isinstance(piece, CopyPiece):
            yield from copies.read(piece)
            return
        yield from _answered(lambda: self._range(piece))

    def rows(self, piece: SqlPiece) -> int:
        return piece.rows if isinstance(piece, CopyPiece) else super().rows(piece)

    def _range(self, piece: RangePiece) -> list[pa.RecordBatch]:
        """Returns all rows of a range: a part of them could not be told from the rest after the connection was cut."""
        database = databases.named(self.options.address)
        with database.connected(piece.moment) as connection:
            return list(connection.batches(piece.query, connection.schema(piece.query, piece.name), piece.name))


def _answered[Answer](ask: Callable[[], Answer]) -> Answer:
    """Returns an answer; what fails and may pass soon is asked for again, a few times."""
    return next(reading_again(lambda: iter([ask()]), lambda error: error if isinstance(error, Unanswered) else None))


def _relations(options: SqlOptions, splits: Sequence[InputSplit]) -> dict[str, Relation]:
    """Returns what each input split is read from."""
    if splits is configs.DEFAULT_INPUT:
        if not (options.table or options.query):
            raise ConfigError("sql: expected a table or a query (data.sql), or a query for each split (data.splits)")
        return {split.name: Relation(options.table, options.query) for split in splits}
    if options.table or options.query:
        raise ConfigError("sql: expected no table or query beside splits that are queries (data.splits)")
    configs.check_distinct_inputs(tuple(splits))
    return {split.name: Relation(query=split.pattern) for split in splits}


def _resolved(options: SqlOptions, relations: Mapping[str, Relation], asked: Asked) -> Resolved:
    database = databases.named(options.address)
    unbound = [
        InputSplit(split, statements.rows(relation, options, database.quote)) for split, relation in relations.items()
    ]
    queries = span_macros.spanned(unbound, asked.spans)
    with database.connected() as connection:
        for split, relation in relations.items():
            where = _where(relation, split)
            everything = f"SELECT * FROM {relation.after_from(database.quote)}"
            names = _check_names(span_macros.expanded(everything, queries.span), where, options, connection)
            if options.where:
                asked_for = span_macros.expanded(statements.rows(relation, options, database.quote), queries.span)
                _check_condition(asked_for, where, names, connection)
        bound = [_bound(split, relations[split.name], options, database, connection) for split in queries.splits]
    return Resolved(
        [InputSplit(one.split, one.query) for one in bound],
        "\n".join(f"split:{one.split},{one.fingerprint}" for one in bound),
        queries.span,
        0,
        queries.spans,
    )


def _check_names(query: str, where: str, options: SqlOptions, connection: Connection) -> list[str]:
    """Returns the columns; a DataError with the nearest name where the table or one that a key names does not exist."""
    try:
        names = connection.names(query)
    except NoTable as error:
        if not options.table:
            raise DataError(f"{where}: {error.message}") from None
        raise DataError(
            f"{where}: there is no table {options.table!r}; {did_you_mean(options.table, connection.tables())}"
        ) from None
    keys = {"columns": options.columns, "partition_by": [options.partition_by], "changed_by": [options.changed_by]}
    for key, given in keys.items():
        for name in filter(None, given):
            if name not in names:
                raise DataError(f"{where}: sql.{key}: there is no column {name!r}; {did_you_mean(name, names)}")
    return names


def _check_condition(query: str, where: str, names: Sequence[str], connection: Connection) -> None:
    """Raises a DataError with the nearest name where a query's condition names a column that there is not."""
    try:
        connection.names(query)
    except NoColumn as error:
        column = error.column
        raise DataError(f"{where}: sql.where: there is no column {column!r}; {did_you_mean(column, names)}") from None
    except DataError as error:
        raise DataError(f"{where}: sql.where: {error.message}", error.details) from None


class _Bound(NamedTuple):
    split: str
    query: str
    fingerprint: str


def _bound(
    split: InputSplit, relation: Relation, options: SqlOptions, database: Database, connection: Connection
) -> _Bound:
    """Returns the query of the rows that there are now, and what changes when they do."""
    if not options.changed_by:
        connection.names(split.pattern)  # which the database refuses here rather than after it was waited for
        found = database.fingerprint() or f"read:{datetime.datetime.now(datetime.UTC).isoformat()}"
        return _Bound(split.name, split.pattern, found)
    changed = database.quote(options.changed_by)
    newest = database.as_text(f"max({changed})")
    ((rows, value),) = connection.values(statements.of(split.pattern, f"count(*), {newest}", database.quote))
    query = split.pattern
    if value is not None:
        condition = f"{changed} <= {database.literal(value)} OR {changed} IS NULL"
        if relation.table:
            query = statements.narrowed(query, relation, options, database.quote, condition)
        else:
            query = statements.of(query, "*", database.quote, condition)
    return _Bound(split.name, query, f"rows:{rows},newest:{value}")


class _Looked(NamedTuple):
    """The pieces of each input split, and what is told of the moment that they are of."""

    pieces: Mapping[str, Sequence[SqlPiece]]
    origin: Mapping[str, str]


def _look(options: SqlOptions, request: Request, stack: contextlib.ExitStack) -> _Looked:
    """Opens the transaction and cuts its rows. It is closed again where the pieces are copies, and where this fails."""
    with contextlib.ExitStack() as trying:
        database = databases.named(options.address)
        connection = trying.enter_context(database.connected())
        readers = Readers(database, connection, trying)
        shared = connection.share() if options.partition_by else None
        folder = Path(tempfile.mkdtemp(prefix="sql-", dir=request.scratch))  # other splits may be other sources
        pieces: dict[str, list[SqlPiece]] = {}
        for number, split in enumerate(request.splits):
            where = _where(Relation(options.table, options.query), split.name)
            query = _Query.of(split.pattern, where, options, request.label, database, connection)
            if shared:
                found: Sequence[SqlPiece] = query.ranges(shared["moment"])
            else:
                found = query.copies(folder, number, readers)
            pieces.setdefault(split.name, []).extend(found)
        if not any(pieces.values()):
            names = dict.fromkeys(_where(Relation(options.table, options.query), split) for split in pieces)
            raise DataError(f"{', '.join(names)}: there is no row: expected at least one")
        if shared:
            stack.enter_context(trying.pop_all())
        origin = {"database": database.shown} | ({"snapshot": shared["snapshot"]} if shared else {})
    return _Looked(pieces, origin)


@dataclass(frozen=True)
class _Query:
    """A split's query, in an open transaction. `selection` are the columns that are read of it, "*" for all."""

    text: str
    where: str
    options: SqlOptions
    selection: str
    schema: pa.Schema
    database: Database
    connection: Connection

    @classmethod
    def of(
        cls, text: str, where: str, options: SqlOptions, label: str, database: Database, connection: Connection
    ) -> Self:
        """Checks the columns; a DataError for those that do not exist, or can be no features."""
        _check_names(text, where, replace(options, changed_by=""), connection)
        casts = connection.casts(text)
        selection = "*"
        if casts or options.columns:
            names = options.columns or connection.names(text)
            quoted = {name: database.quote(name) for name in names}
            selection = ", ".join(
                f"{casts[name]} AS {quote}" if name in casts else quote for name, quote in quoted.items()
            )
        query = cls(text, where, options, selection, pa.schema([]), database, connection)
        query = replace(query, schema=connection.schema(query.ordered(), where))
        kinds = columns.kinds(query.schema, where)
        if label:
            labels.require_column(label, kinds, where)
        return query

    def ordered(self, condition: str = "") -> str:
        """Returns the query as it is read; of a condition the rows for which it holds."""
        key = self.options.partition_by
        if self.selection == "*" and not key:
            return self.text
        return statements.of(self.text, self.selection, self.database.quote, condition, key)

    def ranges(self, moment: str) -> list[RangePiece]:
        key, rows = self.options.partition_by, self.options.rows_per_shard
        conditions = ranges.cut(self.text, key, rows, self.database, self.connection)
        size = ranges.size(rows, self.schema)
        return [
            RangePiece(f"{self.where}, {condition}", self.ordered(condition), moment, size) for condition in conditions
        ]

    def copies(self, folder: Path, number: int, readers: Readers) -> list[CopyPiece]:
        parts = self._parts()
        told = copies.Told(self.where)
        found: dict[int, copies.Copy] = {}

        def read(part: int, connection: Connection) -> None:
            batches = connection.batches(parts[part], self.schema, self.where)
            found[part] = copies.write(batches, self.schema, folder / f"{number}-{part}.arrow", told)

        if len(parts) > 1:
            readers.read(range(len(parts)), read)
        else:
            read(0, self.connection)
        return copies.cut([found[part] for part in sorted(found)], self.options.rows_per_shard, self.where)

    def _parts(self) -> list[str]:
        """Returns queries whose rows, one after the other, are this one's: itself where it is not divided."""
        table = Relation(self.options.table)
        quote = self.database.quote
        conditions: list[str] = []
        if table.table and not self.options.partition_by:
            conditions = self.connection.parts(self.ordered(), table.after_from(quote))
        parts = [statements.narrowed(self.text, table, self.options, quote, condition) for condition in conditions]
        return [replace(self, text=part).ordered() for part in parts] or [self.ordered()]


def _where(relation: Relation, split: str) -> str:
    """Returns what a person knows the rows by."""
    if relation.table:
        return f"table {relation.table}"
    return "the query" if split == configs.DEFAULT_INPUT[0].name else f"the query of split {split!r}"


def _shards(pieces: Mapping[str, Sequence[SqlPiece]]) -> list[Shard[SqlPiece]]:
    """Returns a shard for each piece: a person says how many rows it has."""
    return [
        Shard(split, index, len(of_split), (piece,))
        for split, of_split in pieces.items()
        for index, piece in enumerate(of_split)
    ]
