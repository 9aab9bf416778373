"""Compressed text as copies in a temporary folder that are read in ranges, so that one file too has all workers."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from penstock.components.engines import Engine
from penstock.components.example_gen.sources.files import packed
from penstock.core.examples import records
from penstock.core.files import compression, data_files
from penstock.core.files.data_files import DataFile


def unpacked(files: Sequence[DataFile], scratch: Path, engine: Engine) -> list[DataFile]:
    """Returns the files themselves, and of compressed ones copies in `scratch` (packed.py); a DataError if damaged."""
    return engine.map(partial(_unpacked, scratch), list(enumerate(files)))


def _unpacked(scratch: Path, numbered: tuple[int, DataFile]) -> DataFile:
    index, file = numbered
    if not compression.kind(data_files.content(file, 0, 6)):
        return file
    return packed.write(scratch / f"{index:05d}.txt", file, records.decompressed(file))
