"""What ExampleGen reads: a module or folder for each kind of data, and its name here. source.py says what it offers.

A source of a person's own is named by its module and class (own.py).
"""

import importlib
from typing import Any

from penstock.components.example_gen.sources.source import Source
from penstock.core.errors import ConfigError

# Imported when it is asked for: reading files needs no client of a database.
_FILES = {
    "avro": "files.avro:AvroSource",
    "csv": "csv.source:CsvSource",
    "json": "files.json_lines:JsonSource",
    "orc": "files.orc:OrcSource",
    "parquet": "parquet:ParquetSource",
    "tfrecord": "tfrecord:TFRecordSource",
}
_OTHERS = {
    "bigquery": "bigquery.source:BigQuerySource",
    "delta": "delta.source:DeltaSource",
    "dvc": "dvc.source:DvcSource",
    "glue": "glue.source:GlueSource",
    "http": "http.source:HttpSource",
    "iceberg": "iceberg.source:IcebergSource",
    "kafka": "kafka.source:KafkaSource",
    "nifi": "nifi.source:NifiSource",
    "splits": "joined:JoinedSource",
    "sql": "sql.source:SqlSource",
}
_SOURCES = {**_FILES, **_OTHERS}
OF_FILES = tuple(_FILES)
NAMES = tuple(_SOURCES)


def named(name: str) -> type[Source[Any]]:
    """Returns the source of this name, or of this dotted path; a ConfigError if there is none."""
    if "." in name:
        from penstock.components.example_gen.sources import own

        return own.named(name)
    if name not in _SOURCES:
        raise ConfigError(
            f"source: expected {', '.join(NAMES)}, or a dotted path package.module.Class, received {name!r}"
        )
    module, _, class_name = _SOURCES[name].partition(":")
    source: type[Source[Any]] = getattr(importlib.import_module(f"{__name__}.{module}"), class_name)
    return source
