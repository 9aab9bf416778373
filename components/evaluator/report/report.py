"""Puts the page of an evaluation together."""

from pathlib import Path

from penstock.components.evaluator.report import (
    binary,
    charts,
    importance,
    models,
    multiclass,
    reasons,
    regression,
    slices,
)
from penstock.components.evaluator.report.charts import Figure
from penstock.core import page
from penstock.core.artifacts import Verdict
from penstock.core.artifacts.evaluation_summary import EvaluationSummary, SliceSummary
from penstock.core.page.metrics import Scale
from penstock.core.text import printable


def write(path: Path, summary: EvaluationSummary | None, verdict: Verdict) -> Path:
    """Writes the page; returns where. A folder at `path` gets it as report.html."""
    return page.write(path, "Evaluation", body(summary, verdict), part="evaluation")


def body(summary: EvaluationSummary | None, verdict: Verdict) -> str:
    """Returns what is in the page, as HTML: the verdict first, and then from the whole to the details.

    Args:
        summary: None if the model could not be evaluated: then the verdict says why.
    """
    if summary is None:
        return reasons.section(None, verdict)
    scale = Scale(summary["problem"], printable.name(summary["label"]), tuple(printable.names(summary["classes"])))
    parts = [
        reasons.section(summary, verdict),
        models.section(summary, scale),
        _plots(summary),
        slices.section(summary, scale),
        importance.section(summary, scale),
    ]
    return "\n".join(filter(None, parts))


def _plots(summary: EvaluationSummary) -> str:
    """Returns the plots of the overall slice, and on choice of each other that has any."""
    with_plots = [part for part in summary["slices"] if "plot" in part]
    if not with_plots:
        return ""
    names = slices.names(with_plots)
    grids = {name: charts.grid(_figures(part, summary)) for name, part in zip(names, with_plots, strict=True)}
    shown = page.choice("Slice:", grids) if len(grids) > 1 else "".join(grids.values())
    return f"<h2>How it predicts</h2>{shown}"


def _figures(part: SliceSummary, summary: EvaluationSummary) -> list[Figure]:
    plot = part["plot"]
    match plot["kind"]:
        case "binary":
            return binary.figures(plot, summary["classes"], part["metrics"])
        case "multiclass":
            return multiclass.figures(plot, summary["classes"])
        case "regression":
            return regression.figures(plot, summary["label"])
