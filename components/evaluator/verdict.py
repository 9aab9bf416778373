"""The reasons of a verdict: every threshold of the EvalConfig in every slice it applies to, and the measured value."""

import math
from collections.abc import Iterable, Iterator

import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.metrics import metric_specs
from tensorflow_model_analysis.metrics.metric_types import MetricKey
from tensorflow_model_analysis.proto import metrics_for_slice_pb2
from tensorflow_model_analysis.proto.config_pb2 import (
    CrossSlicingSpec,
    EvalConfig,
    GenericChangeThreshold,
    GenericValueThreshold,
    MetricDirection,
    SlicingSpec,
)
from tensorflow_model_analysis.proto.metrics_for_slice_pb2 import MetricsForSlice
from tensorflow_model_analysis.proto.validation_result_pb2 import (
    MetricsValidationForSlice,
    ValidationFailure,
    ValidationResult,
)
from tensorflow_model_analysis.slicer import slicer_lib
from tensorflow_model_analysis.utils import model_util
from tensorflow_model_analysis.writers import metrics_plots_and_validations_writer as writer

from penstock.components.evaluator.slices import SliceKey
from penstock.components.evaluator.tfma.undefined import Undefined
from penstock.core import metrics
from penstock.core.artifacts import Reason
from penstock.core.artifacts.gates import OVERALL
from penstock.core.page import numbers

WEIGHTED = " (weighted)"  # after the name of a metric that is computed without weights as well
type _Threshold = GenericValueThreshold | GenericChangeThreshold


def reasons(config: EvalConfig, evaluation: str, undefined: Undefined) -> tuple[bool, list[Reason]]:
    """Returns TFMA's verdict on the evaluation in that folder, and its reasons in order."""
    verdict = tfma.load_validation_result(evaluation)
    reasons = [*_reasons(config, evaluation, verdict, undefined), *_missing(verdict)]
    if not verdict.validation_ok and all(reason["passed"] for reason in reasons):
        reasons.append(objection("TFMA does not validate the model, and does not say why"))
    return bool(verdict.validation_ok), in_order(reasons)


def in_order(reasons: Iterable[Reason]) -> list[Reason]:
    """Returns first the thresholds that are not met; among each kind, those of the overall slice."""
    return sorted(reasons, key=lambda reason: (reason["passed"], reason["slice"] != OVERALL))


def objection(sentence: str, slice_name: str = OVERALL) -> Reason:
    """Returns a reason against the model that is not about a value."""
    return Reason(metric="", slice=slice_name, value=None, threshold="", passed=False, sentence=sentence)


def _reasons(config: EvalConfig, evaluation: str, verdict: ValidationResult, undefined: Undefined) -> Iterator[Reason]:
    """Yields a reason for each threshold in each slice that it applies to."""
    failures = {
        (name_of(part), _identity(failure.metric_key), _bound(_threshold(failure)))
        for part in verdict.metric_validations_per_slice
        for failure in part.failures
    }
    baseline = model_util.get_baseline_model_spec(config)
    thresholds = metric_specs.metric_thresholds_from_metrics_specs(config.metrics_specs, eval_config=config)
    slices = list(writer.load_and_deserialize_metrics(evaluation))
    for key, pairs in thresholds.items():
        if baseline is not None and key.model_name == baseline.name:
            continue
        proto = key.to_proto()
        for part in slices:
            name = name_of(part)
            value, why = value_of(part, proto), undefined.why(key, slice_keys(part))
            before = value_of(part, key.make_baseline_key(baseline.name).to_proto()) if baseline is not None else None
            applying = {_bound(threshold): threshold for spec, threshold in pairs if _applies(spec, part)}
            for bound, threshold in sorted(applying.items(), key=lambda item: item[0]):
                passed = (name, _identity(proto), bound) not in failures
                yield reason_of(key, name, value, bound, passed, why, _missed_by(threshold, value, before))


def _identity(key: metrics_for_slice_pb2.MetricKey) -> bytes:
    return bytes(key.SerializeToString(deterministic=True))


def _threshold(failure: ValidationFailure) -> _Threshold:
    threshold = failure.metric_threshold
    return threshold.change_threshold if threshold.HasField("change_threshold") else threshold.value_threshold


def reason_of(
    key: MetricKey,
    slice_name: str,
    value: float | None,
    bound: str,
    passed: bool,
    undefined: str = "",
    missed_by: float = 0.0,
) -> Reason:
    """Returns what a metric is in a slice, and whether it passes its bound; `undefined` says why it is not defined."""
    metric = f"{qualified(key)} minus the baseline's" if key.is_diff else qualified(key)
    if value is None:
        measured = "was not computed"
    elif undefined:
        measured = f"is not defined ({undefined}): it counts as {_rounded(value, bound)}"
    else:
        measured = "is not defined (a division by zero)" if math.isnan(value) else _told(key, value, bound)
    where = "over all examples" if slice_name == OVERALL else f"for {slice_name}"
    verdict = f" (required: {bound})" if passed else f", but it must be {bound}"
    is_known = value is not None and math.isfinite(value) and not undefined  # JSON has no other numbers
    reason = Reason(
        metric=key.name,
        slice=slice_name,
        value=value if is_known else None,
        threshold=bound,
        passed=passed,
        sentence=f"{metric} {where} {measured}{verdict}",
    )
    if is_known and not passed and math.isfinite(missed_by):
        reason["missed_by"] = missed_by
    return reason


def shortfall(value: float, bound: float, *, lower: bool) -> float:
    """Returns how far a value is from a bound, as a share of that, and less than 0 if it is on the good side.

    `lower` says whether that is the lower side.
    """
    return (value - bound if lower else bound - value) / (abs(bound) or 1)


def _missed_by(threshold: _Threshold, value: float | None, before: float | None) -> float:
    """Returns the shortfall of a value, which is a change if the threshold is of one; `before` is the baseline's."""
    if value is None:
        return 0.0
    parts = []
    if isinstance(threshold, GenericValueThreshold):
        if threshold.HasField("lower_bound"):
            parts.append(shortfall(value, threshold.lower_bound.value, lower=False))
        if threshold.HasField("upper_bound"):
            parts.append(shortfall(value, threshold.upper_bound.value, lower=True))
    else:
        lower = threshold.direction == MetricDirection.LOWER_IS_BETTER
        if threshold.HasField("absolute"):
            parts.append(shortfall(value, threshold.absolute.value, lower=lower))
        if threshold.HasField("relative") and before:
            parts.append(shortfall(value / before, threshold.relative.value, lower=lower))
    return max(parts, default=0.0)


def _told(key: MetricKey, value: float, bound: str) -> str:
    """Says what a metric is; a squared error also in the unit of the label."""
    name, root = metrics.in_the_labels_unit(key.name, value)
    in_unit = "" if key.is_diff or name == key.name else f", a {name.replace('_', ' ')} of {numbers.number(root, 4)}"
    return f"is {_rounded(value, bound)}{in_unit}"


def _rounded(value: float, bound: str) -> str:
    """Returns the value with four digits, or with more if it would else look equal to its bound."""
    rounded, exact = numbers.number(value, 4), f"{value:,.15g}"
    return exact if rounded in bound.split() and rounded != exact else rounded


def qualified(key: MetricKey) -> str:
    """Returns the name of a metric, with the output, class or average that it is computed for."""
    parts = [f"of {key.output_name}"] if key.output_name else []
    if key.sub_key is not None:
        words = {"class_id": "class", "k": "the prediction of rank", "top_k": "the top"}
        numbers = ((word, getattr(key.sub_key, field)) for field, word in words.items())
        parts += [f"for {word} {number}" for word, number in numbers if number is not None]
    if key.aggregation_type is not None:
        kinds = [name for name, is_set in key.aggregation_type._asdict().items() if is_set]
        parts.append(f"as {kinds[0].replace('_', ' ')}" if kinds else "")
    return " ".join([key.name, *filter(None, parts)])


def names(keys: Iterable[MetricKey]) -> dict[MetricKey, str]:
    """Returns the qualified name of each metric; of two that differ in weighing only, the weighted one's says so."""
    listed = list(keys)
    unweighted = {key._replace(example_weighted=None) for key in listed if not key.example_weighted}
    return {
        key: f"{qualified(key)}{WEIGHTED}"
        if key.example_weighted and key._replace(example_weighted=None) in unweighted
        else qualified(key)
        for key in listed
    }


def _missing(verdict: ValidationResult) -> Iterator[Reason]:
    """Yields a reason for each slice that has a threshold and no example."""
    names = [_spec_name(spec) for spec in verdict.missing_slices]
    for crossing in verdict.missing_cross_slices:
        compared = " or ".join(map(_spec_name, crossing.slicing_specs))
        names.append(f"{compared} against {_spec_name(crossing.baseline_spec)}")
    for name in names:
        yield objection(f"no example is in the slice {name}, which has a threshold", name)


def _spec_name(spec: SlicingSpec) -> str:
    parts = [*spec.feature_keys, *(f"{key}={value}" for key, value in spec.feature_values.items())]
    return ", ".join(parts) or OVERALL


def _bound(threshold: _Threshold) -> str:
    """Returns a threshold in words, such as "at least 0.5 and at most 0.9"."""
    parts = []
    if isinstance(threshold, GenericValueThreshold):
        if threshold.HasField("lower_bound"):
            parts.append(f"at least {threshold.lower_bound.value:,.15g}")
        if threshold.HasField("upper_bound"):
            parts.append(f"at most {threshold.upper_bound.value:,.15g}")
    else:
        word = "at most" if threshold.direction == MetricDirection.LOWER_IS_BETTER else "at least"
        if threshold.HasField("absolute"):
            parts.append(f"{word} {threshold.absolute.value:,.15g}")
        if threshold.HasField("relative"):
            parts.append(f"{word} {threshold.relative.value:,.15g} of the baseline")
    return " and ".join(parts) or "anything"


def value_of(part: MetricsForSlice, key: metrics_for_slice_pb2.MetricKey) -> float | None:
    """Returns the value of a metric in a slice; None if it was not computed, or is no single number."""
    for entry in part.metric_keys_and_values:
        if entry.key == key:
            kind = entry.value.WhichOneof("type")
            if kind == "double_value":
                return float(entry.value.double_value.value)
            if kind == "bounded_value":
                return float(entry.value.bounded_value.value.value)
    return None


def _applies(spec: SlicingSpec | CrossSlicingSpec | None, part: MetricsForSlice) -> bool:
    """Whether a threshold for `spec` applies to this slice or pair of slices; without a spec, to each single slice."""
    crossed = part.HasField("cross_slice_key")
    if spec is None or crossed != isinstance(spec, CrossSlicingSpec):
        return spec is None and not crossed
    if crossed:
        key = slicer_lib.deserialize_cross_slice_key(part.cross_slice_key)
        return bool(slicer_lib.is_cross_slice_applicable(cross_slice_key=key, cross_slicing_spec=spec))
    key = slicer_lib.deserialize_slice_key(part.slice_key)
    return bool(slicer_lib.SingleSliceSpec(spec=spec).is_slice_applicable(key))


def slice_keys(part: MetricsForSlice) -> tuple[SliceKey, ...]:
    """Returns the key of a slice, or those of a pair of slices."""
    if not part.HasField("cross_slice_key"):
        return (slicer_lib.deserialize_slice_key(part.slice_key),)
    pair = part.cross_slice_key
    return tuple(map(slicer_lib.deserialize_slice_key, (pair.baseline_slice_key, pair.comparison_slice_key)))


def name_of(part: MetricsForSlice | MetricsValidationForSlice) -> str:
    """Returns the name of a slice or of a pair of slices, such as "island=Dream against overall"."""
    if part.HasField("cross_slice_key"):
        pair = part.cross_slice_key
        return f"{_key_name(pair.comparison_slice_key)} against {_key_name(pair.baseline_slice_key)}"
    return _key_name(part.slice_key)


def _key_name(slice_key: metrics_for_slice_pb2.SliceKey) -> str:
    return ", ".join(f"{feature}={value}" for feature, value in features(slice_key)) or OVERALL


def features(slice_key: metrics_for_slice_pb2.SliceKey) -> Iterator[tuple[str, str]]:
    """Yields the features of a slice and their values, as text."""
    for single in slice_key.single_slice_keys:
        value = getattr(single, single.WhichOneof("kind") or "bytes_value")
        yield single.column, value.decode(errors="replace") if isinstance(value, bytes) else str(value)
