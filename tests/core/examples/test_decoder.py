"""Decoding by columns against tfx_bsl's C++ decoder."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx_bsl.cc.tfx_bsl_extension import coders
from tfx_bsl.coders import example_coder

from penstock.core.errors import DataError
from penstock.core.examples import decoder, encoder, records

CPP = coders.ExamplesToRecordBatchDecoder(None)


def serialized(batch: pa.RecordBatch) -> list[bytes]:
    return list(encoder.encode(batch).to_pylist())


def assert_same(examples: list[bytes]) -> pa.RecordBatch:
    ours, theirs = decoder.decode(examples), CPP.DecodeBatch(examples)
    assert ours is not None
    ours.validate(full=True)
    assert ours.schema == theirs.schema
    assert ours == theirs
    return ours


def random_lists(generator: np.random.Generator, rows: int, longest: int, make: Any) -> list[Any]:
    """Lists of up to `longest` values; some rows are null and some lists empty."""
    return [
        None if generator.random() < 0.2 else [make() for _ in range(generator.integers(0, longest + 1))]
        for _ in range(rows)
    ]


@pytest.fixture(params=[1, 6])
def batch(request: pytest.FixtureRequest) -> pa.RecordBatch:
    """Numbers of every size and sign, texts longer than one byte's length, and columns without any value."""
    random, longest, rows = np.random.default_rng(3), request.param, 200
    columns = {
        "small": pa.array(
            random_lists(random, rows, longest, lambda: int(random.integers(0, 200))), pa.list_(pa.int64())
        ),
        "large": pa.array(
            random_lists(random, rows, longest, lambda: int(random.integers(-(2**63), 2**63 - 1))), pa.list_(pa.int64())
        ),
        "real": pa.array(random_lists(random, rows, longest, lambda: float(random.normal())), pa.list_(pa.float32())),
        "text": pa.array(
            random_lists(random, rows, longest, lambda: random.bytes(int(random.integers(0, 300)))),
            pa.list_(pa.binary()),
        ),
        "an empty one": pa.array([[]] * rows, pa.list_(pa.float32())),
        "a name that needs more than one word\u00e9": pa.array([[1]] * rows, pa.list_(pa.int64())),
        "nothing": pa.array([None] * rows, pa.list_(pa.null())),
    }
    return pa.RecordBatch.from_pydict(columns)


def test_all_kinds_of_columns(batch: pa.RecordBatch) -> None:
    decoded = assert_same(serialized(batch))
    assert decoded.num_columns == 7
    assert decoded["large"].to_pylist() == batch["large"].to_pylist()


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_few_rows(batch: pa.RecordBatch, rows: int) -> None:
    assert_same(serialized(batch.slice(100, rows)))


def test_columns_of_a_schema(batch: pa.RecordBatch) -> None:
    schema = schema_pb2.Schema()
    for name, kind in (("text", "BYTES"), ("large", "INT"), ("nothing", "FLOAT")):
        schema.feature.add(name=name, type=schema_pb2.FeatureType.Value(kind))
    examples = serialized(batch)
    theirs = coders.ExamplesToRecordBatchDecoder(schema.SerializeToString()).DecodeBatch(examples)
    kinds = {"text": decoder.BYTES_LIST, "large": decoder.INT64_LIST}
    ours = decoder.decode(examples, {**kinds, "nothing": decoder.FLOAT_LIST})
    assert ours is not None
    assert ours == theirs
    assert ours.schema == theirs.schema
    assert records.decode(examples, schema) == theirs


def test_other_layouts_are_left_to_the_other_decoder(batch: pa.RecordBatch) -> None:
    examples = serialized(batch)
    fewer = serialized(batch.select(["small", "real"]))
    tfx_bsl = example_coder.RecordBatchToExamplesEncoder().encode(batch.select(["small"]))
    for unlike in ([*examples, *fewer], [*fewer, *examples], [*fewer, b""], [b"", *fewer], [*fewer, b"garbage"]):
        assert decoder.decode(unlike) is None
    assert decoder.decode([]) is None
    assert_same(list(tfx_bsl))
    assert records.decode([*examples, *fewer]) == CPP.DecodeBatch([*examples, *fewer])
    assert decoder.decode(examples, {"small": decoder.FLOAT_LIST}) is None
    assert decoder.decode(examples, {"absent": decoder.FLOAT_LIST}) is None


@pytest.mark.slow
def test_a_changed_byte_is_never_decoded_to_anything_else(batch: pa.RecordBatch) -> None:
    """Whatever byte is damaged, either the result is the C++ decoder's or there is none."""
    random = np.random.default_rng(5)
    examples = serialized(batch.slice(0, 12))
    decoded = 0
    for _ in range(1000):
        row = int(random.integers(len(examples)))
        damaged = bytearray(examples[row])
        damaged[random.integers(len(damaged))] = random.integers(256)
        changed = [*examples[:row], bytes(damaged), *examples[row + 1 :]]
        ours = decoder.decode(changed)
        if ours is not None:
            decoded += 1
            assert ours == CPP.DecodeBatch(changed)
    assert 30 < decoded < 1000


def test_the_error_names_the_file_and_the_feature(batch: pa.RecordBatch, tmp_path: Path) -> None:
    path = tmp_path / "examples.gz"
    records.write(path, serialized(batch))
    schema = schema_pb2.Schema(feature=[schema_pb2.Feature(name="text", type=schema_pb2.INT)])
    with pytest.raises(DataError, match=f'{path}: .*expected int64_list, found bytes_list for feature "text"'):
        list(records.read_batches([path], schema))
