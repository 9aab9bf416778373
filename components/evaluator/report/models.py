"""The model in numbers: its metrics on each split, and those of the baseline and of the trivial model beside them."""

from collections.abc import Iterable
from html import escape

from penstock.core import page
from penstock.core.artifacts.evaluation_summary import EvaluationSummary, Measure, Numbers, overall
from penstock.core.metrics import tells_quality
from penstock.core.page import numbers
from penstock.core.page.metrics import Scale

_MODELS = {"candidate": "this model", "baseline": "the baseline", "trivial": "the trivial model"}
_SPLITS = ("train", "eval", "test")
_MOST_SHOWN = 12  # metrics
_OF_A_CLASS = " for class "
_APPROXIMATE = "It is approximate: a formula gives it, for rows that are independent of each other."
_SQUARED, _ROOT = "mean_squared_error", "root_mean_squared_error"


def section(summary: EvaluationSummary, scale: Scale) -> str:
    """Returns a table with a row for each metric, the main one first, and a column for each model and split."""
    columns = _columns(summary)
    if not columns:
        return ""
    every = listed_metrics(dict.fromkeys(name for one in columns for name in one["metrics"]))
    every.sort(key=lambda name: name != summary["main_metric"])
    rows = [_row(name, columns, summary, scale) for name in every]
    counts = "".join(f'<td class="number">{numbers.count(one["examples"])}</td>' for one in columns)
    header = "<th>metric</th>" + "".join(
        f'<th class="number">{_MODELS[one["model"]]}<br>{escape(one["split"])}</th>' for one in columns
    )
    tables = page.table(f'{"".join(rows[:_MOST_SHOWN])}<tr><td class="muted">rows</td>{counts}</tr>', header)
    if more := rows[_MOST_SHOWN:]:
        tables += f"<details><summary>{len(more)} more metrics</summary>{page.table(''.join(more), header)}</details>"
    return f'<h2>The model in numbers</h2>{tables}<p class="muted">{_explained(columns, summary)}</p>'


def _columns(summary: EvaluationSummary) -> list[Numbers]:
    """Returns the model on each split, and the others on what was evaluated: this may be several splits together."""
    evaluated, together = set(summary["splits"]), "+".join(summary["splits"])
    columns = [one for one in summary["numbers"] if one["model"] == "candidate" or one["split"] in evaluated]
    if not evaluated & {one["split"] for one in columns} and (part := overall(summary)):
        count, baseline = part["examples"], part["baseline"]
        columns.append(Numbers(model="candidate", split=together, examples=count, metrics=part["metrics"]))
        if baseline:
            columns.append(Numbers(model="baseline", split=together, examples=count, metrics=baseline))
    order = list(_MODELS)  # what was judged comes first: on a narrow screen one has to scroll to the last columns
    return sorted(
        columns,
        key=lambda one: (
            order.index(one["model"]),
            one["split"] not in (*evaluated, together),
            _split_order(one["split"]),
        ),
    )


def _row(name: str, columns: list[Numbers], summary: EvaluationSummary, scale: Scale) -> str:
    best = _best(name, columns, summary)
    cells = "".join(_cell(one["metrics"].get(name), name, scale, index in best) for index, one in enumerate(columns))
    title = escape(scale.name(name))
    return f"<tr><td>{f'<strong>{title}</strong>' if name == summary['main_metric'] else title}</td>{cells}</tr>"


def listed_metrics(names: Iterable[str]) -> list[str]:
    """Returns the metrics to list: neither the count of rows, which has a row anyway, nor a square beside its root.

    First come those that are about all classes, and tell how good a model is.
    """
    every = list(names)
    every = [name for name in every if name != "example_count" and (name != _SQUARED or _ROOT not in every)]
    return sorted(every, key=lambda name: (not tells_quality(name), _OF_A_CLASS in name))


def value_html(measured: Measure | None, name: str, scale: Scale) -> str:
    """Returns a value as HTML; nothing if it was not computed."""
    if measured is None:
        return ""
    return (
        '<span class="muted">not defined</span>' if measured["value"] is None else scale.value(name, measured["value"])
    )


def bounds(measured: Measure | None, name: str, scale: Scale) -> str:
    """Returns the bounds of a value; nothing if these were not computed."""
    if measured is None or "low" not in measured or "high" not in measured:
        return ""
    return f"{scale.value(name, measured['low'])} to {scale.value(name, measured['high'])}"


def approximation(measures: Iterable[Measure]) -> str:
    """Returns what to know of the intervals if some are approximate; else nothing."""
    return _APPROXIMATE if any(measured.get("approximate") for measured in measures) else ""


def _cell(measured: Measure | None, name: str, scale: Scale, best: bool) -> str:
    value, interval = value_html(measured, name, scale), bounds(measured, name, scale)
    value = f'<strong class="good">{value}</strong>' if best else value
    return f'<td class="number">{value}{f"<br><small class=muted>{interval}</small>" if interval else ""}</td>'


def _best(name: str, columns: list[Numbers], summary: EvaluationSummary) -> set[int]:
    """Returns the columns whose model is better than the others on the same split, of those that were evaluated."""
    best: set[int] = set()
    if not tells_quality(name):
        return best
    for split in {one["split"] for one in columns if one["model"] != "candidate"}:
        values = {
            index: value if name in summary["lower_is_better"] else -value
            for index, one in enumerate(columns)
            if one["split"] == split and (value := one["metrics"].get(name, {"value": None})["value"]) is not None
        }
        if len(values) > 1 and list(values.values()).count(least := min(values.values())) < len(values):
            best |= {index for index, value in values.items() if value == least}
    return best


def _explained(columns: list[Numbers], summary: EvaluationSummary) -> str:
    models = {one["model"] for one in columns}
    parts = ["The best of several models on a split is in bold."] if len(models) > 1 else []
    if "baseline" in models:
        parts.append("The baseline is the newest model that was blessed before.")
    if "trivial" in models:
        always = "the mean of the label" if summary["problem"] == "regression" else "the shares of the classes"
        parts.append(f"The trivial model always predicts {always} in training.")
    measures = [measured for one in columns for measured in one["metrics"].values()]
    if any("low" in measured for measured in measures):
        parts += ["Below a value: its 95% confidence interval.", approximation(measures)]
    return " ".join(filter(None, parts))


def _split_order(split: str) -> tuple[int, str]:
    return (_SPLITS.index(split) if split in _SPLITS else len(_SPLITS), split)
