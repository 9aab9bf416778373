"""What TFDV takes for granted of a schema: contradictions it would pass over, or fail on in the middle of a run."""

from collections import Counter
from collections.abc import Iterable

from tensorflow_metadata.proto.v0 import schema_pb2

from penstock.core.errors import SchemaError
from penstock.core.suggestions import did_you_mean

_DOMAIN_TYPES = {
    "int_domain": (schema_pb2.INT,),
    "float_domain": (schema_pb2.FLOAT,),
    "bool_domain": (schema_pb2.INT, schema_pb2.FLOAT, schema_pb2.BYTES),
    "string_domain": (schema_pb2.BYTES,),
    "domain": (schema_pb2.BYTES,),
    "struct_domain": (schema_pb2.STRUCT,),
}


def schema(schema: schema_pb2.Schema, name: str) -> None:
    """Raises a SchemaError if the schema contradicts itself; `name` says which one in the sentence.

    Checked: features with names, once each; domains that exist and fit the type; environments that exist; bounds in
    order; the features that sparse and weighted ones are made of.
    """
    if not schema.feature:
        raise SchemaError(f"{name}: expected at least one feature, found none")
    _features(schema, schema.feature, name)
    names = [feature.name for feature in schema.feature]
    for sparse in schema.sparse_feature:
        parts = [sparse.value_feature.name, *(index.name for index in sparse.index_feature)]
        for part in parts:
            _known(part, names, f"{name}: sparse feature {sparse.name!r}: feature")
    for weighted in schema.weighted_feature:
        for path in (weighted.feature, weighted.weight_feature):
            _known(path.step[0] if path.step else "", names, f"{name}: weighted feature {weighted.name!r}: feature")


def _features(schema: schema_pb2.Schema, features: Iterable[schema_pb2.Feature], name: str) -> None:
    repeated = [key for key, times in Counter(feature.name for feature in features).items() if times > 1]
    if repeated:
        raise SchemaError(f"{name}: feature {repeated[0]!r} is there more than once: expected once")
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
        found = schema_pb2.FeatureType.Name(feature.type)
        expected = " or ".join(schema_pb2.FeatureType.Name(kind) for kind in types)
        raise SchemaError(f"{name}: its {domain} does not fit its type {found}: expected the type {expected}")
    if domain == "domain":
        _known(feature.domain, [known.name for known in schema.string_domain], f"{name}: string_domain")
    if domain in ("int_domain", "float_domain"):
        bounds = getattr(feature, domain)
        if bounds.HasField("min") and bounds.HasField("max") and bounds.min > bounds.max:
            raise SchemaError(f"{name}: {domain} has min {bounds.min:g} above max {bounds.max:g}")
    if feature.HasField("value_count") and 0 < feature.value_count.max < feature.value_count.min:
        raise SchemaError(f"{name}: value_count has min {feature.value_count.min} above max {feature.value_count.max}")
    if not 0 <= feature.presence.min_fraction <= 1:
        raise SchemaError(f"{name}: presence.min_fraction: expected 0 to 1, received {feature.presence.min_fraction:g}")
    for environment in [*feature.in_environment, *feature.not_in_environment]:
        _known(environment, list(schema.default_environment), f"{name}: environment", "default_environment")


def _known(value: str, known: list[str], what: str, where: str = "the schema") -> None:
    if value not in known:
        raise SchemaError(f"{what} {value!r} does not exist in {where}; {did_you_mean(value, known)}")
