"""What features are monitored as, by what the schema says of them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0.schema_pb2 import Feature, Schema

    from penstock.components.monitoring.measures.bins import Kind


def kinds(schema: "Schema") -> "dict[str, Kind]":
    """Returns the kinds of features that the schema tells; those of others are told by their values."""
    return {feature.name: known for feature in schema.feature if (known := kind(feature))}


def kind(feature: "Feature") -> "Kind | None":
    """Returns a feature's kind, whatever its values are; None where the schema does not tell it."""
    if feature.int_domain.is_categorical or feature.HasField("string_domain") or feature.domain:
        return "category"
    return "text" if feature.HasField("natural_language_domain") else None
