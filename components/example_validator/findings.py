"""What a person needs to know of an anomaly: besides TFDV's description, the values that offend."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

from penstock.core.statistics import exact

_Type = anomalies_pb2.AnomalyInfo
_SHOWN = 20  # offending values of one anomaly
_COMPARATORS = frozenset(
    {
        _Type.COMPARATOR_L_INFTY_HIGH,
        _Type.COMPARATOR_JENSEN_SHANNON_DIVERGENCE_HIGH,
        _Type.COMPARATOR_NORMALIZED_ABSOLUTE_DIFFERENCE_HIGH,
    }
)
_PRESENCE = frozenset(
    {
        _Type.FEATURE_TYPE_LOW_FRACTION_PRESENT,
        _Type.FEATURE_TYPE_LOW_NUMBER_PRESENT,
        _Type.FEATURE_TYPE_NOT_PRESENT,
        _Type.FEATURE_TYPE_NO_VALUES,
    }
)
_COUNTS = frozenset(
    {
        _Type.FEATURE_TYPE_HIGH_NUMBER_VALUES,
        _Type.FEATURE_TYPE_LOW_NUMBER_VALUES,
        _Type.FEATURE_TYPE_UNEXPECTED_REPEATED,
        _Type.INVALID_FEATURE_SHAPE,
    }
)
_BOUNDS = frozenset(
    {
        _Type.INT_TYPE_BIG_INT,
        _Type.INT_TYPE_SMALL_INT,
        _Type.FLOAT_TYPE_BIG_FLOAT,
        _Type.FLOAT_TYPE_SMALL_FLOAT,
        _Type.BOOL_TYPE_BIG_INT,
        _Type.BOOL_TYPE_SMALL_INT,
        _Type.BOOL_TYPE_UNEXPECTED_FLOAT,
        _Type.FLOAT_TYPE_HAS_NAN,
        _Type.FLOAT_TYPE_HAS_INF,
    }
)
_VALUES = frozenset(
    {
        _Type.ENUM_TYPE_UNEXPECTED_STRING_VALUES,
        _Type.BOOL_TYPE_UNEXPECTED_STRING,
        _Type.UNEXPECTED_DATA_TYPE,
        _Type.SCHEMA_NEW_COLUMN,
    }
)


@dataclass(frozen=True)
class Table:
    """Offending values, or figures about them: rows of cells under a header; `left_out` counts rows not shown."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left_out: int = 0

    def line(self) -> str:
        """The first rows in one line."""
        shown = [self._line(row) for row in self.rows[:5]]
        more = len(self.rows) - len(shown) + self.left_out
        return ", ".join(shown) + (f" and {more:,} more" if more else "")

    def _line(self, row: tuple[str, ...]) -> str:
        if self.header[0] == "value":
            return f"{row[0]!r} {' -> '.join(row[1:])}" if self.header[1] == "share before" else f"{row[0]!r}: {row[1]}"
        if self.header[0] == "figure":
            return f"{row[0]} {' -> '.join(row[1:])}"
        return ", ".join(f"{name} {cell}" for name, cell in zip(self.header, row, strict=True))


@dataclass(frozen=True)
class Finding:
    """One reason of an anomaly. `feature` is empty for one of the whole data set."""

    split: str
    feature: str
    severity: str
    kind: str
    title: str
    description: str
    table: Table | None = None

    def sentence(self) -> str:
        """The anomaly in one line, with the first offending values."""
        where = f"split {self.split!r}: " + (f"feature {self.feature!r}: " if self.feature else "")
        text = f"{where}{self.title[:1].lower()}{self.title[1:]}: {self.description.rstrip('. ')}"
        return f"{text} ({self.table.line()})" if self.table else text


@dataclass(frozen=True)
class Evidence:
    """What the findings of a split are looked up in; `previous` and `serving` where there are such statistics."""

    schema: schema_pb2.Schema
    current: statistics_pb2.DatasetFeatureStatistics
    previous: statistics_pb2.DatasetFeatureStatistics | None = None
    serving: statistics_pb2.DatasetFeatureStatistics | None = None


def find(split: str, anomalies: anomalies_pb2.Anomalies, evidence: Evidence) -> list[Finding]:
    """Returns the findings of a split, the data set's first, then by feature."""
    listed = []
    if anomalies.HasField("dataset_anomaly_info"):
        listed += list(_reasons(split, "", (), anomalies.dataset_anomaly_info, evidence))
    for name in sorted(anomalies.anomaly_info):
        info = anomalies.anomaly_info[name]
        listed += list(_reasons(split, name, tuple(info.path.step), info, evidence))
    return listed


def _reasons(
    split: str, feature: str, path: tuple[str, ...], info: anomalies_pb2.AnomalyInfo, evidence: Evidence
) -> Iterator[Finding]:
    severity = _Type.Severity.Name(info.severity).lower()
    for reason in info.reason or [_Type.Reason(description=info.description, short_description=info.short_description)]:
        table = _table(reason, path, evidence) if path else None
        yield Finding(
            split, feature, severity, _Type.Type.Name(reason.type), reason.short_description, reason.description, table
        )


def _table(reason: anomalies_pb2.AnomalyInfo.Reason, path: tuple[str, ...], evidence: Evidence) -> Table | None:
    feature = _lookup(evidence.current, path)
    if reason.type in _COMPARATORS:
        control = evidence.serving if "serving" in reason.description else evidence.previous
        earlier = None if control is None else _lookup(control, path)
        return None if feature is None or earlier is None else _changes(feature, earlier)
    if feature is None:
        return None
    if reason.type in _PRESENCE:
        common = _common(feature)
        return Table(("examples with it", "without"), ((_number(common.num_non_missing), _number(common.num_missing)),))
    if reason.type in _COUNTS:
        common = _common(feature)
        figures = (_number(common.min_num_values), f"{common.avg_num_values:.2f}", _number(common.max_num_values))
        return Table(("fewest values", "average", "most values"), (figures,))
    if reason.type == _Type.UNEXPECTED_DATA_TYPE and feature.HasField("string_stats"):
        return _strings(feature, lambda value: not _is_number(value)) or _strings(feature)
    if reason.type in _VALUES and feature.HasField("string_stats"):
        unexpected = reason.type == _Type.ENUM_TYPE_UNEXPECTED_STRING_VALUES
        allowed = _domain(evidence.schema, path) if unexpected else frozenset()
        return _strings(feature, lambda value: value not in allowed)
    if reason.type in _BOUNDS | _VALUES and feature.HasField("num_stats"):
        return _numbers(feature, _bounds(evidence.schema, path))
    return None


def _strings(
    feature: statistics_pb2.FeatureNameStatistics, offends: Callable[[str], bool] = lambda value: True
) -> Table | None:
    """The values that offend, most frequent first; None if there are none among those that TFDV lists."""
    strings = feature.string_stats
    total = max(1, strings.common_stats.tot_num_values)
    rows = [
        (bucket.label, _number(bucket.sample_count), f"{bucket.sample_count / total:.2%}")
        for bucket in strings.rank_histogram.buckets
        if offends(bucket.label)
    ]
    unlisted = max(0, strings.unique - len(strings.rank_histogram.buckets))  # TFDV lists the 1000 most frequent
    return Table(("value", "count", "share"), tuple(rows[:_SHOWN]), len(rows[_SHOWN:]) + unlisted) if rows else None


def _numbers(feature: statistics_pb2.FeatureNameStatistics, allowed: str) -> Table:
    numbers = feature.num_stats
    nans = max((histogram.num_nan for histogram in numbers.histograms), default=0)
    least, greatest = exact.ends(feature)
    cells = {"min": _number(least), "median": _number(numbers.median), "max": _number(greatest)}
    if nans:
        cells["not a number"] = _number(nans)
    if allowed:
        cells["allowed"] = allowed
    return Table(tuple(cells), (tuple(cells.values()),))


def _changes(
    current: statistics_pb2.FeatureNameStatistics, control: statistics_pb2.FeatureNameStatistics
) -> Table | None:
    """The values whose share changed most, or the figures of numbers then and now."""
    if current.HasField("num_stats") and control.HasField("num_stats"):
        then, now = _figures(control), _figures(current)
        rows = [(name, _number(then[name]), _number(now[name])) for name in now]
        return Table(("figure", "before", "now"), tuple(rows))
    if not (current.HasField("string_stats") and control.HasField("string_stats")):
        return None
    then, now = _shares(control.string_stats), _shares(current.string_stats)
    changed = sorted(then.keys() | now.keys(), key=lambda value: (-abs(now.get(value, 0) - then.get(value, 0)), value))
    rows = [(value, f"{then.get(value, 0):.2%}", f"{now.get(value, 0):.2%}") for value in changed[:_SHOWN]]
    return Table(("value", "share before", "share now"), tuple(rows), len(changed[_SHOWN:]))


def _figures(feature: statistics_pb2.FeatureNameStatistics) -> Mapping[str, int | float]:
    numbers, (least, greatest) = feature.num_stats, exact.ends(feature)
    return {"min": least, "median": numbers.median, "mean": numbers.mean, "max": greatest, "std_dev": numbers.std_dev}


def _shares(strings: statistics_pb2.StringStatistics) -> Mapping[str, float]:
    total = max(1, strings.common_stats.tot_num_values)
    return {bucket.label: bucket.sample_count / total for bucket in strings.rank_histogram.buckets}


def _lookup(
    dataset: statistics_pb2.DatasetFeatureStatistics, path: tuple[str, ...]
) -> statistics_pb2.FeatureNameStatistics | None:
    return next((feature for feature in dataset.features if tuple(feature.path.step) == path), None)


def _common(feature: statistics_pb2.FeatureNameStatistics) -> statistics_pb2.CommonStatistics:
    return getattr(feature, feature.WhichOneof("stats")).common_stats


def _domain(schema: schema_pb2.Schema, path: tuple[str, ...]) -> frozenset[str]:
    """The strings that the schema lists for a feature, in its own domain or in one that it names."""
    feature = _declared(schema, path)
    if feature is None:
        return frozenset()
    if feature.domain:
        return frozenset(
            value for domain in schema.string_domain if domain.name == feature.domain for value in domain.value
        )
    return frozenset([*feature.string_domain.value, feature.bool_domain.true_value, feature.bool_domain.false_value])


def _bounds(schema: schema_pb2.Schema, path: tuple[str, ...]) -> str:
    """The numbers that the schema allows a feature, in words; empty if any."""
    feature = _declared(schema, path)
    kind = feature.WhichOneof("domain_info") if feature is not None else None
    if kind == "bool_domain":
        return "0 and 1"
    if kind not in ("int_domain", "float_domain"):
        return ""
    domain = getattr(feature, kind)
    lowest = _number(domain.min) if domain.HasField("min") else ""
    highest = _number(domain.max) if domain.HasField("max") else ""
    if lowest and highest:
        return f"{lowest} to {highest}"
    return f"{lowest} and more" if lowest else f"{highest} and less" if highest else ""


def _declared(schema: schema_pb2.Schema, path: tuple[str, ...]) -> schema_pb2.Feature | None:
    features, feature = schema.feature, None
    for step in path:
        feature = next((known for known in features if known.name == step), None)
        if feature is None:
            return None
        features = feature.struct_domain.feature
    return feature


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _number(value: int | float) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.0f}" if value.is_integer() else f"{value:,.6g}"
