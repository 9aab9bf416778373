"""The formats of data files that ExampleGen reads, and the suffixes they are known by. Standard library only."""

from collections.abc import Iterable
from typing import Literal

FileFormat = Literal["csv", "parquet", "tfrecord"]
SUFFIXES: dict[FileFormat, tuple[str, ...]] = {
    "csv": (".csv", ".csv.gz", ".tsv", ".tsv.gz"),
    "parquet": (".parquet", ".pq"),
    "tfrecord": (".tfrecord", ".tfrecords", ".tfrecord.gz", ".tfrecords.gz"),
}


def of_names(names: Iterable[str]) -> FileFormat | None:
    """Returns the first format, in the order of SUFFIXES, that one of the files' names or patterns ends as."""
    lower = [name.lower() for name in names]
    return next((form for form, suffixes in SUFFIXES.items() if any(name.endswith(suffixes) for name in lower)), None)
