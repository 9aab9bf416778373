"""The module that is used without code: TFX's module functions, made of the data's schema and statistics.

custom_config holds what the configuration says: `label`, `features` (overrides, see features.py) and `problem`.
"""

from collections.abc import Mapping
from typing import Any

from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from penstock.trainer import features, preprocessing


def plan(
    custom_config: Mapping[str, Any],
    schema: schema_pb2.Schema,
    statistics: statistics_pb2.DatasetFeatureStatisticsList,
) -> features.Plan:
    """Returns what each column is. The same configuration, schema and statistics give the same plan."""
    given = features.overrides(custom_config.get("features") or {})
    return features.plan(schema, statistics, custom_config["label"], given, custom_config.get("problem"))


def preprocessing_fn(
    inputs: Mapping[str, Any],
    custom_config: Mapping[str, Any],
    schema: schema_pb2.Schema,
    statistics: statistics_pb2.DatasetFeatureStatisticsList,
) -> dict[str, Any]:
    return preprocessing.transform(plan(custom_config, schema, statistics), inputs)
