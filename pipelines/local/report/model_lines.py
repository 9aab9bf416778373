"""How good a run's model is, in lines for a terminal: its metrics beside those of others, and its worst slices."""

from collections.abc import Iterator, Sequence

from penstock.core import metrics
from penstock.core.artifacts import evaluation_summary
from penstock.core.artifacts.evaluation_summary import EvaluationSummary, Measure, Numbers, SliceSummary
from penstock.core.page import numbers
from penstock.core.text.aligned import aligned
from penstock.core.text.printable import printable

_METRICS = 8
_SLICES = 3
_FEWEST = 20  # examples of a slice that is told of: the worst of tiny ones are so by chance
_ORDER = {"candidate": 0, "baseline": 1, "trivial": 2}


def lines(summary: EvaluationSummary) -> Iterator[str]:
    """Yields a table of the metrics, a column for each model and split, and the worst slices by the main metric."""
    yield from map(printable, _table(summary))
    yield from map(printable, _worst(summary))


def _table(summary: EvaluationSummary) -> Iterator[str]:
    columns = _columns(summary)
    names = list(dict.fromkeys(name for column in columns for name in column["metrics"]))
    names = [name for name in names if metrics.tells_quality(name)]
    main = summary["main_metric"]
    names.sort(key=lambda name: name not in (main, metrics.in_the_labels_unit(main, 0)[0]))
    if not columns or not names:
        return
    rows = [[f"metrics{_of_what(summary)}", *map(_title, columns)]]
    rows += [
        [metrics.named(name, summary["classes"]), *(_value(column["metrics"].get(name)) for column in columns)]
        for name in names[:_METRICS]
    ]
    rows.append(["examples", *(numbers.count(column["examples"]) for column in columns)])
    yield from aligned(rows, right=True)
    if len(names) > _METRICS:
        yield f"and {len(names) - _METRICS} more metrics, in the report"


def _of_what(summary: EvaluationSummary) -> str:
    """Returns what the metrics are measured in, or of which class they are, where that is not plain."""
    if summary["problem"] == "regression":
        return f" (errors in the unit of {summary['label']})"
    is_named = summary["problem"] == "binary" and len(summary["classes"]) == 2 and summary["classes"] != ["0", "1"]
    return f" (positive: {summary['classes'][1]})" if is_named else ""


def _columns(summary: EvaluationSummary) -> list[Numbers]:
    """Returns what is shown side by side: the models on what was evaluated, then the candidate on other splits."""
    splits = summary["splits"]
    columns = [each for each in summary["numbers"] if each["model"] == "candidate" or each["split"] in splits]
    if not any(each["split"] in splits for each in columns):
        columns += list(_together(summary))
    columns.sort(key=lambda each: (each["split"] not in splits and "+" not in each["split"], _ORDER[each["model"]]))
    return [
        {**column, "metrics": _in_the_labels_unit(column["metrics"])} if summary["problem"] == "regression" else column
        for column in columns
    ]


def _together(summary: EvaluationSummary) -> Iterator[Numbers]:
    """Yields the numbers over several splits that were evaluated together."""
    if part := evaluation_summary.overall(summary):
        split, count = "+".join(summary["splits"]), part["examples"]
        yield Numbers(model="candidate", split=split, examples=count, metrics=part["metrics"])
        if part["baseline"]:
            yield Numbers(model="baseline", split=split, examples=count, metrics=part["baseline"])


def _in_the_labels_unit(measured: dict[str, Measure]) -> dict[str, Measure]:
    """Returns the values of metrics with the root of a mean squared error in its place: nobody thinks in its square."""
    values = metrics.in_the_labels_units({name: measure["value"] for name, measure in measured.items()})
    return {name: Measure(value=value) for name, value in values.items()}


def _title(column: Numbers) -> str:
    return column["split"] if column["model"] == "candidate" else column["model"]


def _value(measure: Measure | None) -> str:
    return numbers.number(measure["value"]) or "-" if measure is not None else ""


def _worst(summary: EvaluationSummary) -> Iterator[str]:
    """Yields the slices in which the main metric is worse than over all examples, the worst first."""
    main = summary["main_metric"]
    whole = evaluation_summary.overall(summary)
    overall = _main(whole, main) if whole else None
    sign = 1 if main in summary["lower_is_better"] else -1
    judged = [
        (sign * value, part)
        for part in summary["slices"]
        if part["features"] and part["examples"] >= _FEWEST and (value := _main(part, main)) is not None
    ]
    worse = [pair for pair in judged if overall is None or pair[0] > sign * overall]
    worst = [(sign * badness, part) for badness, part in sorted(worse, key=lambda pair: -pair[0])][:_SLICES]
    if summary["problem"] == "regression":  # as in the table
        worst = [(metrics.in_the_labels_unit(main, value)[1], part) for value, part in worst]
        main = metrics.in_the_labels_unit(main, 0)[0]
    if worst:
        name = metrics.named(main, summary["classes"])
        yield f"worst slices by {name}, of {len(judged):,} with {_FEWEST} examples or more"
        yield from _slice_lines(worst)


def _slice_lines(worst: Sequence[tuple[float, SliceSummary]]) -> Iterator[str]:
    names = [", ".join(f"{feature}={value}" for feature, value in part["features"]) for _, part in worst]
    width = max(map(len, names))
    for name, (value, part) in zip(names, worst, strict=True):
        yield f"  {name:{width}}  {numbers.number(value):>6}  {numbers.count(part['examples'])} examples"


def _main(part: SliceSummary, metric: str) -> float | None:
    measure = part["metrics"].get(metric)
    return None if measure is None else measure["value"]
