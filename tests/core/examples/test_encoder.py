"""The column-wise encoder, against protobuf's own serialization."""

import random
from typing import Any

import pyarrow as pa
import pytest
from tensorflow.core.example import example_pb2

from penstock.core.errors import DataError
from penstock.core.examples import encoder

INTEGERS = [0, 1, -1, 127, 128, 16383, 16384, -128, 2**31, 2**63 - 1, -(2**63)]
FLOATS = [0.0, -0.0, -1.5, float("inf"), 1e-30]
STRINGS = [b"", b"a", b"\xff\x00", b"x" * 127, b"x" * 128, b"x" * 20_000]


def column(values: list[Any], rows: int, value_type: pa.DataType, seed: int) -> pa.Array:
    rng = random.Random(seed)
    cells = [
        None if rng.random() < 0.2 else rng.choices(values, k=rng.choice([0, 1, 1, 1, 3, 40])) for _ in range(rows)
    ]
    return pa.array(cells, value_type)


BATCH = pa.record_batch(
    {
        "zeta": column(INTEGERS, 300, pa.list_(pa.int64()), 1),
        "alpha": column(FLOATS, 300, pa.large_list(pa.float32()), 2),
        "été" * 60: column(STRINGS, 300, pa.list_(pa.large_binary()), 3),
        "alphabet": column(INTEGERS, 300, pa.list_(pa.int64()), 5),
        "mid": column(STRINGS, 300, pa.large_list(pa.binary()), 4),
        "a": pa.array([[5]] * 300, pa.list_(pa.int32())),
        "nothing": pa.array([None] * 300, pa.list_(pa.null())),
    }
)


def reference(row: dict[str, Any], schema: pa.Schema) -> bytes:
    """What protobuf's deterministic serialization makes of the row."""
    example = example_pb2.Example()
    for name, values in row.items():
        feature, kind = example.features.feature[name], schema.field(name).type.value_type
        if values is not None:
            if pa.types.is_integer(kind):
                target: Any = feature.int64_list
            else:
                target = feature.float_list if pa.types.is_floating(kind) else feature.bytes_list
            target.SetInParent()
            target.value.extend(values)
    example.features.SetInParent()
    serialized: bytes = example.SerializeToString(deterministic=True)
    return serialized


@pytest.mark.parametrize("batch", [BATCH, BATCH.slice(17, 100), BATCH.slice(299), BATCH.slice(0, 0), BATCH.select([])])
def test_equals_protobufs_serialization(batch: pa.RecordBatch) -> None:
    encoded = encoder.encode(batch).to_pylist()
    assert encoded == [reference(row, batch.schema) for row in batch.to_pylist()]


def test_a_column_that_is_no_list_is_named() -> None:
    with pytest.raises(DataError, match="feature 'age': expected a column of lists, received int64"):
        encoder.encode(pa.record_batch({"age": pa.array([1])}))


def test_skipped_nulls_are_features_that_the_row_lacks() -> None:
    batch = BATCH.append_column("unknown", pa.nulls(300))
    for row, serialized in zip(batch.to_pylist(), encoder.encode(batch, skip_nulls=True).to_pylist(), strict=True):
        example = example_pb2.Example.FromString(serialized)
        present = {name for name, values in row.items() if values is not None} | {"unknown"}
        assert set(example.features.feature) == present
        assert example.SerializeToString(deterministic=True) == serialized


def test_one_feature_equals_protobufs_serialization() -> None:
    for name in ("zeta", "alpha", "mid"):
        features = encoder.encode_feature(BATCH.column(name)).to_pylist()
        for serialized, example in zip(features, encoder.encode(BATCH).to_pylist(), strict=True):
            feature = example_pb2.Example.FromString(example).features.feature[name]
            assert serialized == feature.SerializeToString(deterministic=True)
