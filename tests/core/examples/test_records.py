"""TFRecord files and record batches, against TensorFlow's own reader and writer."""

import gzip
from pathlib import Path

import pyarrow as pa
import pytest
import tensorflow as tf

from penstock.core.errors import DataError
from penstock.core.examples import records

BATCH = pa.record_batch(
    {
        "age": pa.array([[1], None, [2, 3]], pa.list_(pa.int64())),
        "name": pa.array([[b"a"], [b"\xff\x00"], []], pa.list_(pa.large_binary())),
        "fare": pa.array([[0.5], [1.5], None], pa.list_(pa.float32())),
    }
)


def test_tensorflow_reads_what_is_written(tmp_path: Path) -> None:
    path = tmp_path / "data_tfrecord-00000-of-00001.gz"
    examples = records.encode(BATCH)
    records.write(path, examples)
    assert list(tf.data.TFRecordDataset(str(path), "GZIP").as_numpy_iterator()) == examples
    first = tf.train.Example.FromString(examples[0])
    assert first.features.feature["age"].int64_list.value == [1]
    missing = tf.train.Example.FromString(examples[1]).features.feature["age"]
    assert missing.WhichOneof("kind") is None


@pytest.mark.parametrize("compression", ["GZIP", ""])
def test_what_tensorflow_writes_is_read(tmp_path: Path, compression: str) -> None:
    path = str(tmp_path / "records")
    expected = [bytes([number % 256]) * (number * 37) for number in range(500)]
    with tf.io.TFRecordWriter(path, compression) as writer:
        for record in expected:
            writer.write(record)
    batches = list(records.read(Path(path), batch_size=64))
    assert [len(batch) for batch in batches] == [64] * 7 + [52]
    assert [record for batch in batches for record in batch] == expected


def test_a_batch_survives_the_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "data.gz"
    records.write(path, records.encode(BATCH))
    (batch,) = records.read_batches([path])
    assert batch.schema.names == ["age", "fare", "name"]
    assert batch.column("age").to_pylist() == [[1], None, [2, 3]]
    assert batch.column("name").to_pylist()[1] == [b"\xff\x00"]


def test_the_same_records_are_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one.gz", "two.gz"):
        records.write(tmp_path / name, (bytes([number % 7]) * 99 for number in range(40_000)))
    assert (tmp_path / "one.gz").read_bytes() == (tmp_path / "two.gz").read_bytes()


def test_several_gzip_members_are_one_file(tmp_path: Path) -> None:
    records.write(tmp_path / "one.gz", [b"a"])
    records.write(tmp_path / "two.gz", [b"b"])
    both = tmp_path / "both.gz"
    both.write_bytes((tmp_path / "one.gz").read_bytes() + (tmp_path / "two.gz").read_bytes())
    assert list(records.read(both)) == [[b"a", b"b"]]


def test_a_file_that_was_cut_off_is_named(tmp_path: Path) -> None:
    path = tmp_path / "data.gz"
    records.write(path, [b"record" * 100] * 1000)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"data\.gz: the gzip data ends early"):
        list(records.read(path))


def test_what_comes_before_the_damage_is_read_first(tmp_path: Path) -> None:
    path = tmp_path / "records"
    written = [bytes([number]) * 100 for number in range(10)]
    records.write(path, written)
    path.write_bytes(gzip.decompress(path.read_bytes())[:-50])
    batches = records.read(path, batch_size=4)
    assert [next(batches), next(batches), next(batches)] == [written[:4], written[4:8], written[8:9]]
    with pytest.raises(DataError, match="the file ends in the middle of record 10"):
        next(batches)


def test_a_plain_file_that_ends_in_a_record_is_named(tmp_path: Path) -> None:
    path = tmp_path / "data"
    records.write(tmp_path / "data.gz", [b"one", b"two"])
    path.write_bytes(gzip.decompress((tmp_path / "data.gz").read_bytes())[:-3])
    with pytest.raises(DataError, match="ends in the middle of record 2"):
        list(records.read(path))


@pytest.mark.parametrize(
    ("position", "message"), [(0, "record 1 is damaged .*, or this is no TFRecord file"), (13, "record 1 is damaged")]
)
def test_a_flipped_bit_is_found(tmp_path: Path, position: int, message: str) -> None:
    records.write(tmp_path / "data.gz", [b"one", b"two"])
    content = bytearray(gzip.decompress((tmp_path / "data.gz").read_bytes()))
    content[position] ^= 1
    (tmp_path / "data").write_bytes(content)
    with pytest.raises(DataError, match=message):
        list(records.read(tmp_path / "data"))


def test_records_that_are_no_examples_are_named(tmp_path: Path) -> None:
    records.write(tmp_path / "data.gz", [b"\xff\xff not an example"])
    with pytest.raises(DataError, match=r"data\.gz: expected serialized tf\.Examples"):
        list(records.read_batches([tmp_path / "data.gz"]))


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    def endless() -> object:
        yield b"one"
        raise RuntimeError("source failed")

    with pytest.raises(RuntimeError, match="source failed"):
        records.write(tmp_path / "data.gz", endless())  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_a_megabyte_of_gzip_may_be_a_gigabyte(tmp_path: Path) -> None:
    """It is given in pieces, however well it was compressed."""
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(bytes(100 << 20), compresslevel=1))
    assert path.stat().st_size < 1 << 20
    sizes = [len(part) for part in records.decompressed(path)]
    assert (sum(sizes), max(sizes)) == (100 << 20, 16 << 20)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"bomb.gz: the gzip data ends early"):
        list(records.decompressed(path))


def test_a_record_is_put_together_of_many_parts(tmp_path: Path) -> None:
    path, long = tmp_path / "long.gz", bytes(range(256)) * (40 << 12)
    records.write(path, [b"first", long, b"", b"last"])
    assert [record for batch in records.read(path) for record in batch] == [b"first", long, b"", b"last"]


def test_no_record_has_two_gigabytes(tmp_path: Path) -> None:
    """A length of which the checksum is right, but after which the file could be read for ever."""
    path = tmp_path / "endless"
    path.write_bytes(records._Headers()[1 << 40] + bytes(1000))
    with pytest.raises(DataError, match="endless: record 1 has 1,099,511,627,776 bytes: expected less than 2 GiB"):
        list(records.read(path))
