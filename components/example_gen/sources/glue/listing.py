"""What a table holds now: its columns, the folders of its partitions, and the files in them."""

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import pyarrow as pa

from penstock.components.example_gen.sources.glue import catalogue, hive_types
from penstock.components.example_gen.sources.glue.catalogue import Glue
from penstock.components.example_gen.sources.glue.options import GlueOptions
from penstock.core.errors import DataError
from penstock.core.files import documents, object_stores

# The formats by the last part of the classes that read them.
_SERDES = {
    "ParquetHiveSerDe": "parquet",
    "OrcSerde": "orc",
    "AvroSerDe": "avro",
    "LazySimpleSerDe": "text",
    "OpenCSVSerde": "csv",
    "JsonSerDe": "json",
}
_NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"
_PREFIXES = ("s3a://", "s3n://")
_SOME = 100  # partitions, among which one with files is looked for


@dataclass(frozen=True)
class Folder:
    """A partition, or a table without such: where its files are, how they are written, the partition's values."""

    location: str
    format: str
    parameters: Mapping[str, str]
    values: Sequence[str] = ()


@dataclass(frozen=True)
class File:
    """A file of a folder, by the folder's number; `tag` changes with its content."""

    folder: int
    name: str
    size: int
    tag: str


@dataclass(frozen=True)
class Listing:
    """A table with all files that were there when it was looked at. Columns are names and Hive's types."""

    columns: Sequence[tuple[str, str]]
    keys: Sequence[tuple[str, str]]
    folders: Sequence[Folder]
    files: Sequence[File]

    def text(self) -> str:
        return documents.json_text(asdict(self))

    @classmethod
    def parse(cls, text: str | bytes) -> Self:
        value: Any = documents.parse_json(text if isinstance(text, str) else text.decode())
        pairs = [[(str(name), str(kind)) for name, kind in value[key]] for key in ("columns", "keys")]
        columns, keys = pairs
        return cls(columns, keys, [Folder(**one) for one in value["folders"]], [File(**one) for one in value["files"]])

    @property
    def digest(self) -> str:
        """Changes with the table's columns, its partitions and its files."""
        return hashlib.sha256(self.text().encode()).hexdigest()[:32]

    def uri(self, file: File) -> str:
        return object_stores.join(self.folders[file.folder].location, file.name)

    def schema(self, where: str, wanted: Sequence[str]) -> pa.Schema:
        """Returns the columns, those of the partitions last; types of columns that are not wanted are not looked at."""
        pairs = [*self.columns, *self.keys]
        return pa.schema(
            [
                pa.field(name, hive_types.arrow(kind, f"{where}: column {name!r}"))
                for name, kind in pairs
                if not wanted or name in wanted
            ]
        )

    def partition(self, folder: Folder, schema: pa.Schema) -> dict[str, Any]:
        """Returns the values of a partition's columns, with the types of a schema."""
        found = {}
        for (name, _), value in zip(self.keys, folder.values, strict=False):
            if name in schema.names:
                arrow = schema.field(name).type
                scalar = pa.scalar(None if value == _NULL_PARTITION else value, pa.string()).cast(arrow)
                found[name] = scalar.as_py()
        return found


def look(glue: Glue, options: GlueOptions, described: Mapping[str, Any], predicate: str) -> Listing:
    """Lists the files of the partitions that fit a predicate."""
    table = _partitions(glue, options, described, predicate)
    return replace(table, files=_files(table.folders))


def some(glue: Glue, options: GlueOptions, described: Mapping[str, Any], predicate: str) -> Listing:
    """Lists a file: the first one of the last partition that has any, of some that fit a predicate."""
    table = _partitions(glue, options, described, predicate, _SOME)
    for folder in reversed(table.folders):
        if files := _files([folder]):
            return replace(table, folders=[folder], files=files[:1])
    return table


def _partitions(
    glue: Glue, options: GlueOptions, described: Mapping[str, Any], predicate: str, most: int | None = None
) -> Listing:
    """Returns a table without its files, of at most so many partitions."""
    where = f"Glue table {options.name}"
    keys = [(str(key["Name"]), str(key.get("Type", "string"))) for key in described.get("PartitionKeys", [])]
    storage = described["StorageDescriptor"]
    columns = [(str(column["Name"]), str(column.get("Type", "string"))) for column in storage.get("Columns", [])]
    own = dict(described.get("Parameters", {}))
    if keys and own.get("projection.enabled", "").lower() == "true":
        raise DataError(
            f"{where} has projected partitions, which the catalogue does not know: expected partitions "
            "that a crawler or MSCK REPAIR TABLE has listed"
        )
    if keys:
        parts = [
            _folder(where, {**storage, **part["StorageDescriptor"]}, own, part["Values"])
            for part in itertools.islice(catalogue.partitions(glue, options, predicate), most)
        ]
    else:
        parts = [_folder(where, storage, own, ())]
    folders = sorted(parts, key=lambda folder: (list(folder.values), folder.location))
    return Listing(columns, keys, folders, [])


def check_unchanged(listing: Listing, where: str) -> None:
    """Raises a DataError if a listed file is gone or has another content now; new files are none of this run's."""
    now = {(file.folder, file.name): (file.size, file.tag) for file in _files(listing.folders)}
    for file in listing.files:
        found = now.get((file.folder, file.name))
        if found != (file.size, file.tag):
            what = "is gone" if found is None else "was written anew"
            raise DataError(f"{where}: {listing.uri(file)} {what} since the run looked at the table: run again")


def _folder(where: str, storage: Mapping[str, Any], table: Mapping[str, str], values: Sequence[str]) -> Folder:
    location = str(storage.get("Location", ""))
    for prefix in _PREFIXES:
        location = location.replace(prefix, "s3://", 1) if location.startswith(prefix) else location
    if not location.startswith("s3://"):
        raise DataError(f"{where}: expected files in S3, its location is {location or 'missing'!r}")
    serde = storage.get("SerdeInfo", {})
    name = str(serde.get("SerializationLibrary", "")).rpartition(".")[2]
    form = _SERDES.get(name)
    if form is None:
        classification = table.get("classification", "").lower()
        form = classification if classification in ("parquet", "orc", "avro", "csv", "json") else None
    if form is None:
        raise DataError(f"{where}: expected Parquet, ORC, Avro, CSV or JSON, found {name or 'none of these'}")
    return Folder(location.rstrip("/"), form, {**table, **serde.get("Parameters", {})}, list(values))


def _files(folders: Sequence[Folder]) -> list[File]:
    found: list[File] = []
    if not folders:
        return found
    with object_stores.open_store(folders[0].location) as store:
        for number, folder in enumerate(folders):
            for name, entry in store.files(folder.location).items():
                if entry.size and not any(part.startswith(("_", ".")) for part in name.split("/")):  # Hive's own
                    found.append(File(number, name, entry.size, entry.tag))
    return found
