"""The reasons of a verdict: every threshold of the EvalConfig in every slice it applies to, with the value it met."""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, cast

import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.metrics import metric_specs
from tensorflow_model_analysis.proto import config_pb2, metrics_for_slice_pb2, validation_result_pb2
from tensorflow_model_analysis.slicer import slicer_lib
from tensorflow_model_analysis.utils import model_util
from tensorflow_model_analysis.writers import metrics_plots_and_validations_writer as writer

from penstock.core import artifacts

OVERALL = "overall"


@dataclass(frozen=True)
class Reason:
    """One threshold in one slice. `value` is None where the metric was not computed, or is no number: not a finite one.

    `metric` is the name that TFMA gives it; the sentence tells apart the same metric of several outputs or classes.
    """

    metric: str
    slice: str
    value: float | None
    threshold: str
    passed: bool
    sentence: str


def reasons(config: Any, evaluation: str) -> tuple[bool, list[artifacts.Reason]]:
    """Returns TFMA's verdict on the evaluation at that path, and its reasons: failures, then the overall slice."""
    verdict = tfma.load_validation_result(evaluation)
    found = [*_reasons(config, evaluation, verdict), *_missing(verdict)]
    if not verdict.validation_ok and all(reason.passed for reason in found):
        found.append(Reason("", OVERALL, None, "", False, "TFMA does not validate the model, and does not say why"))
    found.sort(key=lambda reason: (reason.passed, reason.slice != OVERALL))
    return bool(verdict.validation_ok), [cast(artifacts.Reason, asdict(reason)) for reason in found]


def _reasons(config: Any, evaluation: str, verdict: validation_result_pb2.ValidationResult) -> Iterator[Reason]:
    """Yields a reason for each threshold in each slice that it applies to."""
    failures = {
        (_slice_name(part), _identity(failure.metric_key), _bound(_threshold(failure)))
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
            name = _slice_name(part)
            applying = {_bound(threshold) for spec, threshold in pairs if _applies(spec, part)}
            for bound in sorted(applying):
                yield _reason(key, name, _value(part, proto), bound, (name, _identity(proto), bound) not in failures)


def _identity(key: Any) -> bytes:
    return bytes(key.SerializeToString(deterministic=True))


def _threshold(failure: Any) -> Any:
    threshold = failure.metric_threshold
    return threshold.change_threshold if threshold.HasField("change_threshold") else threshold.value_threshold


def _reason(key: Any, slice_name: str, value: float | None, bound: str, passed: bool) -> Reason:
    metric = f"{_qualified(key)} minus the baseline's" if key.is_diff else _qualified(key)
    measured = "was not computed" if value is None else f"is {_rounded(value, bound)}"
    where = "over all examples" if slice_name == OVERALL else f"for {slice_name}"
    verdict = "as asked" if passed else "but it should be"
    sentence = f"{metric} {where} {measured}, {verdict} {bound}"
    finite = value if value is not None and math.isfinite(value) else None  # JSON has no others
    return Reason(key.name, slice_name, finite, bound, passed, sentence)


def _rounded(value: float, bound: str) -> str:
    """Returns the value to four digits, or to as many as tell it from its bounds."""
    rounded = f"{value:.4g}"
    return f"{value:.15g}" if rounded in bound.split() and float(rounded) != value else rounded


def _qualified(key: Any) -> str:
    """The name of a metric, and of which output, class or average it is."""
    parts = [f"of {key.output_name}"] if key.output_name else []
    if key.sub_key is not None:
        words = {"class_id": "class", "k": "the prediction of rank", "top_k": "the top"}
        found = ((word, getattr(key.sub_key, field)) for field, word in words.items())
        parts += [f"for {word} {number}" for word, number in found if number is not None]
    if key.aggregation_type is not None:
        kinds = [name for name, is_set in key.aggregation_type._asdict().items() if is_set]
        parts.append(f"as {kinds[0].replace('_', ' ')}" if kinds else "")
    return " ".join([key.name, *filter(None, parts)])


def _missing(verdict: validation_result_pb2.ValidationResult) -> Iterator[Reason]:
    names = [_spec_name(spec) for spec in verdict.missing_slices]
    for crossing in verdict.missing_cross_slices:
        compared = " or ".join(map(_spec_name, crossing.slicing_specs))
        names.append(f"{compared} against {_spec_name(crossing.baseline_spec)}")
    for name in names:
        sentence = f"no example is in the slice {name}, which has a threshold"
        yield Reason("", name, None, "", False, sentence)


def _spec_name(spec: config_pb2.SlicingSpec) -> str:
    parts = [*spec.feature_keys, *(f"{key}={value}" for key, value in spec.feature_values.items())]
    return ", ".join(parts) or OVERALL


def _bound(threshold: Any) -> str:
    parts = []
    if isinstance(threshold, config_pb2.GenericValueThreshold):
        if threshold.HasField("lower_bound"):
            parts.append(f"at least {threshold.lower_bound.value:.15g}")
        if threshold.HasField("upper_bound"):
            parts.append(f"at most {threshold.upper_bound.value:.15g}")
    else:
        word = "at most" if threshold.direction == config_pb2.MetricDirection.LOWER_IS_BETTER else "at least"
        if threshold.HasField("absolute"):
            parts.append(f"{word} {threshold.absolute.value:.15g}")
        if threshold.HasField("relative"):
            parts.append(f"{word} {threshold.relative.value:.15g} of the baseline")
    return " and ".join(parts) or "anything"


def _value(part: metrics_for_slice_pb2.MetricsForSlice, key: Any) -> float | None:
    for entry in part.metric_keys_and_values:
        if entry.key == key:
            kind = entry.value.WhichOneof("type")
            if kind == "double_value":
                return float(entry.value.double_value.value)
            if kind == "bounded_value":
                return float(entry.value.bounded_value.value.value)
    return None


def _applies(spec: Any, part: metrics_for_slice_pb2.MetricsForSlice) -> bool:
    """Whether a threshold for `spec` (None: for all slices) is one for this slice, or for this pair of slices."""
    crossed = part.HasField("cross_slice_key")
    if spec is None or crossed != isinstance(spec, config_pb2.CrossSlicingSpec):
        return spec is None and not crossed
    if crossed:
        key = slicer_lib.deserialize_cross_slice_key(part.cross_slice_key)
        return bool(slicer_lib.is_cross_slice_applicable(cross_slice_key=key, cross_slicing_spec=spec))
    key = slicer_lib.deserialize_slice_key(part.slice_key)
    return bool(slicer_lib.SingleSliceSpec(spec=spec).is_slice_applicable(key))


def _slice_name(part: Any) -> str:
    """The name of a slice, or of a pair of slices, for a MetricsForSlice or a MetricsValidationForSlice."""
    if part.HasField("cross_slice_key"):
        pair = part.cross_slice_key
        return f"{_key_name(pair.comparison_slice_key)} against {_key_name(pair.baseline_slice_key)}"
    return _key_name(part.slice_key)


def _key_name(slice_key: metrics_for_slice_pb2.SliceKey) -> str:
    parts = []
    for single in slice_key.single_slice_keys:
        value = getattr(single, single.WhichOneof("kind") or "bytes_value")
        parts.append(f"{single.column}={value.decode(errors='replace') if isinstance(value, bytes) else value}")
    return ", ".join(parts) or OVERALL
