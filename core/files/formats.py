"""The formats of data files and the suffixes they are known by. Standard library only.

ExampleGen reads those of SUFFIXES, `penstock predict` those of ROWS.
"""

from collections.abc import Iterable
from typing import Literal

FileFormat = Literal["avro", "csv", "json", "orc", "parquet", "tfrecord"]
_COMPRESSED = ("", ".gz", ".bz2", ".xz", ".zst")


def _compressed(*suffixes: str) -> tuple[str, ...]:
    return tuple(suffix + compressed for suffix in suffixes for compressed in _COMPRESSED)


SUFFIXES: dict[FileFormat, tuple[str, ...]] = {
    "csv": _compressed(".csv", ".tsv"),
    "parquet": (".parquet", ".pq"),
    "tfrecord": _compressed(".tfrecord", ".tfrecords"),
    "avro": (".avro",),
    "orc": (".orc",),
    "json": _compressed(".jsonl", ".ndjson", ".json"),
}

_BEGINNINGS: dict[bytes, FileFormat] = {b"PAR1": "parquet", b"ORC": "orc", b"Obj\x01": "avro", b'{"': "json"}

RowsFormat = Literal["csv", "parquet", "tfrecord", "jsonl"]
ROWS: dict[RowsFormat, tuple[str, ...]] = {
    "csv": (*SUFFIXES["csv"], ".txt"),
    "parquet": SUFFIXES["parquet"],
    "tfrecord": SUFFIXES["tfrecord"],
    "jsonl": SUFFIXES["json"],
}


def of_rows(name: str) -> RowsFormat | None:
    """Returns the format of a file of rows by its name or pattern, None if that tells none."""
    return next((form for form, suffixes in ROWS.items() if name.lower().endswith(suffixes)), None)


def is_compressed(name: str) -> bool:
    """Whether a file's name says that it is compressed as a whole."""
    return name.lower().endswith(_COMPRESSED[1:])


def of_beginning(start: bytes) -> FileFormat | None:
    """Returns the format of a file that begins like that; None of text that may be CSV, and of TFRecords."""
    return next((form for mark, form in _BEGINNINGS.items() if start.startswith(mark)), None)


def of_names(names: Iterable[str]) -> FileFormat | None:
    """Returns the first format, in the order of SUFFIXES, that one of the files' names or patterns ends as."""
    lower = [name.lower() for name in names]
    return next((form for form, suffixes in SUFFIXES.items() if any(name.endswith(suffixes) for name in lower)), None)
