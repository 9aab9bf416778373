"""What Vertex AI can monitor of a baseline: numbers by Jensen-Shannon divergence, categories by L-infinity distance.

A feature may have several values, whose distribution is compared; text has no distribution that the service measures.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from tensorflow_metadata.proto.v0 import schema_pb2

from penstock.components.model_monitor.fixed import CONFIGURED
from penstock.components.model_monitor.services.service import Baseline
from penstock.components.monitoring import sensitivity
from penstock.components.monitoring.measures import thresholds as deriving
from penstock.components.monitoring.measures.reference import Reference
from penstock.components.monitoring.measures.thresholds import Measure
from penstock.core.errors import ConfigError
from penstock.core.suggestions import listed

_MEASURES: Mapping[str, Measure] = {"number": "jensen_shannon", "category": "l_infinity"}
_MEASURED = "Vertex AI measures numbers (jensen_shannon) and categories (l_infinity)"


@dataclass(frozen=True)
class MonitoredFeature:
    """A feature, and above which distance it alerts: from the training data (skew), and from the window before (drift).

    None: never.
    """

    name: str
    kind: Literal["number", "category"]
    several: bool
    skew: float | None
    drift: float | None


def monitored(baseline: Baseline) -> list[MonitoredFeature]:
    """Returns the features that the service can monitor, in the baseline's order.

    Raises a ConfigError if a threshold was asked for that it cannot hold, or nothing is left to monitor.
    """
    record = baseline.record
    for name, value in record["configured"].items():
        _check_configured(name, value, _kinds(baseline))
    skew, drift = _skew(baseline), _drift(baseline)
    features = [
        MonitoredFeature(
            name=one["name"],
            kind=one["kind"],
            several=_has_several(one),
            skew=skew.get(one["name"]),
            drift=drift.get(one["name"]),
        )
        for one in record["features"]["features"]
        if one["kind"] in _MEASURES
    ]
    if not any(one.skew or one.drift for one in features):
        raise ConfigError(f"service.vertex_ai: there is nothing to monitor: {_MEASURED}, and no such feature alerts")
    return features


def left_out(baseline: Baseline) -> list[str]:
    """Returns a sentence about features that the service cannot monitor, and one about thresholds of other measures."""
    sentences = []
    names = [name for name, kind in _kinds(baseline).items() if kind not in _MEASURES]
    if names:
        sentences.append(f"text is not monitored by Vertex AI, but by `penstock monitor`: {listed(names)}")
    kinds, only_ours = _kinds(baseline), []
    for name, value in baseline.record["configured"].items():
        measures = set(value) if isinstance(value, dict) else set()
        if name not in kinds or measures - {_MEASURES.get(kinds[name])}:
            only_ours.append(name)
    if only_ours:
        sentences.append(
            f"{_MEASURED}; other thresholds hold for `penstock monitor` alone: those of {listed(only_ours)}"
        )
    return sentences


def _kinds(baseline: Baseline) -> dict[str, str]:
    return {one["name"]: one["kind"] for one in baseline.record["features"]["features"]}


def _check_configured(name: str, value: Any, kinds: Mapping[str, str]) -> None:
    asked = [limit for limit in value.values() if limit is not None] if isinstance(value, dict) else value
    if asked and name in kinds and kinds[name] not in _MEASURES:
        raise ConfigError(
            f"thresholds.{name}: {_MEASURED}, and {name!r} is {kinds[name]}: leave out its threshold; `penstock "
            "monitor` measures it"
        )


def _has_several(feature: Mapping[str, Any]) -> bool:
    """Whether a row of the training data has two values or more."""
    return bool(np.any(np.asarray(feature["lengths"])[2:]))


def _skew(baseline: Baseline) -> dict[str, float | None]:
    """Returns the baseline's thresholds, and where these come from the schema those of its skew_comparator."""
    return dict(_of_table(baseline)) | _of_schema(baseline, "skew_comparator")


def _drift(baseline: Baseline) -> dict[str, float | None]:
    """Returns thresholds between two windows: those that are set, else derived for windows that both vary.

    Two windows of n rows are as far from one another as one of n/2 rows is from the distribution of both.
    """
    record = baseline.record
    rate, predicts = record["false_alarm_rate"], record["predictions"] is not None
    reference, rows = Reference.of_document(record["features"]), max(1, record["window_rows"] // 2)
    derived = {
        (one.feature, one.measure): min(1.0, one.value)
        for one in deriving.thresholds(reference, rows, sensitivity.of("feature", rate, {}, predicts))
    }
    fixed, kinds = record["fixed"], _kinds(baseline)
    limits: dict[str, float | None] = {}
    for name, kind in kinds.items():
        measure = _MEASURES.get(kind)
        if measure:
            limits[name] = fixed[name][measure] if measure in fixed.get(name, {}) else derived[name, measure]
    return limits | _of_schema(baseline, "drift_comparator")


def _of_table(baseline: Baseline) -> Iterator[tuple[str, float | None]]:
    kinds = _kinds(baseline)
    for limit in baseline.record["thresholds"]:
        if limit["name"] in kinds and limit["measure"] == _MEASURES.get(kinds[limit["name"]]):
            yield limit["name"], limit["value"]


def _of_schema(baseline: Baseline, comparator: Literal["skew_comparator", "drift_comparator"]) -> dict[str, float]:
    """Returns the schema's thresholds for this comparison, of features for which the configuration has none."""
    kinds, sources, limits = _kinds(baseline), baseline.record["sources"], {}
    for feature in baseline.schema.feature:
        kind = kinds.get(feature.name)
        measure = _MEASURES.get(kind or "")
        if measure is None or sources.get(feature.name, {}).get(measure) == CONFIGURED:
            continue
        of_feature: schema_pb2.FeatureComparator = getattr(feature, comparator)
        if kind == "number" and of_feature.HasField("jensen_shannon_divergence"):
            limits[feature.name] = of_feature.jensen_shannon_divergence.threshold
        if kind == "category" and of_feature.HasField("infinity_norm"):
            limits[feature.name] = of_feature.infinity_norm.threshold
    return limits
