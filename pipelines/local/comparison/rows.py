"""The rows in which a person reads a comparison, on the terminal and on the page."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from penstock.core import metrics
from penstock.core.page import numbers
from penstock.pipelines.local.comparison.comparison import Comparison, Metric
from penstock.pipelines.local.results import RunResult

_NOTHING = "-"


class Row(NamedTuple):
    """A value of both runs; `change` is there of numbers, `better` where it is known."""

    name: str
    first: str
    second: str
    change: str = ""
    better: bool | None = None


def results(comparison: Comparison) -> Iterator[Row]:
    """Yields what came of the runs, then their metrics."""
    first, second = map(_ends, (comparison["first"], comparison["second"]))
    yield from (Row(name, first[name] or _NOTHING, second[name] or _NOTHING) for name in first)
    classes, metrics_of_both = comparison["second"]["classes"], {one["metric"] for one in comparison["metrics"]}
    for one in comparison["metrics"]:
        if metrics.in_the_labels_unit(one["metric"], 0)[0] not in metrics_of_both - {one["metric"]}:
            yield _metric(one, classes)


def configuration(comparison: Comparison) -> Iterator[Row]:
    """Yields the keys of the configuration that differ."""
    for one in comparison["configuration"]:
        yield Row(one["key"], _written(one["first"]), _written(one["second"]))


def columns(comparison: Comparison) -> Iterator[Row]:
    """Yields the columns that differ."""
    for one in comparison["columns"]:
        yield Row(one["column"], one["first"] or _NOTHING, one["second"] or _NOTHING)


def _ends(run: RunResult) -> dict[str, str]:
    return {
        "run": run["run"],
        "status": run["status"],
        "time": numbers.duration(run["seconds"]),
        "rows": numbers.count(run["rows"]),
        "model": run["verdict"],
    }


def _metric(one: Metric, classes: Sequence[str]) -> Row:
    """Returns the row of a metric; of a mean squared error that of its root, which is in the label's unit."""
    before, after = (
        None if value is None else metrics.in_the_labels_unit(one["metric"], value)[1]
        for value in (one["first"], one["second"])
    )
    known = before is not None and after is not None and before != after
    change = numbers.difference((after or 0) - (before or 0)) if known else ""
    texts = [numbers.number(value, 4) or _NOTHING for value in (before, after)]
    name = metrics.named(metrics.in_the_labels_unit(one["metric"], 0)[0], classes)
    return Row(name, texts[0], texts[1], change, one["better"])


def _written(value: Any) -> str:
    """Returns a value of the configuration; "(default)" for None."""
    return "(default)" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
