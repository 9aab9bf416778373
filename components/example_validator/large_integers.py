"""Bounds of integers that doubles round: TFDV compares them with the doubles that it has for the least and greatest."""

from collections.abc import Iterator

from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

from penstock.core.statistics import exact

_Info = anomalies_pb2.AnomalyInfo
_OUT_OF_BOUNDS = (_Info.INT_TYPE_SMALL_INT, _Info.INT_TYPE_BIG_INT)


def correct(
    anomalies: anomalies_pb2.Anomalies,
    schema: schema_pb2.Schema,
    statistics: statistics_pb2.DatasetFeatureStatistics,
) -> anomalies_pb2.Anomalies:
    """Adds the values out of bounds that TFDV misses, and removes those that are none; returns the anomalies."""
    found = {feature.path.step[0]: feature for feature in statistics.features if len(feature.path.step) == 1}
    for feature in schema.feature:
        known = found.get(feature.name)
        if known is None or not feature.HasField("int_domain") or not known.HasField("num_stats"):
            continue
        least, greatest = exact.ends(known)
        numbers = (least, greatest, feature.int_domain.min, feature.int_domain.max)
        if isinstance(least, int) and isinstance(greatest, int) and max(map(abs, numbers)) >= exact.LARGE:
            _replace(anomalies, feature.name, list(_out_of_bounds(feature.int_domain, least, greatest)))
    return anomalies


def _out_of_bounds(
    domain: schema_pb2.IntDomain, least: int, greatest: int
) -> Iterator[anomalies_pb2.AnomalyInfo.Reason]:
    """Yields the reasons in TFDV's words."""
    for kind, is_out, size, value in (
        (_Info.INT_TYPE_SMALL_INT, domain.HasField("min") and least < domain.min, "small", least),
        (_Info.INT_TYPE_BIG_INT, domain.HasField("max") and greatest > domain.max, "large", greatest),
    ):
        if is_out:
            text = f"Unexpectedly {size} value: {value}."
            yield anomalies_pb2.AnomalyInfo.Reason(type=kind, short_description="Out-of-range values", description=text)


def _replace(anomalies: anomalies_pb2.Anomalies, name: str, reasons: list[anomalies_pb2.AnomalyInfo.Reason]) -> None:
    """Makes these reasons the only ones of a feature that are about its bounds."""
    entries = (key for key, info in anomalies.anomaly_info.items() if list(info.path.step) == [name])
    key = next(entries, name)
    others = [one for one in anomalies.anomaly_info[key].reason if one.type not in _OUT_OF_BOUNDS]
    del anomalies.anomaly_info[key]
    kept = [*others, *reasons]
    if not kept:
        return
    info = anomalies.anomaly_info[key]
    info.path.step[:] = [name]
    info.severity = _Info.ERROR
    info.reason.extend(kept)
    info.description = " ".join(reason.description for reason in kept)
    info.short_description = kept[0].short_description if len(kept) == 1 else "Multiple errors"
