"""From files of tf.Examples to the tensors that a preprocessing function takes, by the schema's representations."""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx_bsl.tfxio import tensor_representation_util, tf_example_record
from tfx_bsl.tfxio.tensor_adapter import TensorAdapter

from penstock.core.errors import DataError, SchemaError
from penstock.core.examples import records
from penstock.core.suggestions import did_you_mean

_TYPES = {schema_pb2.BYTES: "bytes", schema_pb2.INT: "int64", schema_pb2.FLOAT: "float"}


@dataclass(frozen=True)
class Reader:
    """Reads the tensors `columns` of a schema. Small and picklable: it travels to the workers."""

    schema: bytes  # a serialized Schema
    columns: tuple[str, ...]

    def batches(self, path: Path) -> Iterator[pa.RecordBatch]:
        """Yields the rows of a file in batches of up to 8192, with the columns that the tensors need.

        Raises a SchemaError that names the feature if the file holds another type than the schema says.
        """
        schema = _projection(self)[0]
        for examples in records.read(path):
            try:
                yield records.decode(examples, schema)
            except (RuntimeError, ValueError) as error:
                self._explain(path, examples)
                raise DataError(f"{path}: expected serialized tf.Examples: {error}") from None

    def tensors(self, batch: pa.RecordBatch, path: Path) -> dict[str, Any]:
        """Returns a batch as eager tensors by name; a SchemaError names the feature that has not its shape."""
        try:
            return dict(_projection(self)[1].ToBatchTensors(batch, produce_eager_tensors=True))
        except ValueError:
            self._explain_shapes(path, batch)
            raise

    def check(self, path: Path) -> bool:
        """Compares the first batch of a file with the schema. Returns whether the file has any rows.

        Raises a SchemaError that names the feature, what was expected and what was found.
        """
        for examples in records.read(path):
            self._explain(path, examples)
            batch = records.decode(examples, _projection(self)[0])
            self._explain_shapes(path, batch)
            return True
        return False

    def specs(self) -> dict[str, Any]:
        """Returns the TypeSpec of every tensor."""
        return dict(_projection(self)[1].OriginalTypeSpecs())

    def features(self) -> list[schema_pb2.Feature]:
        return list(_projection(self)[0].feature)

    def fingerprint(self) -> bytes:
        """Returns what of the schema decides how bytes become tensors, for cache keys.

        TFT's own keys hold the tensors' types and shapes; what they miss are representations written by hand.
        """
        groups = schema_pb2.Schema.FromString(self.schema).tensor_representation_group
        parts = (name.encode() + groups[name].SerializeToString(deterministic=True) for name in sorted(groups))
        return b"".join(parts)

    def _explain(self, path: Path, examples: Sequence[bytes]) -> None:
        """Raises a SchemaError for the first feature that is missing or has another type than the schema's."""
        try:
            found = records.decode(examples)
        except (RuntimeError, ValueError):
            return  # not tf.Examples at all, or two types for one feature in one batch
        for feature in self.features():
            if feature.name not in found.schema.names:
                if _required(feature):
                    raise _missing(feature, path, found.schema.names)
                continue
            column, expected = found.column(found.schema.get_field_index(feature.name)), _TYPES.get(feature.type)
            actual = _type_name(column.type)
            if expected and actual and actual != expected:
                raise SchemaError(
                    f"feature {feature.name!r}: expected {expected} (schema), found {actual} in {path}: "
                    "make a schema from these examples, or mend the data"
                )

    def _explain_shapes(self, path: Path, batch: pa.RecordBatch) -> None:
        """Raises a SchemaError for the first feature of fixed shape of which a row has another number of values."""
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
                    "mend the data"
                )


def reader(schema: schema_pb2.Schema, columns: Sequence[str] | None = None) -> Reader:
    """Returns the reader of some of a schema's tensors, or of all of them.

    Raises a SchemaError if TFX's tensor representations cannot be made from the schema.
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
    """The schema of the columns in use, and the adapter that makes tensors of them."""
    schema = schema_pb2.Schema.FromString(reader.schema)
    whole = tf_example_record.TFExampleBeamRecord(physical_format="tfrecords_gzip", schema=schema)
    columns = list(reader.columns)
    projected = tensor_representation_util.ProjectTensorRepresentationsInSchema(schema, columns)
    return projected, whole.Project(columns).TensorAdapter()


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
    """Whether the schema's own tensor representations fill in rows without the feature."""
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
        return None  # no values: fits every type
    return "float" if pa.types.is_floating(values) else "int64" if pa.types.is_integer(values) else "bytes"
