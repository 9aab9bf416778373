"""Whether a candidate and its baseline can be compared, and take the same examples; found before any are read."""

import logging
import math
from collections.abc import Collection, Iterator, Mapping, Sequence

import tensorflow as tf

from penstock.components.evaluator.models import EvaluatedModel
from penstock.core.errors import ModelError
from penstock.core.labels import Label
from penstock.core.models.signatures import ParsedFeature, Tensor

logger = logging.getLogger(__name__)
_SHOWN = 5  # classes, or features
_LONGEST = 40  # characters of a class
_OF_TWO_CLASSES = {1, 2}  # predicted values: the probability of one, or those of both


def check_labels(models: Sequence[EvaluatedModel]) -> None:
    """Raises a ModelError if the label of a model without code is not its baseline's."""
    for candidate, baseline in _pairs(models):
        _refuse(baseline, _of_labels(candidate.label, baseline.label))


def check(models: Sequence[EvaluatedModel], columns: Collection[str] | None) -> None:
    """Raises a ModelError if a baseline predicts something else than the candidate, or takes other examples.

    Warns of features that only the baseline has and that may be missing. `columns` holds the features that the examples
    have, None if nobody knows.
    """
    for candidate, baseline in _pairs(models):
        _refuse(baseline, _of_predictions(candidate, baseline))
        ours, theirs = _features(candidate), _features(baseline)
        missing = _of_features(ours, theirs, columns)
        if missing:
            raise ModelError(f"{baseline.title} cannot take these examples: {missing}{baseline.advice}")
        absent = [name for name in theirs if columns is not None and name not in {*ours, *columns}]
        if absent:
            logger.warning("%s uses %s, which no example has: it counts as missing", baseline.title, _listed(absent))


def _pairs(models: Sequence[EvaluatedModel]) -> Iterator[tuple[EvaluatedModel, EvaluatedModel]]:
    """Yields each candidate with its baseline."""
    for baseline in (model for model in models if model.spec.is_baseline):
        yield from ((model, baseline) for model in models if not model.spec.is_baseline)


def _refuse(baseline: EvaluatedModel, difference: str) -> None:
    if difference:
        raise ModelError(f"{baseline.title} and the model do not predict the same: {difference}{baseline.advice}")


def _of_labels(candidate: Label | None, baseline: Label | None) -> str:
    """Returns in what two labels of models without code differ; "" if in nothing, or if a model has no such label."""
    if candidate is None or baseline is None:
        return ""
    if candidate.name != baseline.name:
        return f"its label is {baseline.name!r}, the model's {candidate.name!r}"
    if candidate.problem != baseline.problem:
        return f"its label is {_problem(baseline)}, the model's {_problem(candidate)}"
    if candidate.classes == baseline.classes:
        return ""
    only_baseline = [value for value in baseline.classes if value not in candidate.classes]
    only_candidate = [value for value in candidate.classes if value not in baseline.classes]
    if not only_baseline and not only_candidate:
        return f"its classes are in the order {_listed(baseline.classes)}, the model's {_listed(candidate.classes)}"
    sides = (("it", only_baseline), ("the model", only_candidate))
    return ", ".join(
        f"only {side} has the class{'es' * (len(values) > 1)} {_listed(values)}" for side, values in sides if values
    )


def _problem(label: Label) -> str:
    return f"{label.problem} ({_listed(label.classes)})" if label.classes else str(label.problem)


def _listed(values: Sequence[str | int | float]) -> str:
    texts = [repr(value) for value in values[:_SHOWN]]
    shown = [text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…" for text in texts]
    more = f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
    return ", ".join(shown) + more


def _of_predictions(candidate: EvaluatedModel, baseline: EvaluatedModel) -> str:
    """Returns in what the evaluated outputs differ: their number, how many values they have, or of what type."""
    ours, theirs = candidate.predictions, baseline.predictions
    if ("" in ours) != ("" in theirs):
        outputs = [", ".join(sorted(model.predicting.outputs)) for model in (baseline, candidate)]
        return f"its outputs are {outputs[0]}, the model's {outputs[1]}"
    for name in sorted(ours.keys() & theirs.keys()):
        what = f"output {name!r}" if name else "prediction"
        kinds = ["text" if tensor.dtype == tf.string else "numbers" for tensor in (theirs[name], ours[name])]
        if kinds[0] != kinds[1]:
            return f"its {what} is {kinds[0]}, the model's {kinds[1]}"
        sizes = _size(theirs[name]), _size(ours[name])
        if None not in sizes and sizes[0] != sizes[1] and set(sizes) != _OF_TWO_CLASSES:
            return f"its {what} has {sizes[0]} value{'s' * (sizes[0] != 1)} for each example, the model's {sizes[1]}"
    return ""


def _size(tensor: Tensor) -> int | None:
    """Returns the number of values for each example, None if it is unknown."""
    if tensor.shape is None:
        return None
    sizes = [size for size in tensor.shape[1:] if size is not None]
    return math.prod(sizes) if len(sizes) == len(tensor.shape[1:]) else None


def _features(model: EvaluatedModel) -> dict[str, ParsedFeature]:
    """Returns the features that the evaluated signatures of a model parse out of examples."""
    parsed: dict[str, ParsedFeature] = {}
    for signature in (*model.preprocessing.values(), model.predicting):
        for name, feature in signature.features.items():
            earlier = parsed.get(name, feature)
            parsed[name] = ParsedFeature(feature.dtype, feature.required or earlier.required)
    return parsed


def _of_features(
    candidate: Mapping[str, ParsedFeature], baseline: Mapping[str, ParsedFeature], columns: Collection[str] | None
) -> str:
    """Returns the first feature of which a baseline needs what the candidate's examples do not have."""
    for name, feature in baseline.items():
        known = candidate.get(name)
        if known is not None and known.dtype != feature.dtype:
            return f"it takes the feature {name!r} as {feature.dtype.name}, the model as {known.dtype.name}"
        if known is None and feature.required and columns is not None and name not in columns:
            return f"it needs the feature {name!r}, which the examples do not have"
    return ""
