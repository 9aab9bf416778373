"""Delta tables: data files, or ranges of them, as shards."""

import contextlib
import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from penstock.components.example_gen import labels
from penstock.components.example_gen.configs import DEFAULT_INPUT, InputSplit
from penstock.components.example_gen.sources import columns, declared, parquet_ranges, pieces
from penstock.components.example_gen.sources.delta import log
from penstock.components.example_gen.sources.delta.log import DataFile
from penstock.components.example_gen.sources.delta.options import DeltaOptions, Filter, Pinned, filters
from penstock.components.example_gen.sources.reading_again import reading_again
from penstock.components.example_gen.sources.source import Asked, Opened, Request, Resolved
from penstock.components.example_gen.sources.table import TableSource
from penstock.core.arguments import parse_object
from penstock.core.errors import ConfigError, DataError, SystemFailure
from penstock.core.files import documents
from penstock.core.services.retries import Unanswered
from penstock.core.suggestions import did_you_mean

if TYPE_CHECKING:
    from deltalake import DeltaTable


@dataclass(frozen=True)
class DeltaPiece:
    """The row groups of a data file that begin in a range of its bytes."""

    name: str
    file: DataFile
    start: int
    end: int
    filters: tuple[Filter, ...]

    @property
    def size(self) -> int:
        return self.end - self.start


@dataclass(frozen=True)
class DeltaSource(TableSource[DeltaPiece]):
    """Reads data files, which are Parquet, with the columns of the table's schema, and yields those of `names`."""

    schema: pa.Schema
    names: tuple[str, ...]

    @classmethod
    def resolve(cls, asked: Asked) -> Resolved:
        """Finds the version. A split's pattern is a JSON list of filters of its own. A ConfigError for spans."""
        if asked.spans:
            raise ConfigError("range_config: a Delta table has versions and no spans: expected none, but filters")
        options = DeltaOptions.of(asked.options)
        table = log.table(options)
        splits = []
        for split in asked.splits:
            own = () if asked.splits is DEFAULT_INPUT else _own_filters(split)
            splits.append(InputSplit(split.name, Pinned(table.version(), own).text()))
        identity = table.metadata().id
        return Resolved(splits, "\n".join(f"split:{split.name},delta:{identity},{split.pattern}" for split in splits))

    @classmethod
    @contextlib.contextmanager
    def open(cls, request: Request) -> Iterator[Opened[DeltaPiece]]:
        """Gives shards of data files; a DataError for a version or columns that are not there, or no file with rows."""
        options = DeltaOptions.of(parse_object("delta", request.options))
        pinned = {split.name: Pinned.parse(split.pattern) for split in request.splits}
        table = log.table(options, next(iter(pinned.values())).version)
        where = f"Delta table {options.path}"
        schema = pa.schema(table.schema().to_arrow())
        names = columns.selected(schema, options.columns or None, where)
        kinds = columns.kinds(pa.schema([schema.field(name) for name in names]), where)
        if request.label:
            labels.require_column(request.label, kinds, where)
        planned = {}
        for split, scan in pinned.items():
            wanted = (*options.filters, *scan.filters)
            _expression(wanted, schema)
            planned[split] = [
                DeltaPiece(f"{where}: {file.uri.rpartition('/')[2]}", file, start, end, wanted)
                for file in log.files(table, wanted, options)
                for start, end in parquet_ranges.ranges(file.size)
            ]
        shards = pieces.shards(planned)
        if not shards:
            raise DataError(f"{where} holds no row that fits in version {table.version()}: expected at least one")
        extent = {"files": len({piece.file.uri for of_split in planned.values() for piece in of_split})}
        yield Opened(cls(schema, tuple(names)), shards, extent, origin=_origin(table, options))

    def batches(self, piece: DeltaPiece) -> Iterator[pa.RecordBatch]:
        """Yields the rows of a range of a data file that are not deleted and fit the filters."""
        read = functools.partial(self._rows, piece)
        try:
            yield from reading_again(read, functools.partial(_passing, piece.name))
        except FileNotFoundError:
            raise DataError(
                f"{piece.name} is gone: it was removed since (VACUUM): read a newer version, or keep files for longer"
            ) from None
        except (pa.ArrowInvalid, OSError) as error:
            raise DataError(f"{piece.name}: the Parquet data is damaged: {error}") from None

    def _rows(self, piece: DeltaPiece) -> Iterator[pa.RecordBatch]:
        needed = {*self.names, *(column for column, _, _ in piece.filters)}
        schema = pa.schema([field for field in self.schema if field.name in needed])
        stored = {declared.stored_name(field).lower() for field in schema}
        for row, batch in parquet_ranges.batches(piece.file.uri, piece.start, piece.end, stored):
            rows = declared.as_declared(batch, schema, piece.file.partition, piece.name)
            if piece.file.deleted is not None:
                keeps = ~np.isin(np.arange(row, row + batch.num_rows), piece.file.deleted)
                rows = rows.filter(pa.array(keeps))
            if piece.filters:
                fits = pa.Table.from_batches([rows]).filter(_expression(piece.filters, schema))
                rows = next(iter(fits.combine_chunks().to_batches()), rows.slice(0, 0))
            if rows.num_rows:
                yield rows.select(list(self.names))


def _own_filters(split: InputSplit) -> tuple[Filter, ...]:
    where = f"input_config.splits.{split.name}"
    try:
        return filters(where, documents.parse_json(split.pattern))
    except ValueError:
        raise ConfigError(
            f'{where}: expected filters as JSON, such as [["year", "=", 2026]], received {split.pattern!r}'
        ) from None


def _expression(wanted: Sequence[Filter], schema: pa.Schema) -> "pa.compute.Expression | None":
    """Returns filters as Arrow computes them; a ConfigError for other columns, or values of another type."""
    typed = []
    for column, operator, value in wanted:
        if column not in schema.names:
            raise ConfigError(f"delta.filters: there is no column {column!r}; {did_you_mean(column, schema.names)}")
        arrow = schema.field(column).type
        try:
            values = [pa.scalar(one).cast(arrow) for one in (value if isinstance(value, list) else [value])]
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            raise ConfigError(
                f"delta.filters: {column}: expected what is compared with {arrow}, received {value!r}"
            ) from None
        typed.append((column, operator, [one.as_py() for one in values] if "in" in operator else values[0].as_py()))
    return pq.filters_to_expression(typed) if typed else None


def _passing(where: str, error: Exception) -> Unanswered | None:
    """A store that failed while a file was read, after the tries of its own client, is asked once more or twice."""
    return Unanswered(str(error)) if isinstance(error, SystemFailure) else None


def _origin(table: "DeltaTable", options: DeltaOptions) -> dict[str, str]:
    found = {
        "table": options.path,
        "table_id": str(table.metadata().id),
        "version": str(table.version()),
        "filters": documents.json_text(list(map(list, options.filters))) if options.filters else "",
    }
    return {key: text for key, text in found.items() if text}
