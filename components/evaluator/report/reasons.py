"""Whether the model is blessed, and why: what is not met first, and of many slices only the worst."""

import math
from html import escape

from penstock.core import page
from penstock.core.artifacts import Reason, Verdict
from penstock.core.artifacts.evaluation_summary import EvaluationSummary, Measure, overall
from penstock.core.artifacts.gates import OVERALL, not_met

_MOST_SHOWN = 10


def section(summary: EvaluationSummary | None, verdict: Verdict) -> str:
    """Returns the verdict with its reasons; without a threshold, how one is added.

    Args:
        summary: None if the model could not be evaluated.
    """
    mark = page.mark("blessed" if verdict["blessed"] else "not blessed", good=verdict["blessed"])
    missed = not_met(verdict["reasons"])
    met = [reason for reason in verdict["reasons"] if reason["passed"]]
    parts = [f"<h1>The model is {mark}</h1>"]
    if summary is not None and not any(reason["slice"] for reason in verdict["reasons"]):
        missed = []  # the only objection is that there is no threshold
        parts.append(_no_threshold(summary))
    elif missed and summary is not None:
        parts.append(f"<p>{_counted(len(missed), len(missed) + len(met))} not met.</p>")
    parts.append(_shown(missed, "more that are not met"))
    of_all = [reason for reason in met if reason["slice"] == OVERALL]
    of_slices = [reason for reason in met if reason["slice"] != OVERALL]
    parts += [_table(of_all), _folded(of_slices, "met in slices")]
    parts += [f'<p class="muted">{escape(note)}</p>' for note in verdict.get("notes", [])]
    return "".join(parts)


def _counted(missed: int, every: int) -> str:
    if missed == every:
        return "The one threshold is" if every == 1 else f"All {every:,} thresholds are"
    return f"{missed:,} of {every:,} thresholds {'is' if missed == 1 else 'are'}"


def _shown(reasons: list[Reason], rest: str) -> str:
    return _table(reasons[:_MOST_SHOWN]) + _folded(reasons[_MOST_SHOWN:], rest)


def _folded(reasons: list[Reason], what: str) -> str:
    return f"<details><summary>{len(reasons):,} {what}</summary>{_table(reasons)}</details>" if reasons else ""


def _table(reasons: list[Reason]) -> str:
    rows = "".join(
        f'<tr><td class="{"good" if reason["passed"] else "bad"}">{"✓" if reason["passed"] else "✗"}</td>'
        f'<td class="long">{escape(reason["sentence"])}</td></tr>'
        for reason in reasons
    )
    return page.table(rows) if rows else ""


def _no_threshold(summary: EvaluationSummary) -> str:
    """Says how to add a threshold; its value is one that this model just meets."""
    metric = summary["main_metric"]
    part = overall(summary)
    value = part["metrics"].get(metric, Measure(value=None))["value"] if part else None
    if value is None or " " in metric:  # such as of one class, which the short form cannot name
        return "<p>No threshold was given, so nothing is blessed.</p>"
    lower = metric in summary["lower_is_better"]
    bound = f"{'max' if lower else 'min'}: {_rounded(value, up=lower)}"
    return (
        "<p>No threshold was given, so nothing is blessed. With one in pipeline.yaml, only models that meet it are "
        f"blessed and pushed:</p><pre>evaluation:\n  thresholds:\n    {escape(metric)}: {{{bound}}}</pre>"
    )


def _rounded(value: float, up: bool) -> str:
    """Returns two digits of a value, rounded to the side that is easier to reach."""
    if not value:
        return "0"
    step = 10.0 ** (math.floor(math.log10(abs(value))) - 1)
    return f"{(math.ceil if up else math.floor)(value / step) * step:.10g}"
