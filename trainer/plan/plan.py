"""What each column of a table is to the default model: a plan from the schema, the statistics and what a person says.

The rules, in their order. An override (`features:` in the configuration) decides before any of them.

ignored      nothing in any row; the same value in every row; strings that (nearly) all differ and are no text, such as
             keys; integers of which nearly all differ, where chance would not have it so, also with gaps between them,
             or the name says that they are keys; bytes that are images or other media; structs; more than 256 numbers
             in each row
sparse       a sparse feature of the schema: the indices as a bag, or numbers of their own where there are up to 64
text         strings that the schema declares natural language, or of which most have three words or more, or two
             where they all differ
date         strings of which all but a few that the statistics list are dates or timestamps, in one format (dates.py);
             integers that are moments of the years 1990 to 2099 in a column whose name says so
categorical  all other strings, and integers that the schema declares categorical; several in a row make a bag
             Strings of which most are numbers and a few others (NA) are numeric, the others missing; but neither codes
             such as 007 nor up to 50 different integers, unless they all differ
numeric      floats and integers. An integer that spans 3 to 50 values, or has so few far apart, each 25 times on
             average, is given to the model twice, as a number and as a category: an hour is both, and so is a code.
             Several in each row are a number for each position where every row has as many, else their mean, least,
             greatest and count.

What the label decides: labels.py, core/labels.py.
"""

import dataclasses
import datetime
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from penstock.core.errors import ConfigError, DataError
from penstock.core.labels import Label
from penstock.core.statistics import exact
from penstock.core.suggestions import did_you_mean
from penstock.trainer.plan import columns, dates, labels
from penstock.trainer.plan import ignored as ignored_columns
from penstock.trainer.plan import notes as column_notes
from penstock.trainer.plan.columns import Column
from penstock.trainer.plan.features import (
    KINDS,
    Categorical,
    Date,
    Feature,
    Kind,
    Numeric,
    Override,
    Part,
    Sparse,
    Text,
)
from penstock.trainer.plan.output_names import OutputNames

logger = logging.getLogger(__name__)

_MOST_DENSE = 64  # indices of a sparse feature that become numbers
_WIDEST = 64  # ids in a row; more are cut off
_CODES = 50  # integers in text that may be codes: as many as make an integer a category as well
_MANY = 10  # numbers to a word in text that is read as numbers
_EXACT = 1 << 24  # a float of 32 bits holds no larger integers exactly
_SHOWN = 10


@dataclass(frozen=True)
class Plan:
    """What the columns are: the features in the schema's order, the label, and why other columns are left out.

    `notes` say of columns what a person may want to mend.
    """

    features: tuple[Feature, ...]
    label: Label
    ignored: Mapping[str, str] = dataclasses.field(default_factory=dict)
    notes: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Returns the plan as plain values, the kind of each feature among them."""
        return {
            "features": [{"kind": feature.kind, **dataclasses.asdict(feature)} for feature in self.features],
            "label": dataclasses.asdict(self.label),
            "ignored": dict(self.ignored),
            "notes": dict(self.notes),
        }

    def log(self) -> None:
        """Logs what the columns are taken for, a line for each kind, and what is ignored and why."""
        classes = f" of {', '.join(map(str, self.label.classes[:_SHOWN]))}" if self.label.classes else ""
        more = ", …" if len(self.label.classes) > _SHOWN else ""
        logger.info("label %s: %s%s%s", self.label.name, self.label.problem, classes, more)
        by_kind: dict[str, dict[str, None]] = {}
        for feature in self.features:
            by_kind.setdefault(feature.kind, {})[feature.name] = None
        formats = {feature.name: f" ({feature.format})" for feature in self.features if isinstance(feature, Date)}
        for kind, names in by_kind.items():
            logger.info("%s: %s", kind, ", ".join(name + formats.get(name, "") for name in names))
        for name, reason in self.ignored.items():
            logger.info("feature %s is ignored: %s", name, reason)
        for name, note in self.notes.items():
            logger.warning("%s %s: %s", "label" if name == self.label.name else "feature", name, note)


def plan(
    schema: schema_pb2.Schema,
    statistics: statistics_pb2.DatasetFeatureStatisticsList,
    label: str,
    overrides: Mapping[str, Override] | None = None,
    problem: str | None = None,
) -> Plan:
    """Returns the plan for data with this schema and these statistics, of the split to train on and of the others.

    Raises a DataError if the label is no column, has one value, or no feature is left; a ConfigError for an override of
    a column that does not exist (with the nearest name) or one that does not fit.
    """
    table = columns.table(schema, statistics)
    if label not in table:
        raise DataError(f"label: the data has no column {label!r}; {did_you_mean(label, table)}")
    overrides = overrides or {}
    for name in overrides:
        if name not in table:
            raise ConfigError(f"features.{name}: the data has no column {name!r}; {did_you_mean(name, table)}")
        if name == label:
            raise ConfigError(f"features.{name}: it is the label: expected a feature, or another label")
    outputs = OutputNames()
    target = labels.planned(table[label], outputs(label), problem)
    features: list[Feature] = []
    ignored, notes = dict[str, str](), dict[str, str]()
    if target.problem == "regression" and (note := column_notes.of_label(table[label])):
        notes[label] = note
    for column in table.values():
        if column.name == label:
            continue
        override = overrides.get(column.name, Override())
        taken_for = _kind(column)
        note = "" if override.ignore else column_notes.of(column, override.kind, override.format, taken_for)
        if note:
            notes[column.name] = note
        why = ignored_columns.why(column, override.kind, taken_for)
        reason = "as the configuration says" if override.ignore else why
        if reason:
            ignored[column.name] = reason
            continue
        try:
            features += _features(column, outputs(column.name), override)
        except ConfigError as error:
            raise ConfigError(f"features.{column.name}.{error.message}") from None
    if not features:
        raise DataError(f"no feature is left to learn {label} from: {_reasons(ignored)}")
    return Plan(tuple(features), target, ignored, notes)


def planned(
    custom_config: Mapping[str, Any],
    schema: schema_pb2.Schema,
    statistics: statistics_pb2.DatasetFeatureStatisticsList,
) -> Plan:
    """Returns the plan of a configuration: its `label`, `features` and `problem`. The same ones give the same plan."""
    by_column = overrides(custom_config.get("features") or {})
    return plan(schema, statistics, custom_config["label"], by_column, custom_config.get("problem"))


def overrides(features: Mapping[str, Mapping[str, Any]]) -> dict[str, Override]:
    """Reads overrides as a configuration holds them; a ConfigError names an unknown key or kind and the nearest."""
    known = [field.name for field in dataclasses.fields(Override)]
    for name, values in features.items():
        for key, value in values.items():
            if key not in known:
                raise ConfigError(f"features.{name}: unknown key {key!r}; {did_you_mean(key, known)}")
            if key == "kind" and value is not None and value not in KINDS:
                raise ConfigError(f"features.{name}.kind: unknown kind {value!r}; {did_you_mean(str(value), KINDS)}")
    return {name: Override(**values) for name, values in features.items()}


def _kind(column: Column) -> Kind:
    if not column.is_string:
        return "date" if column.moments and column.is_one and dates.names_time(column.name) else "numeric"
    if column.dates and column.is_one and not column.natural_language:
        return "date"  # before text: a day and a time are words as well
    if column.natural_language or column.wordy:
        return "text"
    return "numeric" if _holds_numbers(column) else "categorical"


def _holds_numbers(column: Column) -> bool:
    """Whether strings are read as numbers, of which other strings, if there are any, are missing ones."""
    found, as_numbers = column.numbers, column.as_numbers
    if found is None or as_numbers is None or not column.is_one:
        return False
    if column.all_differ:  # else it would be taken for a key
        return True
    few = bool(column.not_numbers) or 0 < _MANY * len(column.words) <= found.distinct
    return few and (not found.whole or found.distinct > _CODES)


def _features(column: Column, output: str, override: Override) -> Iterator[Feature]:
    if column.sparse_size:
        if override.kind:
            raise ConfigError("kind: it is a sparse feature of the schema, which has no other kind")
        width = 0 if column.sparse_size <= _MOST_DENSE else _WIDEST
        yield Sparse(column.name, output, column.sparse_size, **({"width": width} | override.options(Sparse)))
        return
    kind = override.kind or _kind(column)
    if kind == "numeric":
        yield from _numeric(column, output, override)
    elif kind == "categorical":
        yield _categorical(column, output, override.options(Categorical))
    elif kind == "text":
        if not column.is_string:
            raise ConfigError(
                f"kind: expected strings for text, found numbers, {exact.text(column.least)} to "
                f"{exact.text(column.greatest)}"
            )
        width = min(256, max(16, 1 << int(column.average_length // 2.5).bit_length()))  # words of five, and pairs
        yield Text(column.name, output, **({"width": width} | override.options(Text)))
    else:
        yield _date(column, output, override.options(Date))


def _numeric(column: Column, output: str, override: Override) -> Iterator[Feature]:
    if not column.is_number and not (column.as_numbers and column.is_one):
        strings = ", ".join(map(repr, column.not_numbers or column.top_values[:1]))
        raise ConfigError(f"kind: expected numbers for numeric, found strings such as {strings}")
    options: dict[str, Any] = override.options(Numeric)
    numbers = column.as_numbers if column.is_string and not column.is_integer else column
    if numbers is not None and numbers.is_integer and max(abs(numbers.least), abs(numbers.greatest)) > _EXACT:
        options["origin"] = int(numbers.least if column.is_string else column.median)
    if column.most_values <= 1:
        yield Numeric(column.name, output, **options)
        if column.is_code and not override.kind:
            yield _categorical(column, f"{output}_ids", {})
    elif column.fixed:
        yield from (Numeric(column.name, f"{output}_{i}", of=i, **options) for i in range(column.fixed))
    else:
        yield from (Numeric(column.name, f"{output}_{of}", of=of, **options) for of in ("mean", "min", "max", "count"))
        if column.is_integer and not override.kind:
            yield _categorical(column, f"{output}_ids", {})


def _categorical(column: Column, output: str, options: Mapping[str, Any]) -> Categorical:
    threshold = 2 if column.rows < 10_000 else 5
    defaults = {"frequency_threshold": threshold, "width": min(max(column.most_values, 1), _WIDEST)}
    return Categorical(column.name, output, **(defaults | dict(options)))


def _date(column: Column, output: str, options: Mapping[str, Any]) -> Date:
    written = column.dates
    recognised = written.format if written else "iso" if column.is_string else column.moments
    form = options.get("format") or recognised
    numbers = form in dates.UNITS
    fits = not column.is_string if numbers else column.is_string or (column.is_integer and form not in ("", "iso"))
    if not form:
        raise ConfigError(
            "format: the column holds numbers: expected what they count, unix (seconds since 1970), unix_ms, unix_us "
            "or unix_ns"
        )
    if not fits:
        what, expected = ("strings", "iso or one such as %d/%m/%Y") if column.is_string else ("numbers", "unix")
        raise ConfigError(f"format: expected {expected} for {what}, received {form!r}")
    unread: list[str] = []
    if numbers:
        timed, middle = True, int(column.median) // dates.UNITS[form]
    else:
        texts = column.texts if column.is_string else (f"{int(column.least)}",)
        there = sorted(moment for moment in (dates.read(text, form) for text in texts) if moment)
        if texts and not there:
            raise ConfigError(
                f"format: expected how dates are written here, such as {texts[0]!r}, received {form!r}, which reads "
                "none of the most frequent values"
            )
        unread = [text for text in column.texts_everywhere if text.strip() and not dates.read(text, form)]
        timed = any(moment.time() != datetime.time() for moment in there)
        middle = dates.seconds(there[len(there) // 2]) if there else 0
    parts: tuple[Part, ...] = ("days", "year", "week", "day") if timed else ("days", "year", "week")
    # Of many, those that look like dates are of another format, which is told: they were rather not meant as missing.
    missing = tuple(text for text in unread if len(unread) <= dates.FEW or not dates.alike([text]))
    known = {"format": form, "origin": middle, "missing": missing}
    return Date(column.name, output, **({"parts": parts} | dict(options) | known))


def _reasons(ignored: Mapping[str, str], most: int = 3) -> str:
    shown = [f"{name} ({reason})" for name, reason in list(ignored.items())[:most]]
    return ", ".join(shown) + (f" and {len(ignored) - most} more" if len(ignored) > most else "") or "there is no other"
