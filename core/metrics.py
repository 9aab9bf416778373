"""What is known of metrics by their names, those of TFMA's classes or those in its results."""

import math
import re
from collections.abc import Mapping, Sequence

_SQUARED = "mean_squared_error"
# In names in snake case.
_LOWER_IS_BETTER = re.compile(
    "error|loss|cross_?entropy|log_?cosh|huber|hinge|divergence|poisson|false|fall_?out"
    "|negative_likelihood|flip_rate|prediction_difference|label_position"
    "|(?<![a-z])(miss|f[np]r?|r?mse|mae|mape|msle|kld|ctc)(?![a-z])"
)
# What is told for its own sake and says nothing of how good a model is.
_NO_QUALITY = re.compile("(weighted_)?example_count|mean_(label|prediction)|calibration|prevalence")
_OF_WHAT = re.compile(r" (of|for|as|\(weighted\))( .*|$)")  # after its name: the output, class or average that it is of
_WHERE = re.compile("_at_.*")  # of recall_at_false_positive_rate: what is held fixed, not what is measured
_HUMP = re.compile("(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_NAMED_OTHERWISE = {  # by Keras
    "FBetaScore": "fbeta_score",
    "KLDivergence": "kullback_leibler_divergence",
    "LogCoshError": "logcosh",
}
_CLASS = re.compile(r"class (\d+)")


def lower_is_better(metric: str) -> bool:
    """Whether a model is the better the lower this metric is: MeanSquaredError, root_mean_squared_error."""
    return _LOWER_IS_BETTER.search(_WHERE.sub("", _plain(metric))) is not None


def tells_quality(metric: str) -> bool:
    """Whether a metric says how good a model is; a count of examples or the mean of labels does not."""
    return _NO_QUALITY.match(_plain(metric)) is None


def in_the_labels_unit(metric: str, value: float) -> tuple[str, float]:
    """Returns how a metric is told to people: a mean squared error as its root; all others as they are."""
    if metric.endswith(_SQUARED) and not metric.endswith(f"root_{_SQUARED}") and value >= 0:
        return f"{metric.removesuffix(_SQUARED)}root_{_SQUARED}", math.sqrt(value)
    return metric, value


def in_the_labels_units(values: Mapping[str, float | None]) -> dict[str, float | None]:
    """Returns metrics as they are told to people, by their names: a mean squared error as its root, and that once."""
    told: dict[str, float | None] = {}
    for metric, value in values.items():
        name, root = in_the_labels_unit(metric, value or 0)
        if name == metric or name not in values:
            told[name] = None if value is None else root
    return told


def named(metric: str, classes: Sequence[str]) -> str:
    """Returns what a metric is called, with the class that it is of by its name: `recall for class oak`."""
    return _CLASS.sub(
        lambda number: f"class {classes[int(number[1])]}" if int(number[1]) < len(classes) else number[0], metric
    )


def in_snake_case(class_name: str) -> str:
    """Returns what Keras calls a metric of this class, unless it has a name of its own."""
    return _NAMED_OTHERWISE.get(class_name) or _HUMP.sub("_", class_name).lower()


def _plain(metric: str) -> str:
    """Returns the name alone, in snake case."""
    return in_snake_case(_OF_WHAT.sub("", metric))
