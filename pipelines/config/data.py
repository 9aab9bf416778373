"""What the configuration says of the data: where it is, how it is written, which spans and splits are used."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from penstock.core import csv_format, packages, span_numbers
from penstock.core.artifacts import MOST_BUCKETS, By
from penstock.core.errors import ConfigError
from penstock.core.examples.payloads import PayloadFormat
from penstock.core.files import formats, kinds, paths, patterns
from penstock.core.files.formats import FileFormat
from penstock.pipelines.config.section import NO_BOOL, DataPath, PositiveWhole, Section, Seed, is_remote, matching


def _span(value: Any) -> Any:
    is_date = isinstance(value, str) and span_numbers.of_text(value) is not None
    if not is_date and not (isinstance(value, int) and value >= 0):
        raise ValueError(f"expected a span's number, or a date such as 2026-01-31, received {value!r}")
    return value


def _number(span: int | str) -> int:
    return span if isinstance(span, int) else span_numbers.of_text(span) or 0


_Date = Annotated[str, matching(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "a date such as 2026-01-31")]
Span = Annotated[Annotated[int, Field(ge=0)] | _Date, BeforeValidator(_span), NO_BOOL]
SplitName = Annotated[str, matching(r"^[A-Za-z0-9][A-Za-z0-9_-]*$", "a split's name of letters, digits, _ and -")]


class Csv(Section):
    """How CSV files are written."""

    delimiter: str | None = Field(default=None, description="The character between cells, by default a comma.")
    quote_char: str | None = Field(default=None, description='The character around quoted cells, by default ".')
    encoding: str | None = Field(default=None, description="The files' encoding, by default utf-8.")
    decimal_point: str | None = Field(
        default=None, description='What stands before the decimals of a number: "," or, by default, ".".'
    )
    null_values: list[str] | Literal["auto"] | None = Field(
        default=None,
        description="Cells that mean a missing value, beside the empty one, as they are written. auto: NA, N/A, null, "
        "NaN, ? and the like, blanks, and, among numbers, none and - as well. By default auto without a module, and "
        "with one none, as in TFX.",
    )
    column_names: list[str] | None = Field(
        default=None, description="Names of the columns, for files without a header."
    )

    @model_validator(mode="after")
    def _readable(self) -> Self:
        csv_format.check(
            **self.model_dump(include={"delimiter", "quote_char", "encoding", "decimal_point"}, exclude_none=True)
        )
        return self


class RollingRange(Section):
    """The newest spans."""

    num_spans: PositiveWhole = Field(
        description="How many numbers up to the newest span's; as in TFX, those without a span count too."
    )
    start_span_number: Span | None = Field(
        default=None, description="No span before this number or, where path has dates, date."
    )


class StaticRange(Section):
    """Named spans."""

    start_span_number: Span = Field(description="The first span: its number or, where path has dates, 2026-01-31.")
    end_span_number: Span = Field(description="The last span, as the first.")

    @model_validator(mode="after")
    def _forward(self) -> Self:
        first, last = self.start_span_number, self.end_span_number
        alike = isinstance(first, int) == isinstance(last, int)  # the input_resolver compares a number and a date
        if alike and _number(last) < _number(first):
            raise ValueError(f"end_span_number: expected {first} or more, received less")
        return self


class RangeConfig(Section):
    """Which spans are read, where the pattern has {SPAN} or {YYYY}, {MM} and {DD}; by default the newest one."""

    rolling_range: RollingRange | None = Field(default=None, description="The newest spans.")
    static_range: StaticRange | None = Field(default=None, description="Spans by their numbers or dates.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.rolling_range is None) == (self.static_range is None):
            raise ValueError("expected either rolling_range or static_range")
        return self

    @property
    def dates(self) -> list[str]:
        """Those of the spans that are written as dates."""
        ranges = [one.model_dump() for one in (self.rolling_range, self.static_range) if one]
        return [value for one in ranges for value in one.values() if isinstance(value, str)]


class Data(Section):
    """Where the data is and how it is written."""

    path: DataPath = Field(
        description="A file, a folder, or, where neither has that name, a pattern with *, {SPAN}, {VERSION} or "
        "{YYYY}{MM}{DD}; relative to this file, or package:NAME/path inside a package that is installed where the "
        "tasks run."
    )
    format: FileFormat | None = Field(
        default=None,
        description="csv, parquet or tfrecord; by default as the files' suffix says, else csv. Files "
        "that are not on this machine are not looked at: there the suffix in path or splits decides.",
    )
    payload_format: PayloadFormat | None = Field(
        default=None,
        description="What the records of TFRecord files are: FORMAT_TF_EXAMPLE, which is the default, or "
        "FORMAT_TF_SEQUENCE_EXAMPLE. Files of the other kind are refused.",
    )
    splits: dict[SplitName, str] = Field(
        default={}, description="Splits that the data comes in: name to pattern, relative to path."
    )
    range_config: RangeConfig | None = Field(
        default=None, description="Which spans are read, by default the newest one."
    )
    csv: Csv | None = Field(default=None, description="How CSV files are written.")

    def csv_options(self, without_code: bool) -> dict[str, Any]:
        """Returns the options of csv_example_gen; `without_code` is whether the model is that without a module."""
        options = (self.csv or Csv()).model_dump(exclude_none=True)
        automatic = {"null_values": csv_format.AUTO} if without_code and self.file_format == "csv" else {}
        return automatic | options

    @field_validator("csv")
    @classmethod
    def _none_if_empty(cls, csv: Csv | None) -> Csv | None:
        return csv if csv != Csv() else None  # no options are none given, whatever the format

    @model_validator(mode="after")
    def _there(self) -> Self:
        here = self.here
        if here and not patterns.is_wild(self.path):
            try:
                paths.require(here)
            except ValueError as error:
                raise ValueError(
                    f"path: {error}: expected a file, a folder or a pattern; of data that only a cluster has, name a "
                    f"sample on this machine, and submit with --param input_base={self.path}"
                ) from None
        if here and (special := kinds.special(here)):
            raise ValueError(f"path: {here} is {special}: expected a file, a folder or a pattern")
        is_pattern = patterns.is_wild(self.path) and not (here and here.exists())
        if self.splits and (is_pattern or (here and here.is_file())):
            raise ValueError("splits: expected path to be the folder that the splits' patterns are relative to")
        dates = self.range_config.dates if self.range_config else []
        if dates and not any("{YYYY}" in pattern for pattern in self.patterns.values()):
            raise ValueError(
                f"range_config: {dates[0]}: expected numbers of spans: no pattern has {{YYYY}}, {{MM}} and {{DD}}"
            )
        if self.csv is not None and self.file_format != "csv":
            raise ValueError(f"csv: expected no CSV options for {self.file_format} data")
        if self.payload_format is not None and self.file_format != "tfrecord":
            raise ValueError(f"payload_format: expected none for {self.file_format} data: it is of TFRecord files")
        return self

    @property
    def here(self) -> Path | None:
        """Where `path` is on this machine; None in a bucket, and in a package that this environment lacks."""
        return _here(self.path)

    @property
    def base_here(self) -> Path | None:
        """Where `input_base` is on this machine, as `here`."""
        return _here(self.input_base)

    def require_package(self) -> None:
        """Raises a ConfigError if the data is in a package that this environment lacks."""
        if packages.is_inside(self.path):
            try:
                packages.resolve(self.path)
            except ValueError as error:
                raise ConfigError(f"data.path: {error}") from None

    @property
    def input_base(self) -> str:
        """The folder that patterns are relative to, or one file."""
        base, _ = self._parts()
        return base

    @property
    def patterns(self) -> dict[str, str]:
        """The patterns of the input splits, relative to `input_base`; empty for TFX's default, all files there."""
        _, pattern = self._parts()
        return self.splits or ({"single_split": pattern} if pattern else {})

    @property
    def file_format(self) -> FileFormat:
        """The format, as `format` or a file's suffix says, else csv."""
        if self.format is not None:
            return self.format
        names = [self.path, *self.splits.values()]
        here = self.here
        if here and here.is_dir() and not self.splits:
            names = sorted(entry.name for entry in here.iterdir())
        return formats.of_names(names) or "csv"

    def _parts(self) -> tuple[str, str]:
        elsewhere = is_remote(self.path) or packages.is_inside(self.path)  # the same whether it is here as well or not
        if elsewhere:
            base = Path()
        else:  # a folder that exists is no pattern, whatever its name
            base = next(folder for folder in (Path(self.path), *Path(self.path).parents) if folder.is_dir())
        start = len(str(base)) + 1 if base != Path() else 0
        rest = self.path[start:]
        if rest and not elsewhere and Path(self.path).is_file():
            return str(Path(self.path).parent), patterns.escape(Path(self.path).name)
        wild = patterns.first_wild(rest)
        if wild >= 0:
            start += rest[:wild].rfind("/") + 1
            return self.path[: start - 1], self.path[start:]
        return self.path, ""


class Splits(Section):
    """The splits that examples are divided into, and what decides a row's split."""

    hash_buckets: dict[SplitName, PositiveWhole] = Field(
        default={"train": 2, "eval": 1}, description="Buckets of each split: its share of the examples.", min_length=1
    )
    partition_feature: str | None = Field(
        default=None,
        description="The feature that decides the split, so that equal values stay together; else the record.",
    )
    by: By | None = Field(
        default=None,
        description="What decides a row's split. content: the hash of the record, as in TFX, so equal rows stay "
        "together. row: its place, the row's number in its file; it stays when rows are appended or files added. "
        "random: chance, with a seed. auto: content, unless few rows differ, then row. By default content with a "
        "module, else auto.",
    )
    seed: Seed | None = Field(default=None, description="The seed of by: random, by default 0.")
    stratify: bool = Field(
        default=False, description="With by: random, whether each split gets its share of every class of the label."
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        total = sum(self.hash_buckets.values())
        if total > MOST_BUCKETS:
            raise ValueError(f"hash_buckets: expected at most {MOST_BUCKETS:,} in all, received {total:,}")
        if self.partition_feature and self.by in ("row", "random"):
            raise ValueError(f"by: {self.by}: expected none beside partition_feature, which decides a row's split")
        for key, is_set in (("seed", self.seed is not None), ("stratify", self.stratify)):
            if is_set and self.by != "random":
                raise ValueError(f"{key}: expected by: random with it, received {self.by or 'none'}")
        return self

    def output_config(self, by: By) -> dict[str, Any]:
        """Returns TFX's SplitConfig message, with keys of our own where the rows are not divided by content.

        `by` stands where a person says nothing of it.
        """
        splits = [{"name": name, "hash_buckets": buckets} for name, buckets in self.hash_buckets.items()]
        config: dict[str, Any] = {"splits": splits}
        if self.partition_feature:
            return config | {"partition_feature_name": self.partition_feature}
        by = self.by or by
        config |= {} if by == "content" else {"by": by}
        config |= {} if self.seed is None else {"seed": self.seed}
        return config | ({"stratify": True} if self.stratify else {})


def _here(path: str) -> Path | None:
    if is_remote(path):
        return None
    try:
        return packages.resolve(path) if packages.is_inside(path) else Path(path)
    except ValueError:
        return None
