"""Ragged tensors as features of tf.Examples: a feature with the values, and one of row lengths per inner dimension."""

import math
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from tensorflow_metadata.proto.v0 import schema_pb2


def flatten(batch: pa.RecordBatch, schema: schema_pb2.Schema) -> pa.RecordBatch:
    """Replaces each ragged column by the features that the tensor's representation in the schema names.

    The columns of `batch` have the names of tensors; a tensor of rank 3 or more is a list of lists. The features are
    `<name>$ragged_values` and `<name>$row_lengths_<i>`, as tfx_bsl's encoder writes them.
    """
    ragged = {
        name: representation.ragged_tensor
        for group in schema.tensor_representation_group.values()
        for name, representation in group.tensor_representation.items()
        if representation.HasField("ragged_tensor")
    }
    if not ragged:
        return batch
    columns: dict[str, pa.Array] = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        columns |= dict(_features(column, ragged[name])) if name in ragged else {name: column}
    return pa.RecordBatch.from_arrays(list(columns.values()), list(columns))


def _features(column: pa.Array, tensor: schema_pb2.TensorRepresentation) -> Iterator[tuple[str, pa.Array]]:
    rows, values = np.asarray(column.offsets), column.values
    names = [partition.row_length for partition in tensor.partition if partition.WhichOneof("kind") == "row_length"]
    # Inner uniform dimensions have no lists: the innermost list holds their values flat.
    flat = math.prod(partition.uniform_row_length or 1 for partition in tensor.partition)
    for name in names:
        lengths = np.diff(np.asarray(values.offsets)) // (flat if name == names[-1] else 1)
        yield name, pa.LargeListArray.from_arrays(pa.array(rows, pa.int64()), pa.array(lengths, pa.int64()))
        rows, values = np.asarray(values.offsets)[rows], values.values
    yield tensor.feature_path.step[0], pa.LargeListArray.from_arrays(pa.array(rows, pa.int64()), values)
