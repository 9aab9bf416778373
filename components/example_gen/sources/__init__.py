"""What ExampleGen reads: a module or folder for each kind of data, and its name here. source.py says what it offers.

A source of a person's own is named by its dotted path, package.module.Class.
"""

import importlib
from typing import Any

from penstock.components.example_gen.sources.source import Source
from penstock.core.errors import ConfigError

# Imported when it is asked for: reading files needs no client of a database.
_FILES = {
    "csv": "csv.source:CsvSource",
    "parquet": "parquet:ParquetSource",
    "tfrecord": "tfrecord:TFRecordSource",
}
_OTHERS = {
    "splits": "joined:JoinedSource",
    "sql": "sql.source:SqlSource",
}
_SOURCES = {**_FILES, **_OTHERS}
OF_FILES = tuple(_FILES)
NAMES = tuple(_SOURCES)


def named(name: str) -> type[Source[Any]]:
    """Returns the source of this name, or of this dotted path; a ConfigError if there is none."""
    if "." in name:
        return _of_ones_own(name)
    if name not in _SOURCES:
        raise ConfigError(
            f"source: expected {', '.join(NAMES)}, or a dotted path package.module.Class, received {name!r}"
        )
    module, _, class_name = _SOURCES[name].partition(":")
    source: type[Source[Any]] = getattr(importlib.import_module(f"{__name__}.{module}"), class_name)
    return source


def _of_ones_own(path: str) -> type[Source[Any]]:
    module, _, class_name = path.rpartition(".")
    try:
        source = getattr(importlib.import_module(module), class_name, None)
    except ImportError as error:
        raise ConfigError(f"source: {path}: it cannot be imported where this task runs: {error}") from None
    if not (isinstance(source, type) and issubclass(source, Source)):
        raise ConfigError(
            f"source: {path}: expected a class that extends penstock.components.example_gen.sources.source.Source, "
            f"received {source!r}"
        )
    return source
