"""The configuration for a data file and its label, with comments that say why it is so."""

import importlib.util
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penstock.core import csv_format, packages
from penstock.core.errors import DataError, UserError
from penstock.core.files import formats
from penstock.core.labels import Problem
from penstock.core.page import numbers
from penstock.core.suggestions import listed
from penstock.core.text import cell_words
from penstock.pipelines.config.csv_columns import hint
from penstock.pipelines.preview import dialect, findings, table
from penstock.pipelines.preview.columns import Column
from penstock.pipelines.preview.rows import source_table
from penstock.pipelines.preview.table import Table

_PLAIN = re.compile(r"(?:\.\./)*[A-Za-z_][A-Za-z0-9_./-]*")
_WORDS_OF_YAML = ("y", "n", "yes", "no", "on", "off", "true", "false", "null")
_TO_SLICE = range(2, 11)  # values
_FEW_ROWS = 200  # of which three splits would be too small


@dataclass(frozen=True)
class DataFile:
    """A data file as it was looked at: the options of `data.csv` that it needs, its first rows and its columns."""

    path: Path
    options: Mapping[str, Any]
    first: Table
    columns: Mapping[str, Column]

    @classmethod
    def read(cls, path: Path) -> "DataFile":
        """Looks at a file; a UserError for one that cannot be looked at here, or has nothing to learn from."""
        form = formats.of_names([path.name]) or "csv"
        if form == "tfrecord":
            raise UserError(f"{path}: expected rows with columns: TFRecord files take a pipeline.yaml written by hand")
        if form == "parquet":
            first = table.of_parquet([path])
            if first is None:
                raise UserError(f"{path}: to look at Parquet files takes {packages.RUNTIME}")
            return cls(path, {}, first, findings.described_columns(first, {}))
        if form != "csv":
            if importlib.util.find_spec("pyarrow") is None:
                raise UserError(f"{path}: to look at {form.upper()} files takes {packages.RUNTIME}")
            first = source_table.read(path, [], form, {})
            return cls(path, {}, first, findings.described_columns(first, {}))
        options: dict[str, Any] = dict(dialect.guess(path).options)
        first = table.of_csv([path], options)
        columns = findings.described_columns(first, options | {"null_values": csv_format.AUTO})
        try:
            csv_format.check_names(first.names)
        except ValueError as error:
            raise DataError(f"{path}, line 1: {error}") from None
        words = list(dict.fromkeys(word for column in columns.values() for word in column.taken))
        kept = {word for column in columns.values() for word in column.kept}
        if words and not kept & set(words):  # else only the default tells them apart
            options["null_values"] = words
        return cls(path, options, first, columns)

    def require_label(self, label: str | None) -> Column:
        """Returns the label's column; a UserError lists the columns where none is named, or one that is none."""
        if label is None:
            lines = [
                f"{name:<{min(max(map(len, self.columns)), 40)}}  {_about(one)}" for name, one in self.columns.items()
            ]
            raise UserError(
                f"{self.path}: expected --label and the column that is to be predicted; there are", "\n".join(lines)
            )
        if label not in self.columns:
            raise UserError(f"--label: the data has no column {label!r}; {hint(label, self.first.names)}")
        return self.columns[label]


def text(data: DataFile, column: Column, folder: Path) -> str:
    """Returns the configuration of a project in this folder that predicts a column; a DataError if nothing can."""
    label = column.name
    findings.require_learnable(column, data.first, without_code=True)
    problem = column.label_values.problem(column.counts.total())
    return "\n".join(
        [
            "# yaml-language-server: $schema=pipeline.schema.json",
            f"# Predicts {_comment(label)} ({_problem(column, problem)}) by the other columns; written after a look at "
            f"{'all' if data.first.whole else 'the first'} {data.first.rows:,} rows.",
            "# Every key: penstock validate --keys",
            *_data(data, folder),
            f"label: {_scalar(label)}",
            "",
            *_features(data, label),
            "splits:",
            *_splits(data.first.rows),
            "",
            "evaluation: # by the metrics that suit the label; others: metrics: [...]",
            *_slices(data, label),
            "  thresholds: # what a model has to reach before it is pushed; min: and max: ask for a value",
            *_thresholds(column, problem),
            "",
            "push:",
            "  directory: serving",
            "",
        ]
    )


def _data(data: DataFile, folder: Path) -> Iterator[str]:
    yield "data:"
    yield f"  path: {_scalar(Path(os.path.relpath(data.path.absolute(), folder.absolute())).as_posix())}"
    taken = {name: column.taken for name, column in data.columns.items() if column.taken}
    sentence = cell_words.taken_words(taken)
    if data.options:
        yield "  csv:"
    for key, value in data.options.items():
        yield f"    {key}: {_scalar(value)}" + (f" # {_comment(sentence)}" if key == "null_values" else "")
    if sentence and "null_values" not in data.options:
        yield f"  # {_comment(sentence)}"


def _features(data: DataFile, label: str) -> Iterator[str]:
    settings, comments = [], []
    for name, column in data.columns.items():
        written = column.dates if name != label else None
        if written and written.other:
            settings.append(
                f"  {_scalar(name)}: {{kind: date, format: {_scalar(written.format)}}} # or {_scalar(written.other)}: "
                "no value tells which"
            )
        elif written:
            comments.append(f"# {name} holds dates ({written.format})")
    leaks = findings.leaks_of(data.first, data.columns, label) or {}
    settings += [
        f"  # {_scalar(name)}: {{ignore: true}} # if it is not known when the model is asked: alone, it gives the "
        f"label away {phrase}"
        for name, phrase in leaks.items()
    ]
    keys = [name for name, column in data.columns.items() if name != label and column.is_key]
    comments += [f"# left out, as their values differ as those of keys do: {_comment(listed(keys))}"] if keys else []
    if settings:
        is_said = any(not line.startswith("  #") for line in settings)
        yield "features:" if is_said else "# features:"
        yield from settings
    elif data.columns:
        comments.append("# What you know better of a column, you say: features: {NAME: {kind: categorical}}")
    yield from map(_comment, comments)
    yield ""


def _splits(rows: int) -> Iterator[str]:
    yield "  # by the rows' contents, so that they stay in their split when rows are added"
    if rows < _FEW_ROWS:
        yield "  hash_buckets: {train: 3, eval: 1}"
    else:
        yield "  hash_buckets: {train: 3, eval: 1, test: 1} # eval says when to stop training; test is new to the model"


def _slices(data: DataFile, label: str) -> Iterator[str]:
    names = [
        name
        for name, column in data.columns.items()
        if name != label and column.kind == "text" and len(column.counts) in _TO_SLICE
    ]
    if names:
        yield f"  slices: [{_scalar(names[0])}] # the metrics for each of its values as well"


def _thresholds(label: Column, problem: Problem) -> Iterator[str]:
    if problem == "binary":
        yield "    auc: {better_than_trivial: 0.05, change: {absolute: -0.02}} # 0.5 is chance; the change is from the"
        yield "    # newest model that was good enough"
        return
    if problem == "regression":
        yield "    rmse: {better_than_trivial: {relative: 0.05}, change: {relative: 0.05}}"
        yield "    # than always predicting the mean; the change is from the newest model that was good enough"
        return
    share = max(label.counts.values()) / label.counts.total()
    least = f"{max((1 - share) / 10, 0.0001):.1g}"
    yield f"    sparse_categorical_accuracy: {{better_than_trivial: {least}, change: {{absolute: -0.02}}}}"
    yield f"    # the most frequent class has {numbers.percentage(share)} of the rows; the change is from the newest"
    yield "    # model that was good enough"


def _problem(label: Column, problem: Problem) -> str:
    if problem == "regression":
        return "a number"
    return f"{problem}: {_comment(listed(sorted(label.counts)[:10]))}{', …' if len(label.counts) > 10 else ''}"


def _about(column: Column) -> str:
    if column.kind == "empty":
        return "no value"
    some = ", ".join(_comment(cell)[:20] for cell in list(column.counts)[:3])
    more = ", …" if len(column.counts) > 3 else ""
    return f"{'dates' if column.dates else column.kind}, {len(column.counts):,} different: {some}{more}"


def _comment(text: str) -> str:
    return " ".join(text.split())


def _scalar(value: str | Sequence[str]) -> str:
    """Returns a value as YAML has it in one line."""
    if not isinstance(value, str):
        return f"[{', '.join(map(_scalar, value))}]"
    is_plain = _PLAIN.fullmatch(value) and value.lower() not in _WORDS_OF_YAML
    return value if is_plain else json.dumps(value, ensure_ascii=False)
