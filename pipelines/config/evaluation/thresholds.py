"""What a metric has to reach: a value, a distance from the baseline, or one from the trivial model."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from penstock.core import metrics
from penstock.pipelines.config.section import NO_BOOL, Number, Section

_Distance = Annotated[float, Field(ge=0, allow_inf_nan=False), NO_BOOL]


class Margin(Section):
    """By how much a metric must be better, in its own unit or as a share of the other value; both if both are there."""

    absolute: _Distance | None = Field(default=None, description="0.05 asks for an accuracy that is 0.05 higher.")
    relative: _Distance | None = Field(default=None, description="0.1 asks for an error that is a tenth lower.")

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.absolute is None and self.relative is None:
            raise ValueError("expected `absolute` or `relative`, such as {relative: 0.1}")
        return self


class Change(Section):
    """A bound on the difference from the baseline, which is the newest blessed model; ignored while there is none."""

    absolute: Number | None = Field(
        default=None, description="Bound on the difference: -0.01 lets it be worse by up to 0.01."
    )
    relative: Number | None = Field(
        default=None, description="Bound on the difference divided by the baseline's value."
    )
    direction: Literal["higher_is_better", "lower_is_better"] | None = Field(
        default=None, description="By default, lower is better for errors and losses, higher for all others."
    )

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.absolute is None and self.relative is None:
            raise ValueError("expected `absolute` or `relative`, such as {absolute: -0.01}")
        return self


class Threshold(Section):
    """What a metric has to reach for the model to be blessed: over all examples, and on request in every slice."""

    min: Number | None = Field(default=None, description="The lowest value that is good enough.")
    max: Number | None = Field(default=None, description="The highest value that is good enough.")
    change: Change | None = Field(default=None, description="Bound on the difference from the newest blessed model.")
    better_than_trivial: _Distance | Margin | None = Field(
        default=None,
        description="By how much it must be better than that of the trivial model, which always predicts the most "
        "frequent class of the training data, or the mean: a number, or {relative: 0.1}.",
    )
    every_slice: bool = Field(default=False, description="Whether every slice has to reach it too.")

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if all(bound is None for bound in (self.min, self.max, self.change, self.better_than_trivial)):
            raise ValueError("expected at least one of `min`, `max`, `change` and `better_than_trivial`: {min: 0.6}")
        return self

    def metric_threshold(self, metric: str) -> dict[str, Any]:
        """Returns TFMA's MetricThreshold for a metric of this class; empty if only the trivial model is a bound."""
        spec: dict[str, Any] = {}
        if self.min is not None or self.max is not None:
            spec["value_threshold"] = _set(lower_bound=self.min, upper_bound=self.max)
        change = self.change
        if change is not None:
            default = "lower_is_better" if metrics.lower_is_better(metric) else "higher_is_better"
            direction = (change.direction or default).upper()
            spec["change_threshold"] = {"direction": direction} | _set(
                absolute=change.absolute, relative=change.relative
            )
        return spec

    @property
    def margin(self) -> dict[str, Any] | None:
        """By how much the metric must be better than the trivial model's, as the Evaluator takes it."""
        bound = self.better_than_trivial
        if bound is None:
            return None
        margin = bound if isinstance(bound, Margin) else Margin(absolute=bound)
        return margin.model_dump(exclude_none=True) | ({"every_slice": True} if self.every_slice else {})


def _set(**bounds: float | None) -> dict[str, float]:
    return {name: bound for name, bound in bounds.items() if bound is not None}
