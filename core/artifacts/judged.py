"""How a model was judged before it served, kept with its baseline: what the metrics of later windows stand beside."""

from typing import TypedDict

from penstock.core.artifacts.evaluation_summary import Problem


class MetricLimit(TypedDict):
    """Between which values a metric is to be.

    Args:
        metric: Its name in the evaluation.
        slices: The values of the features by which rows are in the slice, None for any value of one; {} is the slice of
            all rows. None stands for every slice.
        least: None without a lower bound.
        most: None without an upper one.
    """

    metric: str
    slices: dict[str, str | None] | None
    least: float | None
    most: float | None


class JudgedSlice(TypedDict):
    """A slice of the evaluation: its name, how many examples it had, and its metrics."""

    slice: str
    examples: int
    metrics: dict[str, float]


class Judged(TypedDict):
    """The evaluation of a model: its problem, its limits, the metrics of its largest slices, the overall one first."""

    problem: Problem
    limits: list[MetricLimit]
    lower_is_better: list[str]
    slices: list[JudgedSlice]
