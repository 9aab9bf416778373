"""Which files are meant, and what kind of rows they hold."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from penstock.components.engines import Engine
from penstock.components.example_gen.configs import InputSplit
from penstock.components.example_gen.inputs import spans
from penstock.components.example_gen.sources.csv.options import CsvOptions
from penstock.components.scoring.inputs.csv import CsvInput
from penstock.components.scoring.inputs.json_lines import JsonLinesInput
from penstock.components.scoring.inputs.parquet import ParquetInput
from penstock.components.scoring.inputs.rows import File, Input
from penstock.components.scoring.inputs.tfrecord import TFRecordInput
from penstock.core.errors import DataError
from penstock.core.examples import records
from penstock.core.files import formats, patterns
from penstock.core.files.formats import RowsFormat

STANDARD_INPUT = "standard input"


@contextlib.contextmanager
def opened(data: Sequence[str], options: CsvOptions, label: str, scratch: Path, engine: Engine) -> Iterator[Input]:
    """Gives the rows of files, folders, patterns, or of such in an object store, which are copied first.

    Raises a DataError if there are none, or if they are of several kinds.
    """
    with contextlib.ExitStack() as stack:
        files = [file for place in data for file in listed(place, stack, engine)]
        kinds = {kind_of(file): file for file in files}
        if len(kinds) > 1:
            (one, first), (other, second), *_ = kinds.items()
            raise DataError(f"expected files of one kind, found {first.name} ({one}) and {second.name} ({other})")
        (kind,) = kinds
        if kind == "csv":
            yield CsvInput.open(files, options, label, scratch, engine)
        elif kind == "parquet":
            yield ParquetInput.open(files)
        elif kind == "tfrecord":
            yield TFRecordInput.open(files)
        else:
            yield JsonLinesInput.open(files, scratch)


def listed(place: str, stack: contextlib.ExitStack, engine: Engine | None = None) -> Iterator[File]:
    """Yields the files that a name means, sorted; copies are where the workers of the engine see them."""
    path = Path(place)
    if path.is_file():
        yield File(path, STANDARD_INPUT if path.name == STANDARD_INPUT else place)
        return
    is_pattern = patterns.is_wild(place) and not path.exists()
    base = patterns.fixed(place) if is_pattern else place
    pattern = place[len(base) :] if is_pattern else "*"
    split = InputSplit("rows", pattern)
    try:
        local = stack.enter_context(spans.local_files(base or ".", [split], engine))
    except DataError as error:
        if "://" in place or path.exists():
            raise
        what = "no file matches" if is_pattern else "does not exist"
        raise DataError(f"{place}: {what}: expected a file, a folder or a pattern") from error
    of_place = local["rows"]
    known = [file for file in of_place if formats.of_rows(file.name)]
    for file in known or of_place:
        yield File(file, f"{base.rstrip('/')}/{file.relative_to(local.root)}" if base else str(file))


def kind_of(file: File) -> RowsFormat:
    """Returns the kind of a file, by its name, else by how it begins."""
    if kind := formats.of_rows(file.name):
        return kind
    start = next(records.decompressed(file.path), b"")
    if records.begins(start):
        return "tfrecord"
    if start.startswith(b"PAR1"):
        return "parquet"
    return "jsonl" if start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") else "csv"
