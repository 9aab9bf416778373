"""Compressed text as plain copies in a temporary folder, so that one file too is read by all workers."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from penstock.components.engines import Engine
from penstock.core.examples import records
from penstock.core.files import atomic, compression, data_files
from penstock.core.files.data_files import DataFile


def unpacked(files: Sequence[DataFile], scratch: Path, engine: Engine) -> list[DataFile]:
    """Returns the files themselves, and of compressed ones plain copies in `scratch`; a DataError for damaged data."""
    return engine.map(partial(_unpacked, scratch), list(enumerate(files)))


def _unpacked(scratch: Path, numbered: tuple[int, DataFile]) -> DataFile:
    index, file = numbered
    if not compression.kind(data_files.content(file, 0, 6)):
        return file
    copy = scratch / f"{index:05d}.txt"
    with atomic.replacing(copy) as temporary, open(temporary, "wb") as target:
        for part in records.decompressed(file):
            target.write(part)
    return copy
