"""The first rows of files as their source reads them: of formats with a schema, of JSON, of parts of files."""

import itertools
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.core.files import documents, patterns
from penstock.pipelines.preview.table import Table

if TYPE_CHECKING:
    from penstock.components.example_gen.sources.pieces import Shard
    from penstock.components.example_gen.sources.source import Source

_FILES = 3


def read(base: Path, files: Sequence[Path], file_format: str, options: Mapping[str, Any]) -> Table:
    """Reads some megabytes of the first files; raises what the source of the format does. Takes pyarrow.

    Columns of lists have no cells here. `options` are those of file_example_gen.
    """
    from penstock.components.engines import open_engine
    from penstock.components.example_gen import sources
    from penstock.components.example_gen.configs import InputSplit
    from penstock.components.example_gen.sources.source import Request, TypesGrew

    splits = [
        InputSplit("rows", patterns.escape(file.relative_to(base).as_posix()) if base.is_dir() else "*")
        for file in files[:_FILES]
    ]
    with tempfile.TemporaryDirectory(prefix="penstock-") as scratch, open_engine("local:1") as engine:
        request = Request(str(base), splits, documents.json_text(dict(options)), "", Path(scratch), engine)
        with sources.named(file_format).open(request) as opened:
            some = opened.shards[:1]
            try:
                columns = _cells(opened.source, some)
            except TypesGrew:
                columns = _cells(opened.source.with_all_types(some, engine), some)
            whole = len(opened.shards) == 1 and len(files) <= _FILES
    rows = len(next(iter(columns.values()), ()))
    return Table(files[0], list(columns), tuple(columns.values()), range(1, rows + 1), whole)


def _cells(source: "Source[Any]", shards: "Sequence[Shard[Any]]") -> dict[str, list[str]]:
    """Returns the cells of each column; "" of rows before those that have a column first."""
    columns: dict[str, list[str]] = {}
    rows = 0
    for piece in itertools.chain.from_iterable(shard.pieces for shard in shards):
        for block in source.read(piece):
            count = block.columns.num_rows
            for name in [*columns, *block.columns.schema.names]:
                cells = columns.setdefault(name, [""] * rows)
                if len(cells) == rows:
                    there = name in block.columns.schema.names
                    cells += map(_cell, block.columns.column(name).to_pylist()) if there else [""] * count
            rows += count
    return columns


def _cell(values: list[Any] | None) -> str:
    if values is None or len(values) != 1:
        return ""
    (value,) = values
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return f"{value:.7g}" if isinstance(value, float) else str(value)  # of 32 bits
