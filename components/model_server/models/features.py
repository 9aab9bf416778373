"""What a signature that parses tf.Examples takes: from its graph, and from the schema beside the model."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import tensorflow as tf

from penstock.components.model_server.inference import ServedFeature
from penstock.core.cleaning.rules import Type
from penstock.core.models.signatures import ParsedFeature

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import schema_pb2

    from penstock.core.cleaning.cleaning import Cleaning

_TYPES = {1: tf.string, 2: tf.int64, 3: tf.float32}  # schema_pb2's BYTES, INT and FLOAT
_OF_RULES: dict[Type, tf.DType] = {"text": tf.string, "integer": tf.int64, "float": tf.float32}
_SERVING = "SERVING"  # TFX's name of the environment in which there is no label


def served(
    parsed: Mapping[str, ParsedFeature], schema: "schema_pb2.Schema | None", cleaning: "Cleaning | None" = None
) -> dict[str, ServedFeature]:
    """Returns the features that rows have: those that the graph parses, in the schema's order; all without a graph.

    Rows that are cleaned first may also have what rules look at, and need not have what they fill.

    A feature is required if the graph cannot do without it, or if the schema says that every example has a value of it.
    """
    features = _of_model(parsed, schema)
    return _before_cleaning(features, cleaning) if cleaning and features else features


def _before_cleaning(features: Mapping[str, ServedFeature], cleaning: "Cleaning") -> dict[str, ServedFeature]:
    before = {
        name: replace(
            feature,
            required=feature.required and name not in cleaning.filled,
            also_text=name in cleaning.converted,
        )
        for name, feature in features.items()
        if name not in cleaning.made
    }
    read = {
        name: ServedFeature(name, _OF_RULES[kind], required=False)
        for name, kind in cleaning.reads.items()
        if name not in features
    }
    return before | read


def _of_model(parsed: Mapping[str, ParsedFeature], schema: "schema_pb2.Schema | None") -> dict[str, ServedFeature]:
    described = {feature.name: feature for feature in schema.feature} if schema else {}
    if not parsed:
        return {
            name: _feature(name, ParsedFeature(_TYPES[feature.type], False), feature, schema)
            for name, feature in described.items()
            if feature.type in _TYPES
        }
    names = [name for name in described if name in parsed] + sorted(parsed.keys() - described.keys())
    return {name: _feature(name, parsed[name], described.get(name), schema) for name in names}


def _feature(
    name: str, parsed: ParsedFeature, described: "schema_pb2.Feature | None", schema: "schema_pb2.Schema | None"
) -> ServedFeature:
    if described is None or schema is None:
        return ServedFeature(name, parsed.dtype, parsed.required, parsed.shape)
    shape = parsed.shape if parsed.shape is not None else _shape(described)
    least, most = _range(described)
    return ServedFeature(
        name,
        parsed.dtype,
        parsed.required or _is_always_there(described),
        shape,
        tuple(_values(described, schema)),
        least,
        most,
    )


def _shape(described: "schema_pb2.Feature") -> tuple[int, ...] | None:
    if described.HasField("shape"):
        return tuple(dim.size for dim in described.shape.dim)
    counts = described.value_count
    return () if counts.min == counts.max == 1 else None


def _is_always_there(described: "schema_pb2.Feature") -> bool:
    """Whether every example has at least one value; TFDV counts one that has the feature and no value as present."""
    has_value = described.HasField("shape") or described.value_count.min >= 1
    return has_value and described.presence.min_fraction >= 1 and _SERVING not in described.not_in_environment


def _values(described: "schema_pb2.Feature", schema: "schema_pb2.Schema") -> Iterator[str]:
    yield from described.string_domain.value
    for domain in schema.string_domain:
        if domain.name == described.domain:
            yield from domain.value


def _range(described: "schema_pb2.Feature") -> tuple[float | None, float | None]:
    """Returns the least and the greatest value that the schema allows; None for no bound."""
    name = described.WhichOneof("domain_info")
    if name not in ("int_domain", "float_domain"):
        return None, None
    domain = getattr(described, name)
    least, most = (getattr(domain, bound) if domain.HasField(bound) else None for bound in ("min", "max"))
    return tuple(bound if bound is not None and math.isfinite(bound) else None for bound in (least, most))  # type: ignore[return-value]
