"""BigQuery's tables and queries as rows.

A table is read as it was when the run began: `resolve` notes when it was last changed, and if it is changed before its
rows are read, a snapshot of that moment is. A query is run once, when the rows are read, and its result is read as a
table. Rows come by the Storage Read API, in streams; where the account may not use it, a page at a time.
"""

import contextlib
import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from penstock.components.example_gen import configs, labels
from penstock.components.example_gen.configs import InputSplit
from penstock.components.example_gen.inputs import span_macros
from penstock.components.example_gen.sources import columns, pieces
from penstock.components.example_gen.sources.bigquery import pages, session, state
from penstock.components.example_gen.sources.bigquery.options import BigQueryOptions, is_table
from penstock.components.example_gen.sources.bigquery.pages import PagePiece
from penstock.components.example_gen.sources.bigquery.service import BigQuery, DryRun
from penstock.components.example_gen.sources.bigquery.session import NoSessions
from penstock.components.example_gen.sources.source import Asked, Opened, Request, Resolved
from penstock.components.example_gen.sources.table import TableSource
from penstock.core.arguments import parse_object
from penstock.core.errors import ConfigError, DataError
from penstock.core.files import documents
from penstock.core.suggestions import did_you_mean

logger = logging.getLogger(__name__)
_MOST_STREAMS = 1000
_PRICE = 6.25  # US$ for a TiB that queries read on demand, in the US and the EU (November 2026)


@dataclass(frozen=True)
class StreamPiece:
    """A stream of a read session."""

    name: str
    stream: str
    schema: bytes
    size: int


type BigQueryPiece = StreamPiece | PagePiece


@dataclass(frozen=True)
class BigQuerySource(TableSource[BigQueryPiece]):
    """Reads streams and pages. Types are BigQuery's own: of NUMERIC float32, of JSON and GEOGRAPHY text."""

    options: BigQueryOptions

    @classmethod
    def resolve(cls, asked: Asked) -> Resolved:
        """Looks at the tables, also at those of queries, by a dry run, which costs nothing.

        A query whose result changes by itself (CURRENT_DATE, RAND), or that reads what cannot be looked at, is read
        anew on each run.
        """
        options = BigQueryOptions.parse(asked.options)
        spanned = span_macros.spanned(_asked(asked.splits, options), asked.spans)
        service = BigQuery(options)
        looked = [_looked(service, split) for split in spanned.splits]
        return Resolved(
            [InputSplit(split.name, pattern) for split, (pattern, _) in zip(spanned.splits, looked, strict=True)],
            "\n".join(f"split:{split.name},{seen}" for split, (_, seen) in zip(spanned.splits, looked, strict=True)),
            spanned.span,
            0,
            spanned.spans,
        )

    @classmethod
    def may_be_looked_at(cls, asked: Asked) -> bool:
        """Tables may: what their first rows take is nothing. A query would be run, and billed."""
        return all(is_table(split.pattern) for split in _asked(asked.splits, BigQueryOptions.parse(asked.options)))

    @classmethod
    @contextlib.contextmanager
    def open(cls, request: Request) -> Iterator[Opened[BigQueryPiece]]:
        """Runs the queries, and fixes the rows of all tables in read sessions."""
        options = BigQueryOptions.parse(parse_object("bigquery", request.options))
        service = BigQuery(options)
        parts: dict[str, list[BigQueryPiece]] = {}
        origin: dict[str, str] = {}
        for number, split in enumerate(request.splits):
            found = _opened(service, options, split, request.label)
            parts.setdefault(split.name, []).extend(found.pieces)
            key = split.name if len(request.splits) < 2 else f"{split.name}.{number}"
            origin |= {f"{key}.{name}": text for name, text in found.origin.items()}
        shards = pieces.shards(parts)
        if not shards:
            names = [text for key, text in origin.items() if key.endswith((".table", ".query"))]
            raise DataError(f"data.bigquery: {names[0]}: there is no row: expected at least one")
        yield Opened(cls(options), shards, {"streams": sum(map(len, parts.values()))}, origin=origin)

    def batches(self, piece: BigQueryPiece) -> Iterator[pa.RecordBatch]:
        if isinstance(piece, StreamPiece):
            return session.batches(piece.stream, piece.schema, piece.name)
        return pages.batches(BigQuery(self.options), piece, self.options.columns)


@dataclass(frozen=True)
class _Found:
    pieces: Sequence[BigQueryPiece]
    origin: dict[str, str]


def _asked(splits: Sequence[InputSplit], options: BigQueryOptions) -> Sequence[InputSplit]:
    """Returns what each split is read from, a query or a table."""
    if splits is not configs.DEFAULT_INPUT:
        if options.table or options.query:
            raise ConfigError("bigquery: expected no table or query beside splits, each of which is one")
        return splits
    if not (options.table or options.query):
        raise ConfigError("bigquery: expected a table or a query, or splits that are queries, received none")
    return [InputSplit(splits[0].name, options.query or options.table)]


def _looked(service: BigQuery, split: InputSplit) -> tuple[str, str]:
    """Returns the pattern that stands for a split's rows from now on, and what changes when they do."""
    if not is_table(split.pattern):
        return split.pattern, state.of_query(service, split.pattern)
    table = service.table(split.pattern)
    if not state.is_stored(table):
        return split.pattern, state.of_query(service, f"SELECT * FROM `{split.pattern}`")
    fixed = {"table": split.pattern, "modified": table.modified.isoformat()}
    return documents.json_text(fixed), f"table:{split.pattern},{state.of_table(table)}"


def _opened(service: BigQuery, options: BigQueryOptions, split: InputSplit, label: str) -> _Found:
    """Returns the pieces of a split."""
    if not split.pattern.startswith("{"):
        query = split.pattern
        if is_table(query):
            condition = f" WHERE {options.row_restriction}" if options.row_restriction else ""
            query = f"SELECT {_listed(options.columns)} FROM `{query}`{condition}"
        return _of_query(service, options, query, label)
    fixed = parse_object("bigquery", split.pattern, ("table", "modified"))
    name, modified = str(fixed["table"]), datetime.fromisoformat(str(fixed["modified"]))
    table = service.table(name)
    _check_columns([field.name for field in table.schema], name, options.columns, label)
    snapshot = None if table.modified == modified else modified + timedelta(milliseconds=1)  # BigQuery cuts it off
    if snapshot:
        logger.info("%s has been changed since the run began: it is read as it was at %s", name, modified.isoformat())
    origin = {"table": name, "modified": modified.isoformat()}
    try:
        return _Found(_streams(service, options, table, name, options.row_restriction, snapshot), origin)
    except NoSessions as reason:
        _warn(reason)
    if snapshot:
        raise DataError(f"{name}: it was changed while the run began, and pages have no snapshot: run again")
    if options.row_restriction:
        query = f"SELECT {_listed(options.columns)} FROM `{name}` WHERE {options.row_restriction}"
        return _of_query(service, options, query, label)
    return _Found(pages.cut(service, table, name), origin)


def _of_query(service: BigQuery, options: BigQueryOptions, query: str, label: str) -> _Found:
    where = f"query {' '.join(query.split())[:60]!r}"
    dry_run = service.dry_run(query, where)
    _tell(dry_run, options, where)
    _check_columns(dry_run.columns, where, options.columns, label)
    answered = service.run(query, where)
    origin = {"query": query, "job": answered.job, "tables": ", ".join(dry_run.tables)}
    try:
        return _Found(_streams(service, options, answered.table, where, "", None), origin)
    except NoSessions as reason:
        _warn(reason)
    return _Found(pages.cut(service, answered.table, where, answered.job, answered.location), origin)


def _tell(dry_run: DryRun, options: BigQueryOptions, where: str) -> None:
    """Says what a query is to read, before it is run."""
    logger.info(
        "%s reads %s of %s: US$ %.4f where bytes are billed, at %.2f per TiB",
        where,
        _bytes(dry_run.size),
        ", ".join(dry_run.tables) or "no table",
        dry_run.size / 2**40 * _PRICE,
        _PRICE,
    )
    _check_bytes(dry_run.size, options, where)


def _check_bytes(size: int, options: BigQueryOptions, where: str) -> None:
    if 0 < options.maximum_bytes_billed < size:
        raise ConfigError(
            f"{where}: it would read {size:,} bytes, and maximum_bytes_billed is {options.maximum_bytes_billed:,}: "
            "raise it, or read fewer columns or days"
        )


def _bytes(size: int) -> str:
    unit = min(4, int(math.log(size, 1024))) if size else 0
    return f"{size / 1024**unit:.4g} {('bytes', 'KiB', 'MiB', 'GiB', 'TiB')[unit]}"


def _check_columns(names: Sequence[str], where: str, chosen: Sequence[str], label: str) -> None:
    for name in chosen:
        if name not in names:
            raise DataError(f"{where}: there is no column {name!r}; {did_you_mean(name, names)}")
    if label and "." not in label:  # of a struct's field the Arrow schema tells
        labels.require_column(label, chosen or names, where)


def _streams(
    service: BigQuery, options: BigQueryOptions, table: Any, name: str, restriction: str, snapshot: datetime | None
) -> list[BigQueryPiece]:
    size = table.num_bytes or 0
    most = max(1, min(_MOST_STREAMS, size // pieces.shard_bytes([size])))
    made = session.create(table, name, service.project, options.columns, restriction, snapshot, most)
    _check_bytes(made.size, options, name)
    columns.kinds(pa.ipc.read_schema(pa.py_buffer(made.schema)), name)
    each = max(1, made.size // max(1, len(made.streams)))
    return [
        StreamPiece(f"{name}, stream {number}", stream, made.schema, each)
        for number, stream in enumerate(made.streams, 1)
    ]


def _listed(chosen: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in chosen) or "*"


def _warn(reason: NoSessions) -> None:
    logger.warning(
        "rows are read page by page, which is slow, for the Storage Read API is not to be had (%s): "
        "roles/bigquery.readSessionUser lets an account use it",
        str(reason).removesuffix("."),
    )
