"""Files of references, in which rules of cleaning look values up, as far as they are on this machine."""

import contextlib
import csv
import importlib.util
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from penstock.core import packages
from penstock.core.cleaning.rules import Reference
from penstock.core.errors import DataError
from penstock.core.files import compression
from penstock.core.suggestions import did_you_mean
from penstock.pipelines.config.cleaning import Cleaning
from penstock.pipelines.config.section import is_remote

_LARGEST = 16 * 2**20  # bytes of a file whose values are read


def check(cleaning: Cleaning) -> None:
    """Raises a DataError if a file cannot be read, or has no column of the name that a rule looks up."""
    for index, rule in enumerate(cleaning.read()):
        file = _here(rule) if isinstance(rule, Reference) else None
        names = _names(file) if file else None
        if isinstance(rule, Reference) and names is not None and rule.key_column not in names:
            advice = did_you_mean(rule.key_column, names, "the columns are")
            raise DataError(f"cleaning.rules[{index}]: {file} has no column {rule.key_column!r}; {advice}")


def values(rule: Reference) -> list[str]:
    """Returns the values of a small CSV file, none of any other; a DataError if it cannot be read."""
    file = _here(rule)
    if file is None or file.suffix == ".parquet" or file.stat().st_size > _LARGEST:
        return []
    with _csv(file) as text:
        return list(dict.fromkeys(row[rule.key_column] for row in csv.DictReader(text) if row[rule.key_column]))


def _here(rule: Reference) -> Path | None:
    """Returns where a rule's file is; None in a bucket, and in a package that is in the image alone."""
    if is_remote(rule.file):
        return None
    with contextlib.suppress(ValueError):
        return packages.resolve(rule.file) if packages.is_inside(rule.file) else Path(rule.file)
    return None


def _names(file: Path) -> Sequence[str] | None:
    """Returns the columns of a CSV or Parquet file; None of a Parquet file without pyarrow."""
    if file.suffix != ".parquet":
        with _csv(file) as text:
            return next(csv.reader(text), [])
    if importlib.util.find_spec("pyarrow") is None:
        return None
    import pyarrow
    import pyarrow.parquet

    try:
        names: list[str] = pyarrow.parquet.read_schema(file).names
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{file}: expected a Parquet file: {error}") from None
    return names


@contextlib.contextmanager
def _csv(file: Path) -> Iterator[TextIO]:
    try:
        with compression.opened(file) as content, io.TextIOWrapper(content, "utf-8-sig", newline="") as text:
            yield text
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file}: expected CSV text in UTF-8: {error}") from None
