"""What only the label has to be: there, and with the same classes in every split."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tensorflow_metadata.proto.v0 import anomalies_pb2, statistics_pb2

from penstock.core.errors import DataError

_MAX_CLASSES = 20  # a whole number that spans more is not taken for a class
_Info = anomalies_pb2.AnomalyInfo


@dataclass(frozen=True)
class Values:
    """What a split's statistics tell of the label.

    `classes` are values that certainly occur; `complete` says that no others do. Statistics of numbers hold the
    smallest, the largest and the number of zeros, so of more than three whole-number classes some go unseen: what is
    reported missing is missing, but a class between the extremes is not looked for.
    """

    count: int
    classes: frozenset[str]
    complete: bool
    lowest: float = -math.inf
    highest: float = math.inf
    zeros: int = 1

    def lacks(self, value: str) -> bool:
        """Whether it is certain that `value` does not occur."""
        if self.complete or value in self.classes:
            return value not in self.classes
        try:
            number = float(value)
        except ValueError:
            return False
        return not self.lowest <= number <= self.highest or (number == 0 and self.zeros == 0)


def check(
    label: str, statistics: Mapping[str, statistics_pb2.DatasetFeatureStatistics]
) -> dict[str, list[anomalies_pb2.AnomalyInfo.Reason]]:
    """Returns the label's anomalies by split: missing, constant, or without a class of another split.

    Raises a DataError if no model can be trained: the label is missing from all splits, or constant over them all.
    """
    values = {split: _values(label, dataset) for split, dataset in statistics.items()}
    present = {split: value for split, value in values.items() if value.count}
    if not present:
        raise DataError(f"label {label!r} has no value in any split: expected one in every example; name another label")
    seen = frozenset().union(*(value.classes for value in present.values()))
    if len(seen) == 1 and all(value.complete for value in present.values()):
        (only,) = seen
        raise DataError(f"label {label!r} is {only!r} in every example of every split: expected at least two values")
    reasons: dict[str, list[anomalies_pb2.AnomalyInfo.Reason]] = {split: [] for split in values}
    for split, value in values.items():
        if not value.count:
            text = f"The label {label!r} has no value in this split."
            reasons[split].append(_reason(_Info.FEATURE_TYPE_NOT_PRESENT, "Label missing", text))
            continue
        missing = sorted(name for name in seen if value.lacks(name))
        for name in missing[:_MAX_CLASSES]:
            where = ", ".join(repr(other) for other, there in present.items() if name in there.classes)
            text = f"The class {name!r} of the label {label!r} occurs in split {where} and not in split {split!r}."
            reasons[split].append(_reason(_Info.UNKNOWN_TYPE, "Class missing from a split", text))
        if value.complete and len(value.classes) == 1 and not missing:
            text = f"The label {label!r} is {min(value.classes)!r} in every example of split {split!r}."
            reasons[split].append(_reason(_Info.UNKNOWN_TYPE, "Label constant in a split", text))
    return reasons


def add(
    anomalies: anomalies_pb2.Anomalies, label: str, reasons: list[anomalies_pb2.AnomalyInfo.Reason]
) -> anomalies_pb2.Anomalies:
    """Adds reasons to the label's entry, in the form TFDV gives an entry with several."""
    if reasons:
        info = anomalies.anomaly_info[label]
        info.path.step[:] = [label]
        info.severity = _Info.ERROR
        info.reason.extend(reasons)
        info.description = " ".join(reason.description for reason in info.reason)
        info.short_description = reasons[0].short_description if len(info.reason) == 1 else "Multiple errors"
    return anomalies


def _values(label: str, dataset: statistics_pb2.DatasetFeatureStatistics) -> Values:
    feature = next((feature for feature in dataset.features if list(feature.path.step) == [label]), None)
    if feature is None:
        return Values(0, frozenset(), True)
    if feature.HasField("string_stats"):
        strings = feature.string_stats
        ranks = [bucket.label for bucket in strings.rank_histogram.buckets]
        return Values(strings.common_stats.tot_num_values, frozenset(ranks), strings.unique <= len(ranks))
    numbers = feature.num_stats
    count, low, high = numbers.common_stats.tot_num_values, numbers.min, numbers.max
    if not count:
        return Values(0, frozenset(), True)
    if low == high:
        return Values(count, frozenset({f"{low:g}"}), True)
    if feature.type != statistics_pb2.FeatureNameStatistics.INT or high - low >= _MAX_CLASSES:
        return Values(count, frozenset(), False)
    certain = {f"{low:g}", f"{high:g}"} | ({"0"} if numbers.num_zeros else set())
    return Values(count, frozenset(certain), high - low == 1, low, high, numbers.num_zeros)


def _reason(kind: int, short: str, description: str) -> anomalies_pb2.AnomalyInfo.Reason:
    return _Info.Reason(type=kind, short_description=short, description=description)
