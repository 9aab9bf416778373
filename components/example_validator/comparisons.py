"""The statistics that data is compared with, for drift and skew, and what of it cannot be measured."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tensorflow_data_validation import constants
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2
from tensorflow_metadata.proto.v0.statistics_pb2 import (
    DatasetFeatureStatistics,
    DatasetFeatureStatisticsList,
    FeatureNameStatistics,
)

from penstock.core import artifacts
from penstock.core.errors import DataError

_SHOWN = 5  # features
# The measure of numbers. TFDV measures the others for them as well, and always 0.
_OF_NUMBERS = "jensen_shannon_divergence"
type FeaturePath = tuple[str, ...]  # of a feature, from its outermost struct


@dataclass(frozen=True)
class Comparison:
    """One of the two comparisons: with earlier data (drift) or with the data that is served (skew).

    `by_split` holds the statistics that each split is compared with; None if no statistics are given.
    """

    kind: Literal["drift", "skew"]
    key: str  # the input that holds the statistics
    by_split: Mapping[str, DatasetFeatureStatistics] | None

    def of(self, split: str) -> DatasetFeatureStatistics | None:
        return None if self.by_split is None else self.by_split[split]


def read(kind: Literal["drift", "skew"], key: str, folder: str | None, splits: Sequence[str]) -> Comparison:
    """Reads what each split is compared with: the split of the same name, or the only one.

    Raises a DataError that begins with the key if the folder is no statistics artifact, or lacks one of the splits.
    """
    if folder is None:
        return Comparison(kind, key, None)
    source = require(key, folder)
    names = source.splits()
    try:
        by_split = {split: of_all(source.read(names[0] if len(names) == 1 else split)) for split in splits}
    except DataError as error:
        raise DataError(f"{key}: {error.message}") from None
    return Comparison(kind, key, by_split)


def require(key: str, folder: str) -> artifacts.ExampleStatistics:
    """Returns the statistics in a folder; a DataError that begins with the key if it holds none."""
    source = artifacts.ExampleStatistics(Path(folder))
    try:
        source.require()
    except DataError as error:
        raise DataError(f"{key}: {error.message}") from None
    return source


def of_all(statistics: DatasetFeatureStatisticsList) -> DatasetFeatureStatistics:
    """Returns the statistics of all examples, where there are those of slices as well."""
    everything = [one for one in statistics.datasets if one.name == constants.DEFAULT_SLICE_KEY]
    if not everything and len(statistics.datasets) != 1:
        raise DataError(f"expected statistics of all examples, found those of {len(statistics.datasets)} slices only")
    return (everything or statistics.datasets)[0]


def unmeasured(
    comparison: Comparison,
    schema: schema_pb2.Schema,
    current: Mapping[str, DatasetFeatureStatistics],
    anomalies: Mapping[str, anomalies_pb2.Anomalies],
) -> Iterator[str]:
    """Yields a sentence for whatever the comparison was to measure and did not.

    `current` and `anomalies` are those of each split. A feature that only the data has is an anomaly of TFDV's already.
    """
    kind, key = comparison.kind, comparison.key
    compared = dict(_compared(schema.feature, f"{kind}_comparator"))
    if comparison.by_split is None:
        if compared:
            yield (
                f"{kind} is not measured: the schema has a {kind}_comparator for {_listed(compared)}, and there are no "
                f"statistics to compare with: expected {key}"
            )
        return
    if not compared and not _counts_examples(schema, kind):
        yield (
            f"{key}: {kind} is not measured, because no feature of the schema has a {kind}_comparator, such as "
            f"{kind}_comparator {{ jensen_shannon_divergence {{ threshold: 0.1 }} }}"
        )
        return
    for split, statistics in current.items():
        measured = anomalies[split].drift_skew_info
        done = {tuple(info.path.step) for info in measured if getattr(info, f"{kind}_measurements")}
        here, there = _by_path(statistics), _by_path(comparison.by_split[split])
        both = [path for path in compared if path in here and path in there]
        reasons = {
            "the data does not have it": [path for path in compared if path not in here],
            "infinity_norm and normalized_abs_difference are for text, not for numbers: expected a "
            "jensen_shannon_divergence": [
                path for path in both if here[path].HasField("num_stats") and not compared[path].HasField(_OF_NUMBERS)
            ],
        }
        told = {path for paths in reasons.values() for path in paths}
        reasons["the two have values of different types"] = [
            path for path in both if path not in done and path not in told
        ]
        for reason, paths in reasons.items():
            if paths:
                yield f"split {split!r}: {kind} of {_listed(paths)} is not measured: {reason}"


def _compared(
    features: Iterable[schema_pb2.Feature], field: str, above: FeaturePath = ()
) -> Iterator[tuple[FeaturePath, schema_pb2.FeatureComparator]]:
    """Yields the features with a comparator that measures something."""
    for feature in features:
        path, comparator = (*above, feature.name), getattr(feature, field)
        if comparator.ListFields():
            yield path, comparator
        yield from _compared(feature.struct_domain.feature, field, path)


def _counts_examples(schema: schema_pb2.Schema, kind: str) -> bool:
    """Whether the schema bounds the change of the number of examples, which earlier statistics are for as well."""
    return kind == "drift" and schema.dataset_constraints.HasField("num_examples_drift_comparator")


def _by_path(statistics: DatasetFeatureStatistics) -> dict[FeaturePath, FeatureNameStatistics]:
    return {tuple(feature.path.step): feature for feature in statistics.features}


def _listed(paths: Collection[FeaturePath]) -> str:
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return ", ".join(repr(".".join(path)) for path in list(paths)[:_SHOWN]) + more
