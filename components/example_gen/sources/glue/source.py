"""Tables of AWS Glue's Data Catalog: their files, or ranges of them, as shards."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from penstock.components.example_gen import labels
from penstock.components.example_gen.configs import DEFAULT_INPUT, InputSplit
from penstock.components.example_gen.sources import columns, declared, parquet_ranges, pieces
from penstock.components.example_gen.sources.glue import catalogue, formats, job, listing, memory
from penstock.components.example_gen.sources.glue.catalogue import Glue
from penstock.components.example_gen.sources.glue.listing import File, Listing
from penstock.components.example_gen.sources.glue.options import GlueOptions
from penstock.components.example_gen.sources.iceberg.source import IcebergSource
from penstock.components.example_gen.sources.reading_again import reading_again
from penstock.components.example_gen.sources.source import Asked, Opened, Request, Resolved
from penstock.components.example_gen.sources.table import TableSource
from penstock.core.arguments import parse_object
from penstock.core.errors import ConfigError, DataError, SystemFailure
from penstock.core.files import documents
from penstock.core.services.retries import Unanswered

_TOLD = 20  # locations of partitions that the lineage names


@dataclass(frozen=True)
class GluePiece:
    """A file of a table, or of a Parquet file the row groups that begin in a range of its bytes."""

    name: str
    uri: str
    format: str
    parameters: Mapping[str, str]
    partition: Mapping[str, Any]
    start: int
    end: int

    @property
    def size(self) -> int:
        return self.end - self.start


@dataclass(frozen=True)
class GlueSource(TableSource[GluePiece]):
    """Reads the files of a table. `stored` are the columns that the files have, in order, `wanted` those to read."""

    stored: pa.Schema
    wanted: pa.Schema

    @classmethod
    def resolve(cls, asked: Asked) -> Resolved:
        """Runs the job, if there is one, and lists the files of the partitions; a split's pattern is a predicate.

        The listing is kept in the state's folder, so that the same files are read again, whatever is added.
        """
        options = GlueOptions.of(asked.options)
        glue = Glue(options.region)
        if options.job:
            job.finished(glue, options.job, asked.state)
        found = _found(glue, options, asked, listing.look)
        if options.job:
            job.used(asked.state)
        return found

    @classmethod
    def some(cls, asked: Asked) -> Resolved:
        """Finds a file for each split, runs no job and keeps nothing."""
        options = GlueOptions.of(asked.options)
        return _found(Glue(options.region), options, replace(asked, state=""), listing.some)

    @classmethod
    @contextlib.contextmanager
    def open(cls, request: Request) -> Iterator[Opened[Any]]:
        """Gives shards of files; a DataError for files that changed since, unknown columns, or no file with rows."""
        options = GlueOptions.of(parse_object("glue", request.options))
        pinned = {split.name: parse_object("resolved_input", split.pattern) for split in request.splits}
        if any("iceberg" in one for one in pinned.values()):
            splits = [InputSplit(name, one["iceberg"]) for name, one in pinned.items()]
            own = replace(request, splits=splits, options=documents.json_text(_iceberg_options(options)))
            with IcebergSource.open(own) as opened:
                yield opened
        else:
            yield cls._opened({name: _recalled(one, options) for name, one in pinned.items()}, options, request.label)

    @classmethod
    def _opened(cls, listings: Mapping[str, Listing], options: GlueOptions, label: str) -> Opened[GluePiece]:
        where = f"Glue table {options.name}"
        for one in listings.values():
            listing.check_unchanged(one, where)
        first = next(iter(listings.values()))  # all are of one table
        names = pa.schema([(name, pa.null()) for name, _ in (*first.columns, *first.keys)])
        selected = columns.selected(names, options.columns or None, where)
        if not {name for name, _ in first.columns} & set(selected):
            raise ConfigError(f"glue.columns: expected a column of the files too, received {', '.join(selected)} alone")
        wanted = first.schema(where, selected)
        kinds = columns.kinds(wanted, where)
        if label:
            labels.require_column(label, kinds, where)
        planned = {
            split: [piece for file in one.files for piece in _pieces(one, file, wanted, where)]
            for split, one in listings.items()
        }
        extent = {
            "files": sum(len(one.files) for one in listings.values()),
            "partitions": sum(len(one.folders) for one in listings.values()),
        }
        locations = dict.fromkeys(folder.location for folder in first.folders[:_TOLD])
        origin = {"table": options.name, "locations": ", ".join(locations)}
        if options.push_down_predicate:
            origin["push_down_predicate"] = options.push_down_predicate
        source = cls(_stored(first, wanted), pa.schema([wanted.field(name) for name in selected]))
        return Opened(source, pieces.shards(planned), extent, origin=origin)

    def batches(self, piece: GluePiece) -> Iterator[pa.RecordBatch]:
        """Yields the rows of a file with the columns that the catalogue declares."""
        try:
            yield from reading_again(functools.partial(self._rows, piece), _passing)
        except FileNotFoundError:
            raise DataError(f"{piece.name} is gone since the run looked at the table: run again") from None
        except (pa.ArrowInvalid, OSError, EOFError, ValueError) as error:
            said = " ".join(str(error).split())[:300]
            raise DataError(
                f"{piece.name}: expected {piece.format} data as the catalogue describes it: {said}"
            ) from None

    def _rows(self, piece: GluePiece) -> Iterator[pa.RecordBatch]:
        needed = {name.lower() for name in self.wanted.names}
        cut = (piece.start, piece.end)
        for batch in formats.batches(piece.format, piece.uri, cut, self.stored, needed, piece.parameters):
            yield declared.as_declared(batch, self.wanted, piece.partition, piece.name)


def _passing(error: Exception) -> Unanswered | None:
    """A store that failed while a file was read, after the tries of its own client, is asked once more or twice."""
    return Unanswered(str(error)) if isinstance(error, SystemFailure) else None


type _Lister = Callable[[Glue, GlueOptions, Mapping[str, Any], str], Listing]


def _found(glue: Glue, options: GlueOptions, asked: Asked, look: _Lister) -> Resolved:
    described = catalogue.table(glue, options)
    if described.get("Parameters", {}).get("table_type", "").lower() == "iceberg":
        return _iceberg(asked, options)
    if asked.spans:
        raise ConfigError("range_config: a Glue table has no spans: expected none, but a push_down_predicate")
    return _listed(glue, options, described, asked, look)


def _listed(glue: Glue, options: GlueOptions, described: Mapping[str, Any], asked: Asked, look: _Lister) -> Resolved:
    splits, fingerprints = [], []
    predicates = {split.name: "" if asked.splits is DEFAULT_INPUT else split.pattern for split in asked.splits}
    for name, own in predicates.items():
        both = " AND ".join(f"({text})" for text in (options.push_down_predicate, own) if text)
        predicate = both if options.push_down_predicate and own else options.push_down_predicate or own
        found = look(glue, options, described, predicate)
        if not found.files:
            raise DataError(f"Glue table {options.name} has no file in {_words(options, own)}: expected some rows")
        if asked.state:
            kept = {"listing": memory.write(asked.state, f"glue-{found.digest}", found.text().encode())}
        else:
            kept = {"files": found.text()}
        splits.append(InputSplit(name, documents.json_text(kept)))
        fingerprints.append(f"split:{name},glue:{found.digest}")
    return Resolved(splits, "\n".join(fingerprints))


def _recalled(pinned: Mapping[str, Any], options: GlueOptions) -> Listing:
    if "files" in pinned:
        return Listing.parse(pinned["files"])
    content = memory.read(pinned["listing"])
    if content is None:
        raise DataError(f"Glue table {options.name}: the list of its files, {pinned['listing']}, is gone: run again")
    return Listing.parse(content)


def _stored(found: Listing, wanted: pa.Schema) -> pa.Schema:
    """Returns the columns that the files have, in order; what is not read has no type."""
    names = [name for name, _ in found.columns]
    return pa.schema([wanted.field(name) if name in wanted.names else pa.field(name, pa.null()) for name in names])


def _pieces(found: Listing, file: File, schema: pa.Schema, where: str) -> Iterator[GluePiece]:
    folder, uri = found.folders[file.folder], found.uri(file)
    partition = found.partition(folder, schema)
    cuts = parquet_ranges.ranges(file.size) if folder.format == "parquet" else [(0, file.size)]
    for start, end in cuts:
        yield GluePiece(f"{where}: {uri}", uri, folder.format, folder.parameters, partition, start, end)


def _iceberg(asked: Asked, options: GlueOptions) -> Resolved:
    """Resolves a table of Iceberg, whose own catalogue Glue is."""
    found = IcebergSource.resolve(replace(asked, options=_iceberg_options(options)))
    splits = [replace(split, pattern=documents.json_text({"iceberg": split.pattern})) for split in found.splits]
    return replace(found, splits=splits)


def _iceberg_options(options: GlueOptions) -> dict[str, Any]:
    properties = {"glue.region": options.region, "glue.id": options.catalog_id}
    own: dict[str, Any] = {
        "catalog": {
            "name": "glue",
            "type": "glue",
            "properties": {key: value for key, value in properties.items() if value},
        },
        "table": options.name,
    }
    if options.push_down_predicate:
        own["filter"] = options.push_down_predicate
    if options.columns:
        own["columns"] = list(options.columns)
    return own


def _words(options: GlueOptions, own: str = "") -> str:
    predicate = own or options.push_down_predicate
    return f"the partitions of {predicate!r}" if predicate else "its folders"
