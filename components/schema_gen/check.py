"""Checks a schema for contradictions that TFDV would ignore, or that would fail in the middle of a run."""

from collections import Counter
from collections.abc import Iterable

from tensorflow_metadata.proto.v0 import schema_pb2

from penstock.core.errors import SchemaError
from penstock.core.statistics import exact
from penstock.core.suggestions import did_you_mean

_DOMAIN_TYPES = {
    "int_domain": (schema_pb2.INT, schema_pb2.BYTES),  # TFDV infers them of text that is numbers, too
    "float_domain": (schema_pb2.FLOAT, schema_pb2.BYTES),
    "bool_domain": (schema_pb2.INT, schema_pb2.FLOAT, schema_pb2.BYTES),
    "string_domain": (schema_pb2.BYTES,),
    "domain": (schema_pb2.BYTES,),
    "struct_domain": (schema_pb2.STRUCT,),
}


def schema(schema: schema_pb2.Schema, name: str) -> None:
    """Raises a SchemaError if the schema contradicts itself; `name` begins the sentence and says which schema it is.

    Features must have distinct names. Domains, environments, and the parts of sparse and weighted features must exist.
    Domains must fit the types, and no minimum may exceed its maximum.
    """
    if not schema.feature:
        raise SchemaError(f"{name}: expected at least one feature, found none")
    _features(schema, schema.feature, name)
    names = [feature.name for feature in schema.feature]
    for sparse in schema.sparse_feature:
        parts = [sparse.value_feature.name, *(index.name for index in sparse.index_feature)]
        for part in parts:
            _require(part, names, f"{name}: sparse feature {sparse.name!r}: feature")
    for weighted in schema.weighted_feature:
        for path in (weighted.feature, weighted.weight_feature):
            _require(path.step[0] if path.step else "", names, f"{name}: weighted feature {weighted.name!r}: feature")


def _features(schema: schema_pb2.Schema, features: Iterable[schema_pb2.Feature], name: str) -> None:
    repeated = [key for key, times in Counter(feature.name for feature in features).items() if times > 1]
    if repeated:
        raise SchemaError(f"{name}: feature {repeated[0]!r} occurs more than once: expected once")
    for feature in features:
        if not feature.name:
            raise SchemaError(f"{name}: a feature has no name: expected `name` in every `feature`")
        _feature(schema, feature, f"{name}: feature {feature.name!r}")
        if feature.type == schema_pb2.STRUCT:
            _features(schema, feature.struct_domain.feature, f"{name}: feature {feature.name!r}")


def _feature(schema: schema_pb2.Schema, feature: schema_pb2.Feature, name: str) -> None:
    domain = feature.WhichOneof("domain_info")
    types = _DOMAIN_TYPES.get(domain or "")
    if types and feature.type and feature.type not in types:
        actual = schema_pb2.FeatureType.Name(feature.type)
        expected = " or ".join(schema_pb2.FeatureType.Name(kind) for kind in types)
        raise SchemaError(f"{name}: its {domain} does not fit its type {actual}: expected the type {expected}")
    if domain == "domain":
        _require(
            feature.domain, [string_domain.name for string_domain in schema.string_domain], f"{name}: string_domain"
        )
    if domain in ("int_domain", "float_domain"):
        bounds = getattr(feature, domain)
        if bounds.HasField("min") and bounds.HasField("max") and bounds.min > bounds.max:
            raise SchemaError(f"{name}: {domain} has min {exact.text(bounds.min)} above max {exact.text(bounds.max)}")
    if feature.HasField("value_count") and 0 < feature.value_count.max < feature.value_count.min:
        raise SchemaError(f"{name}: value_count has min {feature.value_count.min} above max {feature.value_count.max}")
    if not 0 <= feature.presence.min_fraction <= 1:
        raise SchemaError(f"{name}: presence.min_fraction: expected 0 to 1, received {feature.presence.min_fraction:g}")
    for environment in [*feature.in_environment, *feature.not_in_environment]:
        _require(environment, list(schema.default_environment), f"{name}: environment", "default_environment")


def _require(name: str, existing: list[str], what: str, where: str = "the schema") -> None:
    if name not in existing:
        raise SchemaError(f"{what} {name!r} does not exist in {where}; {did_you_mean(name, existing)}")
