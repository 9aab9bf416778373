"""Iceberg tables: data files, or row groups of them, as shards."""

import contextlib
import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa

from penstock.components.example_gen import labels
from penstock.components.example_gen.configs import DEFAULT_INPUT, InputSplit
from penstock.components.example_gen.sources import columns, pieces
from penstock.components.example_gen.sources.iceberg import catalogue, files, snapshots
from penstock.components.example_gen.sources.iceberg.files import Part
from penstock.components.example_gen.sources.iceberg.options import IcebergOptions, Pinned
from penstock.components.example_gen.sources.reading_again import reading_again
from penstock.components.example_gen.sources.source import Asked, Opened, Request, Resolved
from penstock.components.example_gen.sources.table import TableSource
from penstock.core.errors import ConfigError, DataError
from penstock.core.services.retries import Unanswered
from penstock.core.suggestions import did_you_mean, listed

if TYPE_CHECKING:
    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.schema import Schema
    from pyiceberg.table import DataScan, FileScanTask, IncrementalAppendScan, Table


@dataclass(frozen=True)
class IcebergPiece:
    """A data file of a snapshot with what is deleted of it, or a part of one."""

    name: str
    size: int
    scan: Pinned
    task: "FileScanTask"
    part: Part


@dataclass(frozen=True)
class IcebergSource(TableSource[IcebergPiece]):
    """Reads data files with PyIceberg. `options` are the table's as JSON."""

    options: str

    @classmethod
    def resolve(cls, asked: Asked) -> Resolved:
        """Finds the snapshot; with spans, which are sequence numbers, what the snapshots of these appended.

        A split's pattern is a filter of its own.
        """
        options = IcebergOptions.of(asked.options)
        table = catalogue.table(options)
        span, words = 0, ""
        if asked.spans:
            scan, first, span = snapshots.appended(table, options, asked.spans)
            words = f"snapshot {span}" if first == span else f"snapshots {first} to {span}"
        else:
            scan = snapshots.pinned(table, options)
        splits = [
            InputSplit(split.name, replace(scan, filter="" if asked.splits is DEFAULT_INPUT else split.pattern).text())
            for split in asked.splits
        ]
        uuid = table.metadata.table_uuid
        fingerprint = "\n".join(f"split:{split.name},iceberg:{uuid},{split.pattern}" for split in splits)
        return Resolved(splits, fingerprint, span, 0, words)

    @classmethod
    @contextlib.contextmanager
    def open(cls, request: Request) -> Iterator[Opened[IcebergPiece]]:
        """Gives shards of data files; a DataError for an expired snapshot, an unknown column, no file with rows."""
        options = IcebergOptions.parse(request.options)
        table = catalogue.table(options)
        scans = {split.name: Pinned.parse(split.pattern) for split in request.splits}
        for scan in scans.values():
            _check(table, options, scan, request.label)
        planned = {split: _pieces(table, options, scan) for split, scan in scans.items()}
        shards = pieces.shards(planned)
        if not shards:
            raise DataError(f"Iceberg table {options.table} holds no row that fits: expected at least one")
        extent = {"files": len({piece.task.file.file_path for of_split in planned.values() for piece in of_split})}
        yield Opened(cls(request.options), shards, extent, origin=_origin(table, options, scans))

    def batches(self, piece: IcebergPiece) -> Iterator[pa.RecordBatch]:
        """Yields the rows of a data file, or of a part of one, that are not deleted and fit the filter."""
        options = IcebergOptions.parse(self.options)
        with catalogue.explained(piece.name):
            table = _at(catalogue.kept(self.options, piece.scan), piece.scan)
            read = functools.partial(
                files.rows,
                table,
                piece.task,
                piece.part,
                _projection(table, options),
                _filter(table, options, piece.scan),
            )
            yield from reading_again(read, functools.partial(_passing, piece.name))


def _passing(where: str, error: Exception) -> Unanswered | None:
    meaning = catalogue.explanation(where, error)
    return meaning if isinstance(meaning, Unanswered) else None


def _at(table: "Table", scan: Pinned) -> "Table":
    """Returns a table whose current schema is the one that is read with: so filters mean its columns."""
    from pyiceberg.table import Table

    metadata = table.metadata.model_copy(update={"current_schema_id": scan.schema_id})
    return Table(table.name(), metadata, table.metadata_location, table.io, table.catalog)


def _check(table: "Table", options: IcebergOptions, scan: Pinned, label: str) -> None:
    """Raises a DataError for a snapshot that is no more, and for columns that do not exist or become no feature."""
    from pyiceberg.io.pyarrow import schema_to_pyarrow

    where = f"Iceberg table {options.table}"
    snapshots.by_id(table, scan.snapshot_id, where)
    arrow = schema_to_pyarrow(_projection(_at(table, scan), options), include_field_ids=False)
    kinds = columns.kinds(arrow, where)
    if label:
        labels.require_column(label, kinds, where)


def _projection(table: "Table", options: IcebergOptions) -> "Schema":
    """Returns the columns to read; a DataError for one that does not exist."""
    schema = table.schema()
    if not options.columns:
        return schema
    known = schema.column_names
    for name in options.columns:
        if name not in known:
            raise DataError(f"Iceberg table {options.table}: there is no column {name!r}; {did_you_mean(name, known)}")
    return schema.select(*options.columns)


def _filter(table: "Table", options: IcebergOptions, scan: Pinned) -> "BooleanExpression":
    """Returns which rows are read; a ConfigError for what is no expression of the table's columns."""
    from pyiceberg.expressions import AlwaysTrue, And, parser
    from pyiceberg.expressions.visitors import bind
    from pyparsing import ParseException

    result: BooleanExpression = AlwaysTrue()
    for text in (options.filter, scan.filter):
        try:
            result = And(result, parser.parse(text)) if text else result
        except ParseException as error:
            raise ConfigError(
                f"iceberg.filter: expected an expression such as fare > 3 AND city = 'Bonn', received {text!r}: "
                f"it cannot be read from character {error.column} on"
            ) from None
    try:
        bind(table.schema(), result, case_sensitive=True)
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f"iceberg.filter: {catalogue.short(error)}: expected columns of {options.table} and values of their types: "
            f"{listed(table.schema().column_names)}"
        ) from None
    return result


def _pieces(table: "Table", options: IcebergOptions, scan: Pinned) -> list[IcebergPiece]:
    """Returns the parts of the data files that may have rows of a scan, by the files' names."""
    table = _at(table, scan)
    where = f"Iceberg table {options.table}"
    with catalogue.explained(where):
        tasks = catalogue.asked_again(
            where, lambda: list(_scan(table, _filter(table, options, scan), scan).plan_files())
        )
    return [
        IcebergPiece(f"{where}: {task.file.file_path.rpartition('/')[2]}", size, scan, task, part)
        for task in sorted(tasks, key=lambda task: str(task.file.file_path))
        for part, size in files.parts(task.file)
    ]


def _scan(table: "Table", row_filter: "BooleanExpression", scan: Pinned) -> "DataScan | IncrementalAppendScan":
    if not scan.appended:
        return table.scan(row_filter, snapshot_id=scan.snapshot_id)
    return table.incremental_append_scan(
        from_snapshot_id_exclusive=scan.after, to_snapshot_id_inclusive=scan.snapshot_id, row_filter=row_filter
    )


def _origin(table: "Table", options: IcebergOptions, scans: Mapping[str, Pinned]) -> dict[str, str]:
    """Returns where the rows are from; all splits are of one snapshot."""
    scan = next(iter(scans.values()))
    snapshot = snapshots.by_id(table, scan.snapshot_id, options.table)
    found = {
        "table": options.table,
        "location": table.location(),
        "snapshot_id": str(scan.snapshot_id),
        "snapshot_time": datetime.fromtimestamp(snapshot.timestamp_ms / 1000, UTC).isoformat(timespec="milliseconds"),
        "filter": options.filter,
    }
    return {key: text for key, text in found.items() if text}
