"""What came of an evaluation, for people and scripts: `summary.json`, beside TFMA's files and with the same numbers.

It holds what a page draws and a command prints, so that nobody needs TensorFlow to read it.
"""

from typing import Literal, NotRequired, TypedDict

type Problem = Literal["binary", "multiclass", "regression", "other"]
type EvaluatedModel = Literal["candidate", "baseline", "trivial"]


class Measure(TypedDict):
    """A metric's value, None if it is not defined, and the bounds of its 95 % interval where these are known.

    They are `approximate` if a formula gives them: they hold for examples that are independent of each other.
    """

    value: float | None
    low: NotRequired[float]
    high: NotRequired[float]
    approximate: NotRequired[bool]


class Numbers(TypedDict):
    """One model on one split. The trivial model always predicts the most frequent class, or the mean, of training."""

    model: EvaluatedModel
    split: str
    examples: int
    metrics: dict[str, Measure]  # by TFMA's name of the metric


class BinaryPlot(TypedDict):
    """Histograms of the predictions: all curves of a binary problem derive from them.

    `edges` has one entry more than the others, which are weighted sums over the examples in each bucket.
    """

    kind: Literal["binary"]
    edges: list[float]
    positive: list[float]
    negative: list[float]
    predictions: list[float]  # the sum of the predictions in each bucket


class MulticlassPlot(TypedDict):
    """A matrix of counts: rows are the true classes, columns the predicted ones."""

    kind: Literal["multiclass"]
    confusion: list[list[float]]


class RegressionPlot(TypedDict):
    """How far predictions are from labels.

    `residuals` are counts of label minus prediction between `residual_edges`; the outermost have those beyond as well.
    For each bucket of predictions between `edges` come the examples, the mean of the predictions and of the labels.
    """

    kind: Literal["regression"]
    residual_edges: list[float]
    residuals: list[float]
    edges: list[float]
    examples: list[float]
    mean_predictions: list[float | None]
    mean_labels: list[float | None]


type Plot = BinaryPlot | MulticlassPlot | RegressionPlot


class SliceSummary(TypedDict):
    """A slice, by its features and their values in the order of the config; the overall slice has none."""

    features: list[tuple[str, str]]
    examples: int
    metrics: dict[str, Measure]
    baseline: dict[str, Measure]  # empty without a baseline
    plot: NotRequired[Plot]  # of the overall slice and of the largest ones


class Importance(TypedDict):
    """By how much the main metric gets worse if the values of a raw column are permuted, for each repetition."""

    column: str
    worse_by: list[float]


class Effect(TypedDict):
    """The mean prediction if all sampled rows had this value in a column; `shares` says how many rows really do.

    Of a number, `shares` are of the rows to which this value is the nearest. Of a multiclass problem it is the mean
    probability of the class, by its index, that the column moves most.
    """

    column: str
    predicted_class: NotRequired[int]
    values: list[float] | list[str]
    predictions: list[float]
    shares: list[float]


class EvaluationSummary(TypedDict):
    """An evaluation. `classes` are named as in the data; of a binary problem the second is the positive one."""

    problem: Problem
    label: str
    classes: list[str]
    main_metric: str  # "" if there is none
    lower_is_better: list[str]  # of the metrics
    splits: list[str]  # what was evaluated: TFMA's files and `slices` are over these together
    numbers: list[Numbers]
    slices: list[SliceSummary]  # the overall slice first
    importance: list[Importance]  # most important first; empty if it was not computed
    effects: list[Effect]
    sampled_rows: int  # that importance and effects are of


def overall(summary: EvaluationSummary) -> SliceSummary | None:
    """Returns the slice of all examples; None if nobody asked for it."""
    return next((part for part in summary["slices"] if not part["features"]), None)
