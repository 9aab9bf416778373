"""What Vertex AI can monitor of a baseline: numbers by Jensen-Shannon divergence, categories by L-infinity distance.

A feature may have several values, whose distribution is compared; text has no distribution that the service measures.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tensorflow_metadata.proto.v0 import schema_pb2

from penstock.components.model_monitor.fixed import CONFIGURED
from penstock.components.model_monitor.services.service import Baseline
from penstock.components.model_monitor.services.vertex_ai import divergence
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

    Raises a ConfigError if there is none.
    """
    limits, several = _limits(baseline), with_several(baseline)
    features = [
        MonitoredFeature(
            name=one["name"],
            kind=one["kind"],
            several=one["name"] in several,
            skew=limits[one["name"]][0],
            drift=limits[one["name"]][1],
        )
        for one in baseline.record["features"]["features"]
        if one["kind"] in _MEASURES
    ]
    if not any(one.skew or one.drift for one in features):
        raise ConfigError(f"service.vertex_ai: there is nothing to monitor: {_MEASURED}, and no such feature alerts")
    return features


def left_out(baseline: Baseline) -> list[str]:
    """Returns a sentence about features that the service cannot monitor, and one about thresholds of other measures.

    Raises a ConfigError if a threshold was asked for that it cannot hold.
    """
    kinds, sentences, only_ours = _kinds(baseline), list[str](), list[str]()
    if names := [name for name, kind in kinds.items() if kind not in _MEASURES]:
        sentences.append(f"text is not monitored by Vertex AI, but by `penstock monitor`: {listed(names)}")
    for name, value in baseline.record["configured"].items():
        _check_configured(name, value, kinds)
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


def with_several(baseline: Baseline) -> set[str]:
    """Returns the features of which a row of the training data has two values or more."""
    return {one["name"] for one in baseline.record["features"]["features"] if any(one["lengths"][2:])}


def _limits(baseline: Baseline) -> dict[str, tuple[float | None, float | None]]:
    """Returns the thresholds of skew and drift, by feature: those that are set, else derived."""
    kinds, fixed = _kinds(baseline), baseline.record["fixed"]
    skew, drift = _of_schema(baseline, "skew_comparator"), _of_schema(baseline, "drift_comparator")
    derived = _Derived.of(baseline)
    limits: dict[str, tuple[float | None, float | None]] = {}
    for name, kind in kinds.items():
        measure = _MEASURES.get(kind)
        if measure is None:
            continue
        own = fixed.get(name, {})
        either = (own[measure], own[measure]) if measure in own else derived.limits(name, kind)
        limits[name] = skew.get(name, either[0]), drift.get(name, either[1])
    return limits


@dataclass(frozen=True)
class _Derived:
    """Thresholds that chance exceeds in few windows, by any feature and in either comparison.

    categories: Those of skew and of drift, by feature.
    """

    baseline: Baseline
    categories: tuple[Mapping[str, float], Mapping[str, float]]

    @classmethod
    def of(cls, baseline: Baseline) -> "_Derived":
        """Two windows of n rows are as far from one another as one of n/2 rows is from the distribution of both."""
        record = baseline.record
        rate, predicts = record["false_alarm_rate"], record["predictions"] is not None
        reference, rows = Reference.of_document(record["features"]), record["window_rows"]
        sensitive = sensitivity.of("feature", rate, {}, predicts)
        skew, drift = (
            {
                one.feature: min(1.0, one.value)
                for one in deriving.thresholds(reference, size, sensitive)
                if one.measure == "l_infinity"
            }
            for size in (rows, max(1, rows // 2))
        )
        return cls(baseline, (skew, drift))

    def limits(self, name: str, kind: str) -> tuple[float, float]:
        """Returns those of skew and of drift."""
        if kind == "category":
            return self.categories[0][name], self.categories[1][name]
        record = self.baseline.record
        probability = record["false_alarm_rate"] / (2 * len(record["features"]["features"]))
        skew, drift = divergence.chance(self.baseline.rows.column(name), record["window_rows"], probability)
        smallest = deriving.SMALLEST["jensen_shannon"]
        return max(smallest, skew), max(smallest, drift)


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
