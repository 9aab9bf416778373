"""Reads files of tf.Examples into the tensors that a preprocessing function takes, as the schema represents them."""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx_bsl.tfxio import tensor_representation_util, tf_example_record
from tfx_bsl.tfxio.tensor_adapter import TensorAdapter

from penstock.core.errors import DataError, SchemaError
from penstock.core.examples import records
from penstock.core.suggestions import did_you_mean

if TYPE_CHECKING:
    import tensorflow as tf

    from penstock.components.transform.user_function import Tensor

_TYPES = {schema_pb2.BYTES: "bytes", schema_pb2.INT: "int64", schema_pb2.FLOAT: "float"}


@dataclass(frozen=True)
class Reader:
    """Reads the tensors `columns` of a schema. Small and picklable, because it is sent to the workers."""

    schema: bytes  # a serialized Schema
    columns: tuple[str, ...]

    def batches(self, path: Path) -> Iterator[pa.RecordBatch]:
        """Yields the rows of a file in batches of up to 8192, with the columns that the tensors need.

        Raises a SchemaError that names the feature if its type in the file differs from the schema's, and a DataError
        if these are no tf.Examples.
        """
        schema = _projection(self)[0]
        for examples in records.read(path):
            try:
                yield records.decode(examples, schema)
            except (RuntimeError, ValueError) as error:
                self._explain(path, examples)
                raise DataError(f"{path}: expected serialized tf.Examples: {error}") from None

    def tensors(self, batch: pa.RecordBatch, path: Path) -> "dict[str, Tensor]":
        """Returns a batch of the file `path` as eager tensors by name.

        Raises a SchemaError that names the feature if a row does not have the schema's fixed shape.
        """
        try:
            return dict(_projection(self)[1].ToBatchTensors(batch, produce_eager_tensors=True))
        except ValueError:
            self._explain_shapes(path, batch)
            raise

    def check(self, path: Path) -> bool:
        """Compares the first batch of a file with the schema. Returns whether the file has any rows.

        Raises a SchemaError that names the feature and what does not fit.
        """
        for examples in records.read(path):
            self._explain(path, examples)
            batch = records.decode(examples, _projection(self)[0])
            self._explain_shapes(path, batch)
            return True
        return False

    def specs(self) -> "dict[str, tf.TypeSpec]":
        """Returns the TypeSpec of every tensor by name."""
        return dict(_projection(self)[1].OriginalTypeSpecs())

    def features(self) -> list[schema_pb2.Feature]:
        """Returns the schema's features that the tensors need."""
        return list(_projection(self)[0].feature)

    def fingerprint(self) -> bytes:
        """Returns the parts of the schema that cache keys must hold besides TFT's own.

        Both decide how bytes become tensors. TFT's keys hold the types and shapes of tensors, but not the tensor
        representations that a person wrote into the schema.
        """
        groups = schema_pb2.Schema.FromString(self.schema).tensor_representation_group
        parts = (name.encode() + groups[name].SerializeToString(deterministic=True) for name in sorted(groups))
        return b"".join(parts)

    def _explain(self, path: Path, examples: Sequence[bytes]) -> None:
        """Raises a SchemaError for the first feature that is missing or has another type than the schema's."""
        try:
            batch = records.decode(examples)
        except (RuntimeError, ValueError):
            return  # no tf.Examples, or a feature has two types in the batch
        for feature in self.features():
            if feature.name not in batch.schema.names:
                if _required(feature):
                    raise _missing(feature, path, batch.schema.names)
                continue
            column, expected = batch.column(batch.schema.get_field_index(feature.name)), _TYPES.get(feature.type)
            actual = _type_name(column.type)
            if expected and actual and actual != expected:
                raise SchemaError(
                    f"feature {feature.name!r}: expected {expected} (schema), found {actual} in {path}: "
                    "make a schema from these examples, or fix the data"
                )

    def _explain_shapes(self, path: Path, batch: pa.RecordBatch) -> None:
        """Raises a SchemaError for the first feature of fixed shape with another number of values in some row."""
        for feature in self.features():
            if not _fixed(feature):
                continue
            expected = 1
            for dimension in feature.shape.dim:
                expected *= dimension.size
            column = batch.column(batch.schema.get_field_index(feature.name))
            if column.null_count == len(column) and not _has_default(feature, self):
                raise _missing(feature, path, ())
            lengths = column.value_lengths().to_pylist()
            wrong = next((row for row, length in enumerate(lengths) if (length or 0) != expected), None)
            if wrong is not None and not (lengths[wrong] is None and _has_default(feature, self)):
                raise SchemaError(
                    f"feature {feature.name!r}: expected {expected} value{'s' * (expected != 1)} in every row (the "
                    f"schema's shape), found {lengths[wrong] or 0} in {path}: remove the shape from the schema, or "
                    "fix the data"
                )


def reader(schema: schema_pb2.Schema, columns: Sequence[str] | None = None) -> Reader:
    """Returns a reader of the tensors `columns` of a schema, by default of all.

    Raises a SchemaError if the schema has no features, or some of which TFX cannot make tensors.
    """
    try:
        names = sorted(tensor_representation_util.InferTensorRepresentationsFromMixedSchema(schema))
    except (ValueError, NotImplementedError) as error:
        raise SchemaError(f"schema: expected features that have a tensor representation: {error}") from None
    if not names:
        raise SchemaError("schema: expected at least one feature, found none")
    return Reader(schema.SerializeToString(deterministic=True), tuple(names if columns is None else sorted(columns)))


@functools.lru_cache(maxsize=8)
def _projection(reader: Reader) -> tuple[schema_pb2.Schema, TensorAdapter]:
    """Returns the schema of the columns that are read, and the adapter that makes tensors from them."""
    schema = schema_pb2.Schema.FromString(reader.schema)
    tfxio = tf_example_record.TFExampleBeamRecord(physical_format="tfrecords_gzip", schema=schema)
    columns = list(reader.columns)
    projected = tensor_representation_util.ProjectTensorRepresentationsInSchema(schema, columns)
    return projected, tfxio.Project(columns).TensorAdapter()


def _missing(feature: schema_pb2.Feature, path: Path, names: Sequence[str]) -> SchemaError:
    hint = did_you_mean(feature.name, names, "it has")
    return SchemaError(
        f"feature {feature.name!r}: expected {_TYPES.get(feature.type, 'values')} in every row (schema), found no such "
        f"feature in {path}; {hint}"
    )


def _required(feature: schema_pb2.Feature) -> bool:
    return bool(feature.presence.min_fraction >= 1 or _fixed(feature))


def _fixed(feature: schema_pb2.Feature) -> bool:
    return bool(feature.HasField("shape"))


def _has_default(feature: schema_pb2.Feature, reader: Reader) -> bool:
    """Whether a tensor representation in the schema has a default value for rows without the feature."""
    schema = schema_pb2.Schema.FromString(reader.schema)
    return any(
        representation.dense_tensor.column_name == feature.name
        and representation.dense_tensor.HasField("default_value")
        for group in schema.tensor_representation_group.values()
        for representation in group.tensor_representation.values()
    )


def _type_name(column: pa.DataType) -> str | None:
    values = pa.null() if pa.types.is_null(column) else column.value_type
    if pa.types.is_null(values):
        return None  # there are no values, so any type fits
    return "float" if pa.types.is_floating(values) else "int64" if pa.types.is_integer(values) else "bytes"
