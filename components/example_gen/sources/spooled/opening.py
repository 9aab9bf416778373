"""Files that were fetched for a task, opened by their format: those of tables by the sources of files."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from penstock.components.example_gen import labels, sources
from penstock.components.example_gen.configs import InputSplit
from penstock.components.example_gen.sources import pieces
from penstock.components.example_gen.sources.pieces import Shard
from penstock.components.example_gen.sources.source import Opened, Request
from penstock.components.example_gen.sources.spooled.row_files import RowFiles
from penstock.core.errors import DataError, PenstockError
from penstock.core.files import documents
from penstock.core.suggestions import did_you_mean


@dataclass(frozen=True)
class Fetched:
    """A file on this machine, and what a person knows it by."""

    path: Path
    name: str


@contextlib.contextmanager
def opened(
    files: Mapping[str, Sequence[Fetched]], source: RowFiles | str, request: Request, csv: Mapping[str, Any]
) -> Iterator[Opened[Any]]:
    """Gives the rows of each input split's files, in their order, as a source reads them: of tables by its name.

    `csv` are the options of CSV.

    Errors name the files as a person knows them. Raises a DataError where there is no row, for a column or a label
    that no row has.
    """
    if isinstance(source, RowFiles):
        yield _opened_rows(files, source, request)
        return
    folder = request.scratch / "tables"
    names: dict[str, str] = {}
    for split, of_split in files.items():
        for number, file in enumerate(of_split):
            place = folder / split / f"{number:06}.{source}"
            place.parent.mkdir(parents=True, exist_ok=True)
            file.path.rename(place)
            names[str(place)] = file.name
    splits = [InputSplit(split, f"{split}/*") for split in files]
    asked = replace(request, input_base=str(folder), splits=splits, options=documents.json_text(csv) if csv else "")
    try:
        with sources.named(source).open(asked) as found:
            yield replace(found, root="")
    except PenstockError as error:
        for path, name in names.items():
            error.message = error.message.replace(path, name)
        raise


def _opened_rows(files: Mapping[str, Sequence[Fetched]], source: RowFiles, request: Request) -> Opened[Any]:
    shards = pieces.shards(
        {
            split: [piece for file in of_split for piece in source.cut(file.path, file.name)]
            for split, of_split in files.items()
        }
    )
    if not shards:
        raise DataError(f"{_name(files)}: there is no row: expected at least one")
    ends = dict.fromkeys((shards[0].pieces[0], shards[-1].pieces[-1]))
    looked = source.with_all_types([Shard("", 0, 1, tuple(ends))], request.engine)
    needed = {*source.columns, *([request.label] if request.label else ())}
    if not needed <= _columns(looked):  # perhaps no row at the ends has one
        looked = source.with_all_types(shards, request.engine)
    found = _columns(looked)
    for name in source.columns:
        if name not in found:
            names = source.names(shards[0].pieces[0])
            raise DataError(f"{_name(files)}: there is no column {name!r}; {did_you_mean(name, names)}")
    if request.label:
        labels.require_column(request.label, looked.kinds, _name(files))
    return Opened(looked, shards, {"files": sum(map(len, files.values()))})


def _columns(source: RowFiles) -> set[str]:
    """Returns the names of the columns that have values, and those of the columns that these are in."""
    named = {name for name, kind in source.kinds.items() if kind != "no type" or not source.columns}
    return named | {name[:end] for name in named for end in range(len(name)) if name[end] == "."}


def _name(files: Mapping[str, Sequence[Fetched]]) -> str:
    return next((file.name for of_split in files.values() for file in of_split), "the data")
