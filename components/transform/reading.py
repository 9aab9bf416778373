"""Reads files of Examples into the tensors that a preprocessing function takes, as the schema represents them."""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_transform.tf_metadata import schema_utils
from tfx_bsl.tfxio import raw_tf_record, tensor_representation_util, tf_example_record, tf_sequence_example_record
from tfx_bsl.tfxio.tensor_adapter import TensorAdapter
from tfx_bsl.tfxio.tfxio import TFXIO

from penstock.core.errors import DataError, SchemaError
from penstock.core.examples import payloads, records
from penstock.core.examples.payloads import PayloadFormat
from penstock.core.suggestions import did_you_mean

type Tensor = tf.Tensor | tf.SparseTensor | tf.RaggedTensor

RAW_EXAMPLE = "raw_example"  # TFX's name of the only tensor of tf.SequenceExamples that the schema does not represent
_TYPES = {schema_pb2.BYTES: "bytes", schema_pb2.INT: "int64", schema_pb2.FLOAT: "float"}


@dataclass(frozen=True)
class Reader:
    """Reads the tensors `columns` of a schema. Small and picklable, because it is sent to the workers.

    As in TFX, tf.SequenceExamples are represented by the schema's tensor_representation_group. Without one there is
    but a tensor `raw_example`, of a single serialized record, which the preprocessing function parses.
    """

    schema: bytes  # a serialized Schema
    columns: tuple[str, ...]
    payload_format: PayloadFormat = payloads.TF_EXAMPLE

    @property
    def is_raw(self) -> bool:
        """Whether the only tensor is a serialized record."""
        if self.payload_format == payloads.TF_EXAMPLE:
            return False
        return not schema_pb2.Schema.FromString(self.schema).tensor_representation_group

    def batches(self, path: Path) -> Iterator[pa.RecordBatch]:
        """Yields the rows of a file in batches of up to 8192, with the columns that the tensors need.

        Raises a SchemaError that names the feature if its type in the file differs from the schema's, and a DataError
        if these are no records of the format.
        """
        for examples in records.read(path):
            yield self._decode(path, examples)

    def tensors(self, batch: pa.RecordBatch, path: Path) -> Iterator[dict[str, Tensor]]:
        """Yields a batch of the file `path` as eager tensors by name: at once, or row by row if `is_raw`.

        Raises a SchemaError that names the feature if a row does not have the schema's fixed shape.
        """
        parts = [batch.slice(row, 1) for row in range(batch.num_rows)] if self.is_raw else [batch]
        for part in parts:
            try:
                yield dict(_projection(self)[1].ToBatchTensors(part, produce_eager_tensors=True))
            except ValueError:
                self._explain_shapes(path, part)
                raise

    def features_of(self, batch: pa.RecordBatch, path: Path) -> pa.RecordBatch:
        """Returns a batch of the file `path` with columns that statistics can be taken of."""
        if not self.is_raw:
            return batch
        try:
            return records.decode(batch.column(0).flatten().to_pylist(), payload_format=self.payload_format)
        except (RuntimeError, ValueError) as error:
            raise self._misfit(path, error) from None

    def check(self, path: Path) -> bool:
        """Compares the first batch of a file with the schema. Returns whether the file has any rows.

        Raises a SchemaError that names the feature and what does not fit, and what `batches` raises.
        """
        for examples in records.read(path):
            self._explain(path, examples)
            batch = self._decode(path, examples)
            self._explain_shapes(path, self.features_of(batch, path))
            return True
        return False

    def specs(self) -> dict[str, tf.TypeSpec]:
        """Returns the TypeSpec of every tensor by name."""
        return dict(_projection(self)[1].OriginalTypeSpecs())

    def tfxio(self, files: Sequence[Path]) -> TFXIO:
        """Returns what reads the same tensors of files on Beam."""
        return _tfxio(self, [str(path) for path in files]).Project(list(self.columns))

    def _features(self) -> dict[str, schema_pb2.Feature]:
        """Returns the schema's features that the tensors need, by their paths; the parts of a struct are features."""
        features: dict[str, schema_pb2.Feature] = {}
        for feature in () if self.is_raw else _projection(self)[0].feature:
            parts = feature.struct_domain.feature if feature.type == schema_pb2.STRUCT else ()
            features |= {f"{feature.name}.{part.name}": part for part in parts} or {feature.name: feature}
        return features

    def fingerprint(self) -> bytes:
        """Returns the parts of the schema that cache keys must hold besides TFT's own.

        Both decide how bytes become tensors. TFT's keys hold the types and shapes of tensors, but not the tensor
        representations that a person wrote into the schema.
        """
        groups = schema_pb2.Schema.FromString(self.schema).tensor_representation_group
        parts = (name.encode() + groups[name].SerializeToString(deterministic=True) for name in sorted(groups))
        return b"".join([self.payload_format.encode() if self.payload_format != payloads.TF_EXAMPLE else b"", *parts])

    def _decode(self, path: Path, examples: Sequence[bytes]) -> pa.RecordBatch:
        if self.is_raw:
            column = pa.array([[record] for record in examples], pa.large_list(pa.large_binary()))
            return pa.RecordBatch.from_arrays([column], [RAW_EXAMPLE])
        try:
            return records.decode(examples, _projection(self)[0], self.payload_format)
        except (RuntimeError, ValueError) as error:
            self._explain(path, examples)
            raise self._misfit(path, error) from None

    def _misfit(self, path: Path, error: Exception) -> DataError:
        return DataError(f"{path}: expected serialized {payloads.MESSAGES[self.payload_format]}s: {error}")

    def _explain(self, path: Path, examples: Sequence[bytes]) -> None:
        """Raises a SchemaError for the first feature that is missing or has another type than the schema's."""
        try:
            batch = records.decode(examples, payload_format=self.payload_format)
        except (RuntimeError, ValueError):
            return  # no such records, or a feature has two types in the batch
        types = _types(batch.schema)
        for name, feature in self._features().items():
            if name not in types:
                if _required(feature):
                    raise _missing(name, feature, path, list(types))
                continue
            actual, expected = _type_name(types[name]), _TYPES.get(feature.type)
            if expected and actual and actual != expected:
                raise SchemaError(
                    f"feature {name!r}: expected {expected} (schema), found {actual} in {path}: "
                    "make a schema from these examples, or fix the data"
                )

    def _explain_shapes(self, path: Path, batch: pa.RecordBatch) -> None:
        """Raises a SchemaError for the first feature of fixed shape with another number of values in some row."""
        for name, feature in self._features().items():
            if not _fixed(feature) or name not in batch.schema.names:  # of sequences, no shape is taken from the schema
                continue
            expected = 1
            for dimension in feature.shape.dim:
                expected *= dimension.size
            column = batch.column(batch.schema.get_field_index(name))
            if column.null_count == len(column) and not _has_default(feature, self):
                raise _missing(name, feature, path, ())
            lengths = column.value_lengths().to_pylist()
            wrong = next((row for row, length in enumerate(lengths) if (length or 0) != expected), None)
            if wrong is not None and not (lengths[wrong] is None and _has_default(feature, self)):
                raise SchemaError(
                    f"feature {name!r}: expected {expected} value{'s' * (expected != 1)} in every row (the "
                    f"schema's shape), found {lengths[wrong] or 0} in {path}: remove the shape from the schema, or "
                    "fix the data"
                )


def reader(
    schema: schema_pb2.Schema,
    columns: Sequence[str] | None = None,
    payload_format: PayloadFormat = payloads.TF_EXAMPLE,
) -> Reader:
    """Returns a reader of the tensors `columns` of a schema, by default of all.

    Raises a SchemaError if the schema has no features, or some of which TFX cannot make tensors.
    """
    if payload_format == payloads.TF_EXAMPLE:
        records.refuse_structs(schema)
    elif not schema.tensor_representation_group:
        serialized_record = {RAW_EXAMPLE: tf.io.FixedLenFeature([], tf.string)}
        schema, columns = schema_utils.schema_from_feature_spec(serialized_record), [RAW_EXAMPLE]
    try:
        names = sorted(tensor_representation_util.InferTensorRepresentationsFromMixedSchema(schema))
    except (ValueError, NotImplementedError) as error:
        raise SchemaError(f"schema: expected features that have a tensor representation: {error}") from None
    if not names:
        raise SchemaError("schema: expected at least one feature, found none")
    columns = tuple(names if columns is None else sorted(columns))
    return Reader(schema.SerializeToString(deterministic=True), columns, payload_format)


@functools.lru_cache(maxsize=8)
def _projection(reader: Reader) -> tuple[schema_pb2.Schema, TensorAdapter]:
    """Returns the schema of the columns that are read, and the adapter that makes tensors from them."""
    schema, columns = schema_pb2.Schema.FromString(reader.schema), list(reader.columns)
    tfxio = _tfxio(reader, [""])
    if isinstance(tfxio, tf_sequence_example_record.TFSequenceExampleRecord):
        projected = tfxio._ProjectTfmdSchema(columns)
    else:
        projected = tensor_representation_util.ProjectTensorRepresentationsInSchema(schema, columns)
    return projected, tfxio.Project(columns).TensorAdapter()


def _tfxio(reader: Reader, files: list[str]) -> TFXIO:
    schema, name = schema_pb2.Schema.FromString(reader.schema), ["penstock"]
    if reader.is_raw:
        return raw_tf_record.RawTfRecordTFXIO(files, RAW_EXAMPLE, name)
    if reader.payload_format == payloads.TF_SEQUENCE_EXAMPLE:
        return tf_sequence_example_record.TFSequenceExampleRecord(files, name, schema=schema)
    return tf_example_record.TFExampleRecord(files, name, schema=schema)


def _missing(name: str, feature: schema_pb2.Feature, path: Path, names: Sequence[str]) -> SchemaError:
    hint = did_you_mean(name, names, "it has")
    return SchemaError(
        f"feature {name!r}: expected {_TYPES.get(feature.type, 'values')} in every row (schema), found no such "
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


def _types(schema: pa.Schema) -> dict[str, pa.DataType]:
    """Returns the types of the columns, and those of the lists that the parts of a struct are lists of."""
    types: dict[str, pa.DataType] = {}
    for column in schema:
        if pa.types.is_struct(column.type):
            types |= {f"{column.name}.{part.name}": part.type.value_type for part in column.type}
        else:
            types[column.name] = column.type
    return types


def _type_name(column: pa.DataType) -> str | None:
    values = pa.null() if pa.types.is_null(column) else column.value_type
    if pa.types.is_null(values):
        return None  # there are no values, so any type fits
    return "float" if pa.types.is_floating(values) else "int64" if pa.types.is_integer(values) else "bytes"
