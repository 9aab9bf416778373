"""The first rows of data that is no file, as ExampleGen reads them; where that costs nothing and leaves no trace."""

import importlib.util
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.core import packages
from penstock.core.errors import DataError
from penstock.pipelines.config.training_pipeline import Config
from penstock.pipelines.modules import own_sources
from penstock.pipelines.preview import table
from penstock.pipelines.preview.table import Table

if TYPE_CHECKING:
    from penstock.components.example_gen.sources.source import Block, Opened


def first_rows(config: Config) -> Table | str:
    """Returns the first rows, or why they are not looked at.

    Raises what resolving and opening the source raises: no run could read the data either. A module of the person's own
    is imported from where it is.
    """
    if config.data.parts:
        return "its splits are places of their own, which a run alone reads"
    if importlib.util.find_spec("pyarrow") is None:
        return f"it takes {packages.RUNTIME}"
    from penstock.components.engines import open_engine
    from penstock.components.example_gen import configs, sources
    from penstock.components.example_gen.inputs import references
    from penstock.components.example_gen.sources.source import Asked, Request
    from penstock.core.files import documents

    classes = {source.path: f"{source.module.source}:{source.class_name}" for source in own_sources.of(config)}
    base = config.data.input_base_text(config.without_code, classes)
    reference = references.parse(base)
    assert reference
    source = sources.named(reference.name)
    asked = Asked(
        reference.options,
        configs.input_splits(config.data.input_config_text),
        configs.span_range(config.data.range_config_text, dated=True),
    )
    if not source.may_be_looked_at(asked):
        return "a run alone reads it"
    splits, options = source.resolve(asked).splits, documents.json_text(dict(reference.options))
    with tempfile.TemporaryDirectory(prefix="penstock-preview-") as scratch, open_engine("local:1") as engine:
        request = Request(base, splits, options, config.label or "", Path(scratch), engine)
        with source.open(request) as opened:
            block = _first_block(opened, engine)
    columns = {
        name: ["" if cell is None or len(cell) != 1 else table.cell(cell[0]) for cell in column.to_pylist()]
        for name, column in zip(block.columns.schema.names, block.columns.columns, strict=True)
    }
    name = Path(f"data.{config.data.source_key}")
    return Table(name, list(columns), list(columns.values()), range(1, block.columns.num_rows + 1), whole=False)


def _first_block(opened: "Opened[Any]", engine: Any) -> "Block":
    """Returns the first rows that there are."""
    from penstock.components.example_gen.sources.source import TypesGrew

    source = opened.source
    for shard in opened.shards:
        for piece in shard.pieces:
            try:
                block = next(source.read(piece), None)
            except TypesGrew:
                source = source.with_all_types([shard], engine)
                block = next(source.read(piece), None)
            if block is not None and block.columns.num_rows:
                return block
    raise DataError("data: it holds no row: expected at least one")
