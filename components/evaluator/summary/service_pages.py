"""What Kubeflow's and Vertex AI's own pages show of an evaluation: the metadata of Metrics and ClassificationMetrics.

The names in the latter are those of kfp.dsl.ClassificationMetrics. JSON has neither NaN nor infinities, and both pages
refuse an artifact that has them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import TypedDict

from penstock.core.artifacts import GateResult, Metadata
from penstock.core.artifacts.evaluation_summary import BinaryPlot, EvaluationSummary, overall

_MOST_POINTS = 100  # of a curve: a page draws each
_MOST_CLASSES = 50  # of a matrix


class ConfidenceMetrics(TypedDict):
    """A point of a ROC curve."""

    confidenceThreshold: float
    recall: float
    falsePositiveRate: float


class ClassificationMetadata(TypedDict, total=False):
    """A ROC curve and a confusion matrix, whose rows are the true classes."""

    confidenceMetrics: list[ConfidenceMetrics]
    confusionMatrix: dict[str, list[dict[str, str]] | list[dict[str, list[float]]]]


@dataclass(frozen=True)
class EvaluationResult(GateResult):
    """What came of an evaluation; `classification` is the metadata of the output of that kind."""

    classification: ClassificationMetadata


def metrics(summary: EvaluationSummary) -> Metadata:
    """Returns the metrics of the overall slice by name, those of the baseline with `baseline_` before it."""
    numbers: Metadata = {}
    if part := overall(summary):
        for prefix, measures in (("", part["metrics"]), ("baseline_", part["baseline"])):
            numbers |= {
                f"{prefix}{name}": measure["value"]
                for name, measure in measures.items()
                if measure["value"] is not None
            }
    return numbers


def classification(summary: EvaluationSummary) -> ClassificationMetadata:
    """Returns the curve and the matrix of the overall slice, as far as the problem has them."""
    part = overall(summary)
    plot = part.get("plot") if part else None
    if plot is None or plot["kind"] == "regression":
        return {}
    if plot["kind"] == "multiclass":
        matrix = plot["confusion"]
        return _confusion(summary["classes"], matrix) if len(matrix) <= _MOST_CLASSES else {}
    points = list(_roc_curve(plot))
    matrix = _at_one_half(plot)
    return {**({"confidenceMetrics": points} if points else {}), **_confusion(summary["classes"], matrix)}


def _roc_curve(plot: BinaryPlot) -> Iterator[ConfidenceMetrics]:
    """Yields points from the highest threshold to the lowest; none if all examples are of one class."""
    positive, negative = sum(plot["positive"]), sum(plot["negative"])
    if not positive > 0 or not negative > 0:
        return
    recalls = accumulate(reversed(plot["positive"]), initial=0.0)
    rates = accumulate(reversed(plot["negative"]), initial=0.0)
    points = [
        ConfidenceMetrics(
            confidenceThreshold=edge, recall=min(recall / positive, 1), falsePositiveRate=min(rate / negative, 1)
        )
        for edge, recall, rate in zip(reversed(plot["edges"]), recalls, rates, strict=True)
    ]
    # Those that are nearest to equal steps along the curve, of both its sides.
    steps: dict[int, ConfidenceMetrics] = {}
    for point in points:
        along = (point["recall"] + point["falsePositiveRate"]) / 2
        steps.setdefault(round(along * (_MOST_POINTS - 2)), point)
    yield from steps.values()
    if points[-1] not in steps.values():
        yield points[-1]


def _at_one_half(plot: BinaryPlot) -> list[list[float]]:
    """Returns the confusion matrix for the threshold 0.5."""
    return [
        [
            sum(weight for weight, edge in zip(weights, plot["edges"], strict=False) if (edge >= 0.5) == predicted)
            for predicted in (False, True)
        ]
        for weights in (plot["negative"], plot["positive"])
    ]


def _confusion(classes: list[str], matrix: list[list[float]]) -> ClassificationMetadata:
    return {
        "confusionMatrix": {
            "annotationSpecs": [{"displayName": name} for name in classes],
            "rows": [{"row": row} for row in matrix],
        }
    }
