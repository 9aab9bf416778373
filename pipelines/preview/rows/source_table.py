"""The first rows as their source reads them: of formats with a schema, of JSON, of parts of files, of no files."""

import itertools
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.core.examples.payloads import TF_EXAMPLE, PayloadFormat
from penstock.core.files import documents, patterns
from penstock.pipelines.preview.table import Table

if TYPE_CHECKING:
    from penstock.components.engines import Engine
    from penstock.components.example_gen.sources.source import Block, Opened

_FILES = 3
_ROWS = 50_000


def read(
    base: Path | str,
    files: Sequence[str],
    file_format: str,
    options: Mapping[str, Any],
    payload_format: PayloadFormat = TF_EXAMPLE,
) -> Table:
    """Reads some megabytes of the first files, by their names below the base, none of which means the base itself.

    Raises what the source of the format does. Takes pyarrow. Columns of lists have no cells here. `options` are those
    of file_example_gen.
    """
    from penstock.components.engines import open_engine
    from penstock.components.example_gen import sources
    from penstock.components.example_gen.configs import InputSplit
    from penstock.components.example_gen.sources.source import Request

    splits = [InputSplit("rows", patterns.escape(name)) for name in files[:_FILES]] or [InputSplit("rows", "*")]
    text = documents.json_text(dict(options)) if options else ""
    with tempfile.TemporaryDirectory(prefix="penstock-") as scratch, open_engine("local:1") as engine:
        request = Request(str(base), splits, text, "", Path(scratch), engine, payload_format)
        with sources.named(file_format).open(request) as opened:
            name = Path(str(base)) / files[0] if files else Path(str(base))
            found = rows_of(opened, engine, name, _ROWS)
    return replace(found, whole=found.whole and len(files) <= _FILES)


def rows_of(opened: "Opened[Any]", engine: "Engine", name: Path, most: int) -> Table:
    """Returns the first rows of an open source, about as many as are wanted; "" of rows before those that have a column
    first. `name` is what a person knows the data by.
    """
    columns: dict[str, list[str]] = {}
    rows, blocks = 0, _blocks(opened, engine)
    for block in blocks:
        there, count = block.columns.schema.names, block.columns.num_rows
        for column in [*columns, *(new for new in there if new not in columns)]:
            cells = columns.setdefault(column, [""] * rows)
            cells += map(_cell, block.columns.column(column).to_pylist()) if column in there else [""] * count
        rows += count
        if rows >= most:
            break
    whole = next(blocks, None) is None
    return Table(name, list(columns), tuple(columns.values()), range(1, rows + 1), whole)


def _blocks(opened: "Opened[Any]", engine: "Engine") -> "Iterator[Block]":
    """Yields blocks of rows; of a shard whose rows do not fit the types so far all rows are looked at first."""
    from penstock.components.example_gen.sources.source import TypesGrew

    source = opened.source
    for shard in opened.shards:
        for piece in shard.pieces:
            given = 0
            try:
                for block in source.read(piece):
                    yield block
                    given += 1
            except TypesGrew:
                source = source.with_all_types([shard], engine)
                yield from itertools.islice(source.read(piece), given, None)


def _cell(values: list[Any] | None) -> str:
    if values is None or len(values) != 1:
        return ""
    (value,) = values
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if not isinstance(value, float):
        return str(value)
    text = f"{value:.7g}"  # of 32 bits
    return f"{text}.0" if text.lstrip("-").isdigit() else text  # a column of such is none of integers
