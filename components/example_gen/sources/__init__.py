"""What ExampleGen reads: a module or folder for each kind of data, and its name here. source.py says what it offers."""

import importlib
from typing import Any

from penstock.components.example_gen.sources.source import Source
from penstock.core.errors import ConfigError

# Imported when it is asked for: reading files needs no client of a database.
_SOURCES = {
    "csv": "csv.source:CsvSource",
    "parquet": "parquet:ParquetSource",
    "tfrecord": "tfrecord:TFRecordSource",
}
NAMES = tuple(_SOURCES)


def named(name: str) -> type[Source[Any]]:
    """Returns the source of this name; a ConfigError if there is none."""
    if name not in _SOURCES:
        raise ConfigError(f"source: expected {', '.join(NAMES[:-1])} or {NAMES[-1]}, received {name!r}")
    module, _, class_name = _SOURCES[name].partition(":")
    source: type[Source[Any]] = getattr(importlib.import_module(f"{__name__}.{module}"), class_name)
    return source
