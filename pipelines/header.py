"""The columns of CSV data on this machine, from the first line of a file: names are checked before anything runs."""

import csv
import difflib
import gzip
from collections.abc import Sequence
from pathlib import Path

from penstock.components.errors import ConfigError
from penstock.pipelines.config import Config
from penstock.pipelines.data import Csv as Options
from penstock.pipelines.section import is_remote

_SHOWN = 10
_SUFFIXES = (".csv", ".tsv", ".csv.gz", ".tsv.gz")


def check(config: Config) -> None:
    """Raises a ConfigError that tells the columns, if the label, one of `features` or what divides folds is none.

    Data that is elsewhere, in another format, or not to be read as the options say is left to ExampleGen.
    """
    names = columns(config)
    if len(names) < 2:  # most often read with the wrong delimiter, of which ExampleGen tells more
        return
    wanted = [("label", config.label)] if config.label else []
    wanted += [(f"features.{name}", name) for name in config.features]
    folds = config.tuning and config.tuning.cross_validation
    if folds and folds.feature:
        wanted.append(("tuning.cross_validation.feature", folds.feature))
    for key, name in wanted:
        if name not in names:
            shown = ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
            nearest = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean {nearest[0]!r}? " if nearest else ""
            raise ConfigError(f"{key}: the data has no column {name!r}; {hint}the columns are {shown}")


def columns(config: Config) -> Sequence[str]:
    """Returns the columns of the first file, none if they cannot be told."""
    data = config.data
    if data.file_format != "csv" or is_remote(data.path):
        return ()
    options = data.csv or Options()
    if options.column_names:
        return options.column_names
    path = Path(data.path)
    files = [path] if path.is_file() else sorted(file for file in path.glob("*") if file.name.endswith(_SUFFIXES))
    if not files:
        return ()
    opened = gzip.open if files[0].suffix == ".gz" else open
    try:
        with opened(files[0], "rt", encoding=options.encoding or "utf-8-sig", newline="") as text:
            reader = csv.reader(text, delimiter=options.delimiter or ",", quotechar=options.quote_char or '"')
            return next(reader, [])
    except (OSError, UnicodeError, csv.Error):
        return ()
