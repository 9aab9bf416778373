"""The first rows of files, on this machine or, where a person wants it, in a bucket."""

import contextlib
import importlib.util
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from penstock.core import packages
from penstock.core.errors import PenstockError
from penstock.core.examples.payloads import TF_EXAMPLE
from penstock.pipelines.config.data import Place
from penstock.pipelines.config.section import json_text
from penstock.pipelines.config.training_pipeline import Config
from penstock.pipelines.preview import table
from penstock.pipelines.preview.rows import source_table
from penstock.pipelines.preview.rows.sources import ASKING
from penstock.pipelines.preview.table import Table, Unseen

_NAMES = {"avro": "Avro", "json": "JSON", "orc": "ORC", "parquet": "Parquet"}
_HAS_ARROW = "pyarrow"


def first_rows(config: Config, place: Place, key: str, asks: bool) -> Table | Unseen:
    """Returns the first rows, or why they are not looked at; raises what a run that read them would."""
    base = place.base_here
    if base is None:
        if packages.is_inside(place.input_base):
            return Unseen(f"{packages.name(place.input_base)!r} is not installed here")
        if not asks:
            return Unseen(f"it is elsewhere: {ASKING}")
        if importlib.util.find_spec(_HAS_ARROW) is None:
            return Unseen(f"it takes {packages.RUNTIME}")
        return _elsewhere(config, place)
    files = table.files_of(base, [pattern for _, pattern in place.patterns], key)
    if place.file_format == "tfrecord" and not asks:
        return Unseen(f"it has TFRecord files: {ASKING}")
    return _here(config, place, base, files)


def _here(config: Config, place: Place, base: Path, files: list[Path]) -> Table | Unseen:
    options, in_part = place.file_options(config.without_code), place.columns or place.partitions
    first: Table | None = None
    if place.file_format == "csv" and not in_part:
        first = table.of_csv(files, options)
    elif place.file_format == "parquet" and not in_part:
        first = table.of_parquet(files)
    elif importlib.util.find_spec(_HAS_ARROW):
        names = [file.relative_to(base).as_posix() for file in files] if base.is_dir() else []
        form, payloads = place.file_format or "", place.payload_format or TF_EXAMPLE
        first = source_table.read(base, names, form, options, payloads)
    if first is None:
        name = _NAMES.get(place.file_format or "", "TFRecord")
        what = "some columns of files, and partitions," if in_part else f"{name} files"
        return Unseen(f"{what} take {packages.RUNTIME}")
    return first


def _elsewhere(config: Config, place: Place) -> Table | Unseen:
    """Reads the first file of a bucket: of text a copy of its beginning, of other formats what it takes of it."""
    from penstock.components.example_gen import configs
    from penstock.components.example_gen.inputs import spans
    from penstock.components.example_gen.sampling import beginnings

    patterns = [{"name": name, "pattern": pattern} for name, pattern in place.patterns]
    found = spans.resolve(
        input_base=place.input_base,
        input_config=json_text({"splits": patterns}) if patterns else "",
        range_config=config.data.range_config_text if place is config.data else "",
    )
    splits, _ = configs.resolved_splits(found.resolved_input)
    form, options = place.file_format or "", place.file_options(config.without_code)
    with (
        spans.data_files(place.input_base, splits) as files,
        tempfile.TemporaryDirectory(prefix="penstock-") as scratch,
    ):
        first = files.all()[0]
        name = str(first).removeprefix(f"{files.root}/")
        if form not in beginnings.TEXT:
            rows = source_table.read(files.root, [name], form, options, place.payload_format or TF_EXAMPLE)
            return replace(rows, whole=False)
        copy = Path(scratch) / name
        with _named(copy, str(first)):
            beginnings.copy(first, copy, options if form == "csv" else None)
            looked = _here(config, place, Path(scratch), [copy])
    return looked if isinstance(looked, Unseen) else replace(looked, whole=False)


@contextlib.contextmanager
def _named(copy: Path, name: str) -> Iterator[None]:
    """Names in errors what a person knows, and not the copy."""
    try:
        yield
    except PenstockError as error:
        error.message = error.message.replace(str(copy), name)
        raise
