"""What only the label has to be: there, and with the same classes in every split."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tensorflow_metadata.proto.v0 import anomalies_pb2, statistics_pb2

from penstock.core import labels
from penstock.core.errors import DataError
from penstock.core.statistics import exact

_MOST_REPORTED = 20  # classes that a split lacks
_Info = anomalies_pb2.AnomalyInfo


@dataclass(frozen=True)
class SplitClasses:
    """What a split's statistics say of the label's classes, by the text of each.

    Statistics of numbers hold the smallest, the largest and the number of zeros, so of more than three whole-number
    classes some go unseen: what is reported missing is missing, but a class between the extremes is not looked for.

    Args:
        count: The number of values.
        certain: Classes that certainly occur.
        exhaustive: Whether no others do.
        lowest, highest: Between which the values lie.
        zeros: How many of them are zero.
    """

    count: int
    certain: frozenset[str]
    exhaustive: bool
    lowest: int | float = -math.inf
    highest: int | float = math.inf
    zeros: int = 1

    def lacks(self, value: str) -> bool:
        """Whether it is certain that `value` does not occur."""
        if self.exhaustive or value in self.certain:
            return value not in self.certain
        try:
            number = int(value) if isinstance(self.lowest, int) else float(value)
        except ValueError:
            return False
        return not self.lowest <= number <= self.highest or (number == 0 and self.zeros == 0)


def check(
    label: str, statistics: Mapping[str, statistics_pb2.DatasetFeatureStatistics]
) -> dict[str, list[anomalies_pb2.AnomalyInfo.Reason]]:
    """Returns the label's anomalies by split: missing, constant, or without a class of another split.

    Raises a DataError if no model can be trained: the label is missing from all splits, or constant over them all.
    """
    by_split = {split: _split_classes(label, dataset) for split, dataset in statistics.items()}
    present = {split: classes for split, classes in by_split.items() if classes.count}
    if not present:
        raise DataError(f"label {label!r} has no value in any split: expected one in every example; name another label")
    seen = frozenset().union(*(classes.certain for classes in present.values()))
    if len(seen) == 1 and all(classes.exhaustive for classes in present.values()):
        (only,) = seen
        raise DataError(f"label {label!r} is {only!r} in every example of every split: expected at least two values")
    reasons: dict[str, list[anomalies_pb2.AnomalyInfo.Reason]] = {split: [] for split in by_split}
    for split, classes in by_split.items():
        if not classes.count:
            text = f"The label {label!r} has no value in this split."
            reasons[split].append(_reason(_Info.FEATURE_TYPE_NOT_PRESENT, "Label missing", text))
            continue
        missing = sorted(name for name in seen if classes.lacks(name))
        for name in missing[:_MOST_REPORTED]:
            where = ", ".join(repr(other) for other, there in present.items() if name in there.certain)
            text = f"The class {name!r} of the label {label!r} occurs in split {where} and not in split {split!r}."
            reasons[split].append(_reason(_Info.UNKNOWN_TYPE, "Class missing from a split", text))
        if classes.exhaustive and len(classes.certain) == 1 and not missing:
            text = f"The label {label!r} is {min(classes.certain)!r} in every example of split {split!r}."
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


def _split_classes(label: str, dataset: statistics_pb2.DatasetFeatureStatistics) -> SplitClasses:
    feature = next((feature for feature in dataset.features if list(feature.path.step) == [label]), None)
    if feature is None:
        return SplitClasses(0, frozenset(), True)
    if feature.HasField("string_stats"):
        strings = feature.string_stats
        ranks = [bucket.label for bucket in strings.rank_histogram.buckets]
        return SplitClasses(strings.common_stats.tot_num_values, frozenset(ranks), strings.unique <= len(ranks))
    numbers = feature.num_stats
    count = numbers.common_stats.tot_num_values
    if not count:
        return SplitClasses(0, frozenset(), True)
    integers = feature.type == statistics_pb2.FeatureNameStatistics.INT
    low, high = exact.ends(feature)
    if integers and isinstance(low, float):  # rounded: nothing is certain of them
        return SplitClasses(count, frozenset(), False)
    ends = {exact.text(number) for number in (low, high)}
    if low == high:
        return SplitClasses(count, frozenset(ends), True)
    if not integers or not labels.Values("integer", least=low, greatest=high).are_classes:
        return SplitClasses(count, frozenset(), False)
    certain = ends | ({"0"} if numbers.num_zeros else set())
    return SplitClasses(count, frozenset(certain), high - low == 1, low, high, numbers.num_zeros)


def _reason(kind: int, short: str, description: str) -> anomalies_pb2.AnomalyInfo.Reason:
    return _Info.Reason(type=kind, short_description=short, description=description)
