"""The first rows of data that is no file, as ExampleGen reads them: where that costs nothing and leaves no trace.

What is on a server is asked for only where a person wants it.
"""

import importlib.util
import tempfile
from pathlib import Path

from penstock.core import packages
from penstock.core.errors import DataError
from penstock.pipelines.config.data import Place
from penstock.pipelines.config.training_pipeline import Config
from penstock.pipelines.modules import own_sources
from penstock.pipelines.preview.rows import source_table
from penstock.pipelines.preview.table import Table, Unseen

ASKING = "`penstock validate --data` looks at some rows"


def first_rows(config: Config, place: Place, asks: bool, notes: list[str]) -> Table | Unseen:
    """Returns the first rows of a source, or why they are not looked at.

    Raises what resolving and opening the source raises: no run could read the data either. A module of the
    person's own is imported from where it is.
    """
    section = place.section
    assert section
    if importlib.util.find_spec("pyarrow") is None:
        return Unseen(f"it takes {packages.RUNTIME}")
    if section.is_private:
        return Unseen(f"{place.source_key}.may_be_looked_at is false")
    from penstock.components.engines import open_engine
    from penstock.components.example_gen import configs, sampling, sources
    from penstock.components.example_gen.inputs import references
    from penstock.components.example_gen.sources.source import Asked

    classes = {source.path: f"{source.module.source}:{source.class_name}" for source in own_sources.of(config)}
    reference = references.named("data", place.reference(config.without_code, classes))
    source, asked = sources.named(reference.name), Asked(reference.options, configs.DEFAULT_INPUT)
    if place is config.data:
        spans = configs.span_range(config.data.range_config_text, dated=True)
        asked = Asked(reference.options, configs.input_splits(config.data.input_config_text), spans)
    if not (asks and place.custom is None) and not source.may_be_looked_at(asked):
        missing = [path for path in place.local_paths().values() if not Path(path).exists()]
        if missing:
            return Unseen(f"{missing[0]} is not on this machine")
        return Unseen("a run alone reads it" if place.custom else f"a run alone reads it, or {ASKING}")
    with tempfile.TemporaryDirectory(prefix="penstock-preview-") as scratch, open_engine("local:1") as engine:
        look = sampling.Look(reference.name, source, asked, config.label or "", Path(scratch), engine)
        try:
            with sampling.opened(look) as opened:
                rows = source_table.rows_of(opened, engine, Path(f"data.{place.source_key}"), sampling.ROWS)
        except sampling.NotLookedAt as error:
            return Unseen(str(error))
        except sampling.OnlyColumns as error:
            return Unseen(str(error), error.names)
        finally:
            notes += look.notes
    if not rows.rows:
        raise DataError("data: it holds no row: expected at least one")
    return Table(rows.path, rows.names, rows.columns, rows.lines, whole=False)
