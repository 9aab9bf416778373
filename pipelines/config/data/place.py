"""Where data is, as the configuration says it: files by their path, or a source of another kind."""

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from penstock.core import csv_format, packages
from penstock.core.errors import ConfigError
from penstock.core.examples.payloads import TF_EXAMPLE, PayloadFormat
from penstock.core.files import formats, kinds, paths, patterns
from penstock.core.files.formats import FileFormat
from penstock.pipelines.config.data import files
from penstock.pipelines.config.data.csv import Csv
from penstock.pipelines.config.data.files import Located
from penstock.pipelines.config.data.sources import (
    BigQuery,
    Custom,
    Delta,
    Dvc,
    Glue,
    Http,
    Iceberg,
    Kafka,
    Nifi,
    SourceSection,
    Sql,
    dvc,
)
from penstock.pipelines.config.section import DataPath, Section

_LOOKED_AT = 10_000  # files of a folder, by whose suffixes the format is known
_OF_FILES = ("format", "payload_format", "csv")


class Place(Section):
    """Files, or a source of another kind: one of the two."""

    path: DataPath | Annotated[list[DataPath], Field(min_length=1)] | None = Field(
        default=None,
        description="A file, a folder, or, where neither has that name, a pattern with *, {SPAN}, {VERSION} or "
        "{YYYY}{MM}{DD}; relative to this file, or package:NAME/path inside a package that is installed where the "
        "tasks run. Or a list of such, below one folder.",
    )
    format: FileFormat | None = Field(
        default=None,
        description="avro, csv, json (an object on each line), orc, parquet or tfrecord; by default as the files' "
        "suffix says, else csv. Files that are not on this machine are not looked at: there the suffix in path or "
        "splits decides.",
    )
    payload_format: PayloadFormat | None = Field(
        default=None,
        description="What the records of TFRecord files are: FORMAT_TF_EXAMPLE, which is the default, or "
        "FORMAT_TF_SEQUENCE_EXAMPLE. Files of the other kind are refused.",
    )
    csv: Csv | None = Field(default=None, description="How CSV files are written.")
    columns: list[str] | None = Field(
        default=None, min_length=1, description="The columns of files to read, by default all; not of TFRecord files."
    )
    partitions: Literal["hive"] | None = Field(
        default=None,
        description="hive: the folders KEY=VALUE that files are in are columns, of integers where all values are such, "
        "else of text, and a folder as path means the files at any depth; by default folders are no columns.",
    )
    bigquery: BigQuery | None = Field(default=None, description="A table or a query of BigQuery.")
    custom: Custom | None = Field(default=None, description="A source of one's own.")
    delta: Delta | None = Field(default=None, description="A Delta Lake table.")
    dvc: Dvc | None = Field(default=None, description="Files that DVC tracks in a Git repository, by revision.")
    glue: Glue | None = Field(default=None, description="A table of AWS Glue's Data Catalog.")
    http: Http | None = Field(default=None, description="An HTTP API.")
    iceberg: Iceberg | None = Field(default=None, description="A table of Apache Iceberg.")
    kafka: Kafka | None = Field(default=None, description="A topic of Apache Kafka.")
    nifi: Nifi | None = Field(default=None, description="What a flow of Apache NiFi lands or offers.")
    sql: Sql | None = Field(default=None, description="A table or a query of a database.")

    @model_validator(mode="before")
    @classmethod
    def _of_dvc(cls, values: Any) -> Any:
        """Reads path: dvc://... as the section that it stands for."""
        path = values.get("path") if isinstance(values, dict) else None
        if isinstance(path, list) and any(isinstance(one, str) and one.startswith(dvc.SCHEME) for one in path):
            raise ValueError(f"path: expected one {dvc.SCHEME} path alone, received a list with one in it")
        if not (isinstance(path, str) and path.startswith(dvc.SCHEME)):
            return values
        files = {key: values[key] for key in _OF_FILES if key in values}
        rest = {key: value for key, value in values.items() if key not in ("path", *_OF_FILES)}
        return rest | {"dvc": dvc.of_url(path) | files}

    def csv_options(self, without_code: bool) -> dict[str, Any]:
        """Returns the options of csv_example_gen; `without_code` is whether the model is that without a module."""
        options = (self.csv or Csv()).model_dump(exclude_none=True)
        automatic = {"null_values": csv_format.AUTO} if without_code and self.file_format == "csv" else {}
        return automatic | options

    def file_options(self, without_code: bool) -> dict[str, Any]:
        """Returns what the reader of the files is told of them; `without_code` as above."""
        options = self.csv_options(without_code) if self.file_format == "csv" else {}
        own = {"columns": self.columns, "partitions": self.partitions}
        return options | {key: value for key, value in own.items() if value}

    @field_validator("csv")
    @classmethod
    def _none_if_empty(cls, csv: Csv | None) -> Csv | None:
        return csv if csv != Csv() else None  # no options are none given, whatever the format

    @model_validator(mode="after")
    def _there(self) -> Self:
        for path in self.paths:
            _check_here(path)
        self._check_source()
        _ = self._located  # raises a ValueError for paths that have no folder in common
        if self.path is None:
            return self
        self._check_formats()
        if self.csv is not None and self.file_format != "csv":
            raise ValueError(f"csv: expected no CSV options for {self.file_format} data")
        if (self.columns or self.partitions) and self.file_format == "tfrecord":
            key = "columns" if self.columns else "partitions"
            raise ValueError(f"{key}: expected none for TFRecord files, whose records are taken as they are")
        if self.payload_format is not None and self.file_format != "tfrecord":
            raise ValueError(f"payload_format: expected none for {self.file_format} data: it is of TFRecord files")
        return self

    def _check_formats(self) -> None:
        """Raises a ValueError for a list of files of several formats, of which one reader would read all."""
        found = {form: path for path in self.paths if (form := formats.of_names([path]))}
        if self.format is None and len(found) > 1:
            raise ValueError(
                f"path: expected files of one format, received {' and '.join(found.values())}: format says what all "
                "are, and of several formats each is a split of its own (splits)"
            )

    def _check_source(self) -> None:
        """Raises a ValueError for more than one place of data, and for what is said of files where there are none."""
        given = dict(self._sources())
        if len(given) > 1 or (given and self.path is not None):
            both = ["path"] * (self.path is not None) + list(given)
            raise ValueError(f"{both[-1]}: expected one place of the data, received {' and '.join(both)}")
        if self.path is None:
            for key in (*_OF_FILES, "columns", "partitions"):
                if getattr(self, key) is not None:
                    raise ValueError(f"{key}: it is of files: expected a path")

    @property
    def paths(self) -> list[str]:
        """What `path` names, none where there are no files."""
        return [self.path] if isinstance(self.path, str) else self.path or []

    @property
    def section(self) -> SourceSection | None:
        """The section of the source, None for files."""
        return next((section for _, section in self._sources()), None)

    @property
    def source_key(self) -> str:
        """The key of the source's section, "" for files."""
        return next((name for name, _ in self._sources()), "")

    def _sources(self) -> Iterator[tuple[str, SourceSection]]:
        for name in type(self).model_fields:
            if isinstance(section := getattr(self, name), SourceSection):
                yield name, section

    def reference(self, without_code: bool, classes: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Returns the place as a split of several is told it: the source's name and its options.

        `classes` are what tasks know a person's own sources by, of their dotted paths.
        """
        if self.section is not None:
            name = self.section.source
            options = self.section.options()
            if isinstance(self.section, Dvc) and without_code:
                options["csv"] = {"null_values": csv_format.AUTO} | options.get("csv", {})
            return {(classes or {}).get(name, name): options}
        base, several = self._located
        pattern = list(several) if len(several) > 1 else next(iter(several), "")
        options = self.file_options(without_code)
        own = {"input_base": base, "pattern": pattern, "format": self.file_format, "options": options}
        if self.payload_format not in (None, TF_EXAMPLE):
            own["payload_format"] = self.payload_format
        return {"files": {key: value for key, value in own.items() if value}}

    def local_paths(self) -> dict[str, str]:
        """Returns the paths of this machine that tasks read, by their keys in the section."""
        if self.section is not None:
            return {f"{self.source_key}.{key}": path for key, path in self.section.local_paths().items()}
        return {} if self.path is None or packages.is_inside(self.input_base) else {"path": self.input_base}

    @property
    def here(self) -> Path | None:
        """Where `path` is on this machine; None of several, in a bucket, in a package that is not here."""
        return files.here(self.path) if isinstance(self.path, str) else None

    @property
    def base_here(self) -> Path | None:
        """Where `input_base` is on this machine, as `here`."""
        return files.here(self.input_base) if self.path else None

    def require_package(self) -> None:
        """Raises a ConfigError if the data is in a package that this environment lacks."""
        for path in filter(packages.is_inside, self.paths):
            try:
                packages.resolve(path)
            except ValueError as error:
                raise ConfigError(f"data.path: {error}") from None

    @property
    def input_base(self) -> str:
        """The folder that patterns are relative to, or one file; "" where there are no files."""
        return self._located.base

    @property
    def patterns(self) -> list[tuple[str, str]]:
        """The input splits and their patterns, relative to `input_base`; empty for TFX's default, all files there."""
        return [("single_split", pattern) for pattern in self._located.patterns]

    @property
    def file_format(self) -> FileFormat | None:
        """The format, as `format` or a file's suffix says, else csv; None where there are no files."""
        if self.path is None or self.format is not None:
            return self.format
        names = [*self.paths, *(pattern for _, pattern in self.patterns)]
        here = self.here
        if here and here.is_dir() and self.lists_folder:
            below = here.rglob("*") if self.partitions else here.iterdir()
            names = sorted(entry.name for entry in itertools.islice(below, _LOOKED_AT))
        return formats.of_names(names) or "csv"

    @property
    def lists_folder(self) -> bool:
        """Whether all files of a folder are the data."""
        return True

    @property
    def _located(self) -> Located:
        return files.located(self.paths, bool(self.partitions)) if self.paths else Located("")


def _check_here(path: str) -> None:
    """Raises a ValueError for a path of this machine that is not there, and for a special file."""
    here = files.here(path)
    if here and not patterns.is_wild(path):
        try:
            paths.require(here)
        except ValueError as error:
            raise ValueError(
                f"path: {error}: expected a file, a folder or a pattern; of data that only a cluster has, name a "
                f"sample on this machine, and submit with --param input_base={path}"
            ) from None
    if here and (special := kinds.special(here)):
        raise ValueError(f"path: {here} is {special}: expected a file, a folder or a pattern")
