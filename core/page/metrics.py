"""Metrics as people write them: their names, and their values as percentages, counts, or in the unit of the label."""

import math
import re
from dataclasses import dataclass
from typing import Literal

from penstock.core import metrics
from penstock.core.artifacts.evaluation_summary import Problem
from penstock.core.page import numbers

type _Kind = Literal["share", "percent", "count", "label", "label²", "number"]

# By TFMA's name. Others are called by that name, in words, and are plain numbers.
_NAMES = {
    "auc": "AUC",
    "auc_precision_recall": "AUC-PR",
    "binary_crossentropy": "log loss",
    "categorical_crossentropy": "log loss",
    "sparse_categorical_crossentropy": "log loss",
    "binary_accuracy": "accuracy",
    "categorical_accuracy": "accuracy",
    "sparse_categorical_accuracy": "accuracy",
    "top_k_categorical_accuracy": "top-k accuracy",
    "sparse_top_k_categorical_accuracy": "top-k accuracy",
    "f1_score": "F1",
    "root_mean_squared_error": "RMSE",
    "mean_squared_error": "MSE",
    "mean_absolute_error": "MAE",
    "mean_absolute_percentage_error": "MAPE",
    "mean_squared_logarithmic_error": "MSLE",
    "r2_score": "R²",
    "r2": "R²",
    "squared_pearson_correlation": "squared correlation",
    "example_count": "rows",
    "weighted_example_count": "weighted rows",
    "ndcg": "NDCG",
}
_OF_THE_LABEL = ("root_mean_squared_error", "mean_absolute_error", "mean_label", "mean_prediction")
_SHARE = re.compile(
    r"accuracy$|precision$|recall$|_rates?$|^specificity$|^prevalence$|^exact_match$|_at_(recall|precision|sensitivity"
    r"|specificity|false_positive_rate)$|^mean_(label|prediction)$"
)
_COUNT = re.compile(r"^example_count$|^(true|false)_(positives|negatives)$|^(tp|fp|tn|fn)$")


@dataclass(frozen=True)
class Scale:
    """What metrics are measured in: those of an evaluation, or of a training. `label` is "" where it is not known."""

    problem: Problem
    label: str
    classes: tuple[str, ...] = ()

    def name(self, metric: str) -> str:
        """Returns what a metric is called: `accuracy`, `recall for class oak`, `RMSE in price`."""
        return self._name(metric, as_root=True)

    def name_of_differences(self, metric: str) -> str:
        """Returns what differences of a metric are called: those of squares have no root."""
        return self._name(metric, as_root=False)

    def _name(self, metric: str, as_root: bool) -> str:
        plain, _, rest = metric.partition(" ")
        plain = metrics.in_the_labels_unit(plain, 0)[0] if as_root and self._kind(metric) == "label²" else plain
        words = _NAMES.get(plain, plain.replace("_", " "))
        kind = self._kind(f"{plain} {rest}")
        has_unit = self.label and kind in ("label", "label²")
        unit = f"in {self.label}{'²' if kind == 'label²' else ''}" if has_unit else ""
        return " ".join(filter(None, (words, self._named(rest), unit)))

    def number(self, metric: str, value: float) -> float:
        """Returns a value as it is told: a mean squared error as its root, which is in the label's unit."""
        return metrics.in_the_labels_unit(metric, value)[1] if self._kind(metric) == "label²" else value

    def value(self, metric: str, value: float | None) -> str:
        """Returns a value of a metric, without its unit: `0.798`, `87.3%`, `12,300`."""
        value = None if value is None else self.number(metric, value)
        match self._kind(metric):
            case "share":
                return numbers.percentage(value)
            case "percent":
                return numbers.percentage(None if value is None else value / 100)
            case "count":
                return numbers.count(None if value is None else round(value))
            case _:
                return numbers.number(value)

    def difference(self, metric: str, value: float, other: float) -> str:
        """Returns how far a metric is from another value of it: `+0.012`; of percentages in points: `-1.3 points`."""
        same = math.isclose(value, other, rel_tol=1e-9)  # but for how computers add
        return self.signed(metric, 0.0 if same else self.number(metric, value) - self.number(metric, other))

    def signed(self, metric: str, difference: float) -> str:
        """Returns a difference that was computed already, as it is: one of squares, say, has no root."""
        kind = self._kind(metric)
        if kind in ("share", "percent"):
            return f"{numbers.difference(100 * difference if kind == 'share' else difference, 2)} points"
        return numbers.difference(difference, 2)

    def format(self, metric: str) -> str:
        """Returns the d3 format for the axis of a chart of a metric."""
        return numbers.D3_SHARE if self._kind(metric) == "share" else numbers.D3_NUMBER

    def _named(self, qualifier: str) -> str:
        """Returns a qualifier (`for class 2`) with the class by its name."""
        return metrics.named(qualifier, self.classes)

    def _kind(self, metric: str) -> _Kind:
        name = metric.partition(" ")[0]
        if self.problem == "regression" and name in _OF_THE_LABEL:
            return "label"
        if self.problem == "regression" and name == "mean_squared_error":
            return "label²"
        if name == "mean_absolute_percentage_error":
            return "percent"
        if name.startswith("auc"):  # areas: also that of a curve of precision and recall
            return "number"
        if _COUNT.search(name):
            return "count"
        return "share" if _SHARE.search(name) else "number"
