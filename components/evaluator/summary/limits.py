"""The limits and the results of an evaluation in plain words and numbers, for what monitors the model later."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from google.protobuf import json_format
from tensorflow_model_analysis.metrics import metric_specs
from tensorflow_model_analysis.proto.config_pb2 import EvalConfig, EvalRun, GenericValueThreshold, SlicingSpec
from tensorflow_model_analysis.utils import model_util

from penstock.components.evaluator import verdict
from penstock.core.artifacts.evaluation_summary import EvaluationSummary, SliceSummary
from penstock.core.artifacts.gates import OVERALL
from penstock.core.artifacts.judged import Judged, JudgedSlice, MetricLimit

_MOST_SLICES = 200
COUNT = "example_count"


def read_config(path: Path) -> EvalConfig:
    """Returns the completed EvalConfig that an evaluation has written; a ValueError for what is none."""
    try:
        return json_format.Parse(path.read_bytes(), EvalRun(), ignore_unknown_fields=True).eval_config
    except json_format.ParseError as error:
        raise ValueError(str(error)) from None


def judged(config: EvalConfig, summary: EvaluationSummary) -> Judged:
    """Returns the limits of values, and the candidate's metrics: overall, and of its largest slices.

    Limits of changes are of two models, and left out.
    """
    largest = sorted(summary["slices"], key=lambda part: (len(part["features"]) > 0, -part["examples"]))
    return Judged(
        problem=summary["problem"],
        limits=list(_limits(config)),
        lower_is_better=summary["lower_is_better"],
        slices=[_slice(part) for part in largest[:_MOST_SLICES]],
    )


def slice_name(features: Iterable[tuple[str, str]]) -> str:
    """Returns what people call a slice, such as "island=Dream"; OVERALL for that of all rows."""
    return ", ".join(f"{name}={value}" for name, value in features) or OVERALL


def _slice(part: SliceSummary) -> JudgedSlice:
    known = {name: one["value"] for name, one in part["metrics"].items() if name != COUNT}
    values = {name: value for name, value in known.items() if value is not None}
    return JudgedSlice(slice=slice_name(part["features"]), examples=part["examples"], metrics=values)


def _limits(config: EvalConfig) -> Iterator[MetricLimit]:
    baseline = model_util.get_baseline_model_spec(config)
    found = metric_specs.metric_thresholds_from_metrics_specs(config.metrics_specs, eval_config=config)
    of_candidate = {key: pairs for key, pairs in found.items() if not baseline or key.model_name != baseline.name}
    names = verdict.names(of_candidate)
    for key, pairs in of_candidate.items():
        for spec, threshold in pairs:
            if not isinstance(threshold, GenericValueThreshold) or not isinstance(spec, SlicingSpec | None):
                continue
            least = threshold.lower_bound.value if threshold.HasField("lower_bound") else None
            most = threshold.upper_bound.value if threshold.HasField("upper_bound") else None
            if least is not None or most is not None:
                yield MetricLimit(metric=names[key], slices=_slices(spec), least=least, most=most)


def _slices(spec: SlicingSpec | None) -> dict[str, str | None] | None:
    return None if spec is None else {**dict.fromkeys(spec.feature_keys), **spec.feature_values}
