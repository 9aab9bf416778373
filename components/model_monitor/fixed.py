"""Thresholds that are not derived: those of the configuration and, where it has none, of the schema's comparators.

A number alone is of what TFDV and Vertex AI measure: Jensen-Shannon divergence of numbers, L-infinity of categories.
The other distance of such a feature's values then never alerts.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tensorflow_metadata.proto.v0 import schema_pb2

from penstock.components.monitoring.measures import thresholds
from penstock.components.monitoring.measures.bins import FeatureBins
from penstock.core.errors import ConfigError
from penstock.core.suggestions import did_you_mean

CONFIGURED = "set in the configuration"
_DISTANCES = ("jensen_shannon", "kolmogorov_smirnov", "l_infinity")

type Configured = Mapping[str, float | Mapping[str, float | None] | None]  # by feature; None: it never alerts


@dataclass
class Fixed:
    """Thresholds by feature and measure, None where one never alerts, and where each comes from."""

    values: dict[str, dict[str, float | None]] = field(default_factory=dict)
    sources: dict[str, dict[str, str]] = field(default_factory=dict)

    def put(self, feature: str, values: Mapping[str, float | None], source: str) -> None:
        self.values.setdefault(feature, {}).update(values)
        self.sources.setdefault(feature, {}).update(dict.fromkeys(values, source))


def read(configured: Configured, schema: schema_pb2.Schema, bins: Iterable[FeatureBins]) -> Fixed:
    """Returns the thresholds of these features.

    Raises a ConfigError for a feature or a measure that there is not, and for a number that is no distance.
    """
    result, by_name = Fixed(), {one.name: one for one in bins}
    for feature in schema.feature:
        if feature.name in by_name:
            _of_schema(feature, by_name[feature.name], result)
    for name, value in configured.items():
        if name not in by_name:
            raise ConfigError(f"thresholds: there is no feature {name!r}; {did_you_mean(name, sorted(by_name))}")
        result.put(name, _of_configuration(name, value, by_name[name]), CONFIGURED)
    return result


def _of_schema(feature: schema_pb2.Feature, bins: FeatureBins, result: Fixed) -> None:
    for comparator in ("skew_comparator", "drift_comparator"):
        if not feature.HasField(comparator):
            continue
        limits: schema_pb2.FeatureComparator = getattr(feature, comparator)
        if limits.HasField("jensen_shannon_divergence"):
            limit = limits.jensen_shannon_divergence.threshold
            result.put(bins.name, _alone(bins, "jensen_shannon", limit), f"the schema's {comparator}")
            return
        if limits.HasField("infinity_norm") and bins.kind == "category":
            limit = limits.infinity_norm.threshold
            result.put(bins.name, _alone(bins, "l_infinity", limit), f"the schema's {comparator}")
            return


def _of_configuration(
    name: str, value: float | Mapping[str, float | None] | None, bins: FeatureBins
) -> dict[str, float | None]:
    there = thresholds.measures(bins)
    if value is None:
        return dict.fromkeys(there)
    if not isinstance(value, Mapping):
        measure = "l_infinity" if bins.kind == "category" else "jensen_shannon"
        return _alone(bins, measure, _checked(name, value))
    for measure in value:
        if measure not in there:
            raise ConfigError(
                f"thresholds.{name}: {measure!r} is not measured of a {bins.kind}; {did_you_mean(measure, there)}"
            )
    return {
        measure: None if limit is None else _checked(f"{name}.{measure}", limit) for measure, limit in value.items()
    }


def _checked(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise ConfigError(f"thresholds.{name}: expected a number above 0, up to 1, or null, received {value!r}")
    return float(value)


def _alone(bins: FeatureBins, measure: str, limit: float) -> dict[str, float | None]:
    others = (one for one in thresholds.measures(bins) if one in _DISTANCES)
    return {**dict.fromkeys(others), measure: limit}
