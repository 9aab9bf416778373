"""What the data tells of the evaluation of a model without code: metrics that do not suit, slices that no row is in."""

from collections.abc import Iterator, Mapping

from penstock.core.errors import ConfigError
from penstock.core.labels import Problem
from penstock.core.suggestions import did_you_mean
from penstock.pipelines.config.evaluation import Evaluation, suiting
from penstock.pipelines.preview.columns import Column
from penstock.pipelines.preview.table import Table


def on_metrics(evaluation: Evaluation, label: Column, first: Table, asked: Problem | None) -> Iterator[str]:
    """Yields which metrics do not suit the label; a ConfigError tells it where no other row can change it.

    `asked` is the problem that the configuration says it is.
    """
    rows, values = label.counts.total(), label.label_values
    problem = asked or values.problem(rows)
    is_share = values.kind != "string" and values.least >= 0 and values.greatest <= 1
    # Integers are classes where there are rows enough for each, and which of them are trained on is not known here.
    certain = bool(asked) or (first.whole and values.problem(rows // 2) == problem)
    way_out = "" if asked or values.kind == "string" else "; training.problem says it if the label is something else"
    for key, metric in evaluation.named_metrics(label.name):
        if misfit := suiting.misfit(metric, problem, is_share):
            sentence = f"{key}: {misfit}{way_out}"
            if certain:
                raise ConfigError(sentence)
            yield sentence


def on_slices(evaluation: Evaluation, columns: Mapping[str, Column], first: Table) -> Iterator[str]:
    """Yields which values to slice by no row has."""
    where = "" if first.whole else f" of the first {first.rows:,}"
    for part in evaluation.slices:
        for name, value in part.items() if isinstance(part, dict) else ():
            column = columns.get(name)
            if column and not _has(column, str(value)):
                near = did_you_mean(str(value), column.counts, "its values are")
                yield f"evaluation.slices: no row{where} has {value!r} in the column {name}; {near}"


def _has(column: Column, value: str) -> bool:
    if value in column.counts:
        return True
    return column.is_number and column.number(value) in column.numbers  # to TFMA 1 and 1.0 are one value
