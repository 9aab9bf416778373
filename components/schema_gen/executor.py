"""SchemaGen: TFDV infers one schema from the statistics of all splits, in the order of the splits as in TFX."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from penstock.components.schema_gen import check
from penstock.core import artifacts, progress
from penstock.core.artifacts import Property, TaskResult
from penstock.core.errors import DataError, SchemaError
from penstock.core.suggestions import did_you_mean

TRAINING, SERVING = "TRAINING", "SERVING"


def run(
    *,
    schema: str,
    statistics: str,
    infer_feature_shape: bool = True,
    exclude_splits: Sequence[str] = (),
    label: str = "",
    statistics_metadata: Mapping[str, Property] | None = None,
) -> TaskResult:
    """Writes the schema of the statistics of all splits that are not excluded.

    Args:
        schema: folder to write `schema.pbtxt` to.
        statistics: folder of an ExampleStatistics artifact.
        infer_feature_shape: whether to infer fixed shapes.
        exclude_splits: splits to leave out, whether they have statistics or not.
        label: feature to declare absent from the environment SERVING; "" for none.
        statistics_metadata: the metadata of the statistics artifact: the order of its splits.

    Raises:
        ConfigError: all splits are excluded.
        DataError: the label is not a feature, or the statistics have no feature.
        SchemaError: TFDV cannot reconcile the splits.
    """
    source = artifacts.ExampleStatistics(Path(statistics))
    splits = source.included(statistics_metadata or {}, exclude_splits)
    with progress.task("SchemaGen") as counts:
        inferred = _infer({split: source.read(split) for split in splits}, infer_feature_shape)
        if not inferred.feature:
            raise DataError(f"the statistics of {', '.join(splits)} have no feature: expected at least one column")
        if label:
            _declare_label(inferred, label)
        check.schema(inferred, "the inferred schema")
        artifacts.Schema(Path(schema)).write(inferred)
        counts["features"] = len(inferred.feature)
    return TaskResult({"schema": artifacts.metadata()})


def _infer(
    statistics: Mapping[str, statistics_pb2.DatasetFeatureStatisticsList], infer_feature_shape: bool
) -> schema_pb2.Schema:
    """Infers a schema from the first split, then widens it so that the other splits fit."""
    inferred: schema_pb2.Schema | None = None
    for split, stats in statistics.items():
        try:
            if inferred is None:
                inferred = tfdv.infer_schema(stats, infer_feature_shape)
            else:
                inferred = tfdv.update_schema(inferred, stats)
        except (RuntimeError, ValueError) as error:
            raise SchemaError(f"split {split!r}: no schema can be inferred from its statistics: {error}") from None
    assert inferred is not None  # there is at least one split
    return inferred


def _declare_label(inferred: schema_pb2.Schema, label: str) -> None:
    features = {feature.name: feature for feature in inferred.feature}
    if label not in features:
        hint = did_you_mean(label, sorted(features), "the features are")
        raise DataError(f"label: the data has no feature {label!r}; {hint}")
    inferred.default_environment.extend([TRAINING, SERVING])
    features[label].not_in_environment.append(SERVING)


if __name__ == "__main__":
    run(**json.loads(sys.argv[1]))
