"""What the places of the data have in common, and what not: their columns, and the label among them."""

from collections.abc import Iterator, Mapping, Sequence

from penstock.core.errors import DataError
from penstock.core.suggestions import listed, nearest
from penstock.pipelines.config.csv_columns import hint
from penstock.pipelines.config.training_pipeline import Config
from penstock.pipelines.preview.columns import Column, Kind
from penstock.pipelines.preview.table import Table, Unseen

_WORDS: dict[Kind, str] = {
    "integers": "integers",
    "numbers": "numbers with decimals",
    "text": "text",
    "empty": "no single values",
}


def require_label(config: Config, key: str, names: Sequence[str]) -> None:
    """Raises a DataError if the columns of a place lack the label."""
    if config.label and config.label not in names:
        what = f"{key} has" if config.data.parts else "the data has"
        raise DataError(f"label: {what} no column {config.label!r}; {hint(config.label, names)}")


def differences(described: Mapping[str, Mapping[str, Column]]) -> Iterator[str]:
    """Yields how the columns of places differ from those of the first one, in name and in type."""
    if not described:
        return
    (first, columns), *others = described.items()
    for key, other in others:
        missing = [name for name in columns if name not in other]
        new = [name for name in other if name not in columns]
        if missing:
            near = nearest(missing[0], new)
            meant = f" (is it {near!r} here?)" if near else ""
            yield f"{key}: it has no column {missing[0]!r}{meant}, which {first} has{_and_more(missing)}"
        if new:
            yield f"{key}: it has a column {new[0]!r} that {first} lacks{_and_more(new)}"
        for name, column in other.items():
            kinds = {columns[name].kind, column.kind} if name in columns else set()
            if len(kinds - {"empty"}) > 1:
                yield (
                    f"{key}: column {name!r} is {_WORDS[column.kind]} here and {_WORDS[columns[name].kind]} in {first}"
                    ": a run takes one type in all splits"
                )


def _and_more(names: Sequence[str]) -> str:
    return f"; so it is with {listed(names[1:])}" if names[1:] else ""


def unknown(config: Config, key: str, names: Sequence[str]) -> Iterator[str]:
    """Yields which features are no columns of a place; of CSV files on this machine the configuration's check is sure.

    It is no error: rows of JSON need not have all columns.
    """
    for feature in config.features:
        if feature not in names:
            yield f"features.{feature}: {key} has no such column, as far as it was looked at; {hint(feature, names)}"


def not_looked_at(key: str, unseen: Unseen) -> str:
    """Returns why a place was not looked at, with its columns where these are known."""
    columns = f"; its columns: {listed(unseen.names)}" if unseen.names else ""
    return f"{key}: not looked at, for {unseen.why}{columns}"


def looked_at(key: str, rows: Table, described: Mapping[str, Column]) -> str:
    """Returns which columns were looked at, and in how many rows."""
    columns = listed([f"{name} ({_WORDS[column.kind]})" for name, column in described.items()])
    count = "1 row" if rows.rows == 1 else f"{rows.rows:,} rows"
    return f"{key}: {count} looked at; columns: {columns}"
