"""What a person can be told of the data of a configuration before anything runs."""

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from penstock.core import packages
from penstock.core.errors import DataError
from penstock.core.labels import Problem
from penstock.core.suggestions import listed
from penstock.core.text import cell_words
from penstock.pipelines.config.training_pipeline import Config
from penstock.pipelines.preview import cleaning, columns, evaluation, monitoring, parts, reference_files
from penstock.pipelines.preview.columns import Column
from penstock.pipelines.preview.rows import places
from penstock.pipelines.preview.table import Table, Unseen

_ROWS = 20_000  # by which columns are tried for leaks
_TO_TRAIN = 10  # rows


@dataclass(frozen=True)
class Findings:
    """What a person may want to mend, what was not looked at, rules that clean the data, and, where a person asks for
    it, what was looked at; all in sentences."""

    warnings: Sequence[str] = ()
    not_looked_at: Sequence[str] = ()
    proposals: Sequence[str] = ()
    looked_at: Sequence[str] = ()


def look(config: Config, asks: bool = False) -> Findings:
    """Looks at the data of this machine, and with `asks` at any; a DataError for what no run could read or learn from.

    Of splits that are places of their own each is looked at, and the first of these in all that one place is.
    """
    if config.cleaning:
        reference_files.check(config.cleaning)
    notes: list[str] = []
    seen = places.look(config, asks, notes)
    unseen = [parts.not_looked_at(key, one) for key, one in seen.items() if isinstance(one, Unseen)]
    tables = {key: one for key, one in seen.items() if isinstance(one, Table)}
    described = {key: described_columns(one, places.csv_options(config, key)) for key, one in tables.items()}
    for key, one in seen.items():
        if one.names:
            parts.require_label(config, key, one.names)
            notes += parts.unknown(config, key, one.names)
    notes += parts.differences(described)
    if not tables:
        return Findings(notes, unseen)
    first = next(iter(tables))
    found = _of_table(config, tables[first], described[first])
    looked_at = [parts.looked_at(key, tables[key], described[key]) for key in tables] if asks else ()
    return Findings([*notes, *found.warnings], [*unseen, *found.not_looked_at], found.proposals, looked_at)


def _of_table(config: Config, first: Table, described: Mapping[str, Column]) -> Findings:
    """Returns what the first rows tell."""
    warnings = list(_on_cells(config, described))
    not_looked_at = []
    if config.label:
        label = described[config.label]
        require_learnable(label, first, config.without_code)
        warnings += _on_label(label, first)
        problem = config.training.problem if config.training else None
        leaks = {} if label.is_constant else leaks_of(first, described, config.label, problem)
        if leaks is None:
            not_looked_at.append(f"columns that give the label away: not looked for, as it takes {packages.RUNTIME}")
        else:
            warnings += _on_leaks(leaks, config)
        if config.without_code and config.evaluation:
            warnings += evaluation.on_metrics(config.evaluation, label, first, problem)
    monitoring.check_label_key(config, first)
    warnings += monitoring.on_thresholds(config, described, first)
    if config.without_code:
        warnings += _on_dates(config, described, first)
        warnings += _on_keys(config, described)
        warnings += evaluation.on_slices(config.evaluation, described, first) if config.evaluation else ()
    if config.cleaning:
        warnings += cleaning.misfits(config.cleaning, first, described, config.data.file_format == "csv")
    without_options = config.data.file_format != "csv"
    proposals = () if config.cleaning else cleaning.proposals(first, described, config.label or "", without_options)
    return Findings(warnings, not_looked_at, list(proposals))


def described_columns(first: Table, options: Mapping[str, Any]) -> dict[str, Column]:
    """Describes the columns of a table that is read with these options of csv_example_gen."""
    null_values, point = options.get("null_values") or [], options.get("decimal_point") or "."
    return {
        name: columns.column(name, cells, first.lines, null_values, point)
        for name, cells in zip(first.names, first.columns, strict=True)
    }


def leaks_of(
    first: Table, described: Mapping[str, Column], label: str, problem: Problem | None = None
) -> dict[str, str] | None:
    """Returns how columns give the label away, by their names; None where numpy, which tells it, is not installed."""
    if importlib.util.find_spec("numpy") is None:
        return None
    import numpy as np

    from penstock.core.statistics import leaks

    target = described[label]
    rows = [row for row, cell in enumerate(first.columns[list(first.names).index(label)]) if cell in target.counts]
    rows = rows[:: max(1, -(-len(rows) // _ROWS))]
    of_values = target.label_values
    asked = problem or of_values.problem(target.counts.total())
    cells = dict(zip(first.names, first.columns, strict=True))
    if asked == "regression" and not target.is_number:
        return {}
    numbers = np.array(_as_numbers(target, [cells[label][row] for row in rows], asked), float)
    phrases = {}
    for name, column in described.items():
        if name == label or column.kind == "empty":
            continue
        chosen = [cells[name][row] for row in rows]
        missing = np.array([cell not in column.counts for cell in chosen])
        if column.is_number:
            measured = np.array([column.number(cell) if cell in column.counts else 0 for cell in chosen], float)
            missing |= ~np.isfinite(measured)
            values = leaks.Values.of_numbers(np.where(missing, 0, measured), missing)
        else:
            values = leaks.Values.of_ids(np.array(chosen), missing)
        if phrase := leaks.find(values, numbers, asked):
            phrases[name] = phrase
    return phrases


def _as_numbers(label: Column, cells: Sequence[str], problem: Problem) -> list[float]:
    """Returns a label's values as a model would learn them: numbers, or the indices of classes."""
    if not label.is_number:
        classes = {cell: float(index) for index, cell in enumerate(sorted(label.counts))}
        return [classes[cell] for cell in cells]
    measured = [label.number(cell) or 0.0 for cell in cells]
    if problem == "regression":
        return measured
    indices = {number: float(index) for index, number in enumerate(sorted(label.numbers))}
    return [indices[number] for number in measured]


def _on_cells(config: Config, described: Mapping[str, Column]) -> Iterator[str]:
    null_values = config.data.csv.null_values if config.data.csv else None
    yield from cell_words.sentences(
        {name: column.taken for name, column in described.items() if column.taken},
        {} if null_values is not None else {name: column.kept for name, column in described.items() if column.kept},
        {name: column.slips for name, column in described.items() if column.slips},
        config.label or "",
        null_values if isinstance(null_values, list) else (),
    )


def require_learnable(label: Column, first: Table, without_code: bool) -> None:
    """Raises a DataError if no model can be learnt of a label."""
    if not first.whole:
        return
    labelled = label.counts.total()
    if first.rows == 1:
        raise DataError(f"{first.path}: there is one row: expected some for each split, to learn from and to evaluate")
    if not labelled or label.is_constant:
        raise DataError(f"{_of_one_value(label, first)}: expected two values or more to learn from")
    if without_code and labelled < _TO_TRAIN:
        raise DataError(f"expected at least {_TO_TRAIN} rows with a label to train on, found {labelled}")


def _on_label(label: Column, first: Table) -> Iterator[str]:
    labelled = label.counts.total()
    if not labelled or label.is_constant:
        yield f"{_of_one_value(label, first)}; if it is so in all rows, there is nothing to learn"
    if labelled and label.missing:
        of = f"{'' if first.whole else 'the first '}{first.rows:,}"
        yield f"{label.missing:,} of {of} rows have no value of the label {label.name!r}: they are left out"


def _of_one_value(label: Column, first: Table) -> str:
    where = "" if first.whole else f" of the first {first.rows:,}"
    if not label.counts:
        return f"label {label.name!r}: no row{where} has a value"
    return f"the label {label.name!r} is {next(iter(label.counts))!r} in every row{where}"


def _on_leaks(leaks: Mapping[str, str], config: Config) -> Iterator[str]:
    for name, phrase in leaks.items():
        if name in config.features and config.features[name].ignore:
            continue
        yield (
            f"column {name} alone gives the label {config.label} away {phrase}: is it known when the model is asked?"
            + (f" if not, features: {{{name}: {{ignore: true}}}}" if config.without_code else "")
        )


def _on_dates(config: Config, described: Mapping[str, Column], first: Table) -> Iterator[str]:
    for name, column in described.items():
        mixed = column.mixed_dates if name != config.label else None
        if mixed is None or (name in config.features and config.features[name].ignore):
            continue
        of_other = sum(column.counts[value] for value in mixed.others)
        cells = first.columns[list(first.names).index(name)]
        line = first.lines[cells.index(mixed.others[0])]
        yield (
            f"column {name} holds dates in two formats, {mixed.format} ({column.counts.total() - of_other:,} rows) and "
            f"{mixed.other} ({of_other:,}, such as {mixed.others[0]!r} in line {line:,}): expected all in one, to be "
            "read as dates"
        )


def _on_keys(config: Config, described: Mapping[str, Column]) -> Iterator[str]:
    keys = [
        name
        for name, column in described.items()
        if name != config.label and name not in config.features and column.is_key
    ]
    if keys:
        yield (
            f"left out, as their values differ as those of keys do: {listed(keys)}; features: {{{keys[0]}: {{kind: "
            f"{'numeric' if described[keys[0]].is_number else 'categorical'}}}}} keeps one"
        )
