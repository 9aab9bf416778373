"""The columns of CSV data on this machine, from the first lines of a file: mistakes in names are told at once.

What those lines hold decides for all of them in one way only: a cell that is no number makes its column text.
"""

import csv
import io
import itertools
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from penstock.core import csv_format
from penstock.core.cleaning import fitting
from penstock.core.cleaning.rules import Type
from penstock.core.errors import ConfigError, DataError
from penstock.core.files import compression, patterns
from penstock.core.files.formats import SUFFIXES
from penstock.core.suggestions import listed, nearest
from penstock.pipelines.config.data import Csv as Options
from penstock.pipelines.config.training_pipeline import Config

_ROWS = 200
_CHARACTERS = 4 << 20  # a header of 100,000 columns fits
_DELIMITERS = ";\t|,"
_TRANSFORMED = "_xf"  # is in the name of what the default trainer makes of a column


@dataclass(frozen=True)
class Beginning:
    """The columns of the first file, none if they cannot be told, and its first rows, as far as they have as many."""

    names: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()

    def cells(self, name: str, null_values: Sequence[str], among_numbers: bool = False) -> list[str]:
        """Returns a column's different cells in their order, but for those that are missing."""
        place = list(self.names).index(name)
        distinct = dict.fromkeys(row[place] for row in self.rows)
        return [cell for cell in distinct if not csv_format.is_missing(cell, null_values, among_numbers)]


def check(config: Config) -> None:
    """Raises a ConfigError if the configuration names a column that is none, or takes text for numbers.

    So does a column without a name of its own.

    Data that is elsewhere, in another format, read in part, or not to be read as the options say is left to ExampleGen.
    """
    beginning = read(config)
    if not beginning.names:
        return
    try:
        csv_format.check_names(beginning.names)
    except ValueError as error:
        named = config.data.csv and config.data.csv.column_names
        raise ConfigError(f"{'data.csv.column_names' if named else 'data: the first line'}: {error}") from None
    for key, name in _named(config):
        if name not in beginning.names:
            raise ConfigError(f"{key}: the data has no column {name!r}; {hint(name, beginning.names)}")
    _check_numbers(config, beginning)
    _check_cleaning(config, beginning)


def read(config: Config) -> Beginning:
    """Returns the beginning of the first file, an empty one if it cannot be told.

    Raises a DataError for compressed data that is damaged or cut off, and for a special file in the data's folder.
    """
    data = config.data
    base = data.base_here
    if data.file_format != "csv" or base is None or data.columns or data.partitions:
        return Beginning()
    options, file = data.csv or Options(), _first_file(base, [pattern for _, pattern in data.patterns])
    if file is None:
        return Beginning(options.column_names or ())
    try:
        text, whole = _start(file, options.encoding or "utf-8")
        said, text = csv_format.without_separator_line(text)
        if said and said != (options.delimiter or ","):
            return Beginning(options.column_names or ())
        reader = csv.reader(
            io.StringIO(text, ""), delimiter=options.delimiter or ",", quotechar=options.quote_char or '"'
        )
        names = options.column_names or [name.removeprefix("\ufeff") for name in next(reader, [])]
        filled = itertools.takewhile(lambda row: len(row) == len(names), filter(None, reader))
        rows = list(itertools.islice(filled, _ROWS))
        if not whole and next(reader, None) is None:  # what was read last goes on in the file
            names, rows = names if rows else options.column_names or [], rows[:-1]
        return Beginning(names, tuple(rows))
    except (OSError, UnicodeError, csv.Error):
        return Beginning(options.column_names or ())


def _start(file: Path, encoding: str) -> tuple[str, bool]:
    """Returns the first characters of a file, compressed or plain, and whether they are all: a line may have no end."""
    try:
        with compression.opened(file) as content, io.TextIOWrapper(content, encoding, newline="") as text:
            return text.read(_CHARACTERS), not text.read(1)
    except DataError as error:
        error.message = f"data: {error.message}"
        raise


def _first_file(base: Path, of_splits: Collection[str]) -> Path | None:
    """Returns a file of the data; None if there is none, or the pattern has {SPAN} or the like in it."""
    if base.is_file():
        return base
    literal = [patterns.literal_below(base, pattern) for pattern in of_splits] or ["*"]
    fixed = [pattern for pattern in literal if "{" not in patterns.without_escapes(pattern)]
    files = sorted(base / name for pattern in fixed for name in patterns.files(base, pattern))
    return next((file for file in files if file.name.endswith(SUFFIXES["csv"])), files[0] if files else None)


def _named(config: Config) -> Iterator[tuple[str, str]]:
    """Yields every column that the configuration names, and the key that does."""
    if config.label:
        yield "label", config.label
    for name in config.features:
        yield f"features.{name}", name
    if config.splits and config.splits.partition_feature:
        yield "splits.partition_feature", config.splits.partition_feature
    if config.cleaning:
        yield from config.cleaning.columns
    if config.tuning and config.tuning.cross_validation and config.tuning.cross_validation.feature:
        yield "tuning.cross_validation.feature", config.tuning.cross_validation.feature
    if config.evaluation and config.without_code:  # a module may evaluate by what it has made of the columns
        if config.evaluation.example_weight_key:
            yield "evaluation.example_weight_key", config.evaluation.example_weight_key
        for part in config.evaluation.slices:
            names = [part] if isinstance(part, str) else part
            yield from (("evaluation.slices", name) for name in names if _TRANSFORMED not in name)


def hint(name: str, names: Sequence[str]) -> str:
    """Returns what to say of a name that is no column: the nearest one, and which there are."""
    if len(names) == 1:
        delimiters = [delimiter for delimiter in _DELIMITERS if delimiter in names[0]]
        if delimiters:
            return f"there is one, {names[0]!r}: is data.csv.delimiter {json.dumps(delimiters[0])}?"
    near = nearest(name, names)
    return (f"did you mean {near!r}? " if near else "") + f"the columns are {listed(names)}"


def _check_numbers(config: Config, beginning: Beginning) -> None:
    """Raises a ConfigError for text where the configuration says that there are numbers, or two values."""
    options = config.data.csv_options(config.without_code)
    missing, point = options.get("null_values", []), options.get("decimal_point", ".")
    numbers = {
        f"features.{name}.kind": name
        for name, feature in config.features.items()
        if feature.kind == "numeric" or (feature.kind == "date" and feature.format == "unix")
    }
    problem = config.training and config.training.problem
    if problem == "regression" and config.label:
        numbers["training.problem"] = config.label
    for key, name in numbers.items():
        cells = beginning.cells(name, missing, among_numbers=True)
        text = next((cell for cell in cells if csv_format.number(cell, point) is None), None)
        if text is not None:
            raise ConfigError(
                f"{key}: expected numbers in the column {name!r}, found {text!r}; if that means a missing value, "
                f"data.csv.null_values: {json.dumps([text], ensure_ascii=False)} says so"
            )
    if problem == "binary" and config.label:
        _check_binary(beginning.cells(config.label, missing), config.label, point)


def _check_cleaning(config: Config, beginning: Beginning) -> None:
    """Raises a ConfigError if a rule of cleaning does not fit a column of text, which the first rows tell for sure."""
    if not config.cleaning:
        return
    options = config.data.csv_options(config.without_code)
    missing, point = options.get("null_values", []), options.get("decimal_point", ".")
    types: dict[str, Type | None] = dict.fromkeys(beginning.names)
    for _, name in config.cleaning.columns:
        cells = beginning.cells(name, missing, among_numbers=True)
        if any(csv_format.number(cell, point) is None for cell in cells):
            types[name] = "text"
    try:
        fitting.check(config.cleaning.read(), types)
    except DataError as error:
        raise ConfigError(f"cleaning: {error.message}") from None


def _exact(cell: str, point: str) -> int | float | None:
    """Returns the number of a cell, None if it is text; integers as they are, as doubles round large ones."""
    number = csv_format.number(cell, point)
    try:
        return number and int(cell)
    except ValueError:
        return number


def _check_binary(cells: Sequence[str], label: str, point: str) -> None:
    numbers = [_exact(cell, point) for cell in cells]
    if None not in numbers:  # 1 and 1.0 are one value, and nan is none
        pairs = zip(cells, numbers, strict=True)
        cells = [
            cell for place, (cell, number) in enumerate(pairs) if number == number and number not in numbers[:place]
        ]
    if len(cells) > 2:
        shown = ", ".join(map(repr, cells[:3])) + (", …" if len(cells) > 3 else "")
        raise ConfigError(
            f"training.problem: expected two values of the label {label!r} for binary, found {shown}; "
            "data.csv.null_values says which of them mean a missing value"
        )
