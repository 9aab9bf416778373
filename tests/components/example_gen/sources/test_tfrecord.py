"""TFRecord files of tf.Example to examples."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from penstock.components.example_gen.sources import pieces
from penstock.core.errors import DataError

Generate = Callable[..., Any]


def example(**values: Any) -> bytes:
    features = tf.train.Features()
    for name, value in values.items():
        feature = features.feature[name]
        kind = {int: feature.int64_list, float: feature.float_list, bytes: feature.bytes_list}[type(value)]
        kind.value.append(value)
    return tf.train.Example(features=features).SerializeToString()


def write(folder: Path, name: str, serialized: list[bytes], compression: str = "GZIP") -> Path:
    folder.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(folder / name), compression) as writer:
        for record in serialized:
            writer.write(record)
    return folder


EXAMPLES = [example(x=row, y=[b"a", b"b"][row % 2], **({"rare": 1.5} if row % 7 == 0 else {})) for row in range(300)]


@pytest.mark.parametrize("compression", ["GZIP", ""])
def test_records_are_passed_on_unchanged(generate: Generate, tmp_path: Path, compression: str) -> None:
    folder = write(tmp_path / "data", "a.tfrecord", EXAMPLES, compression)
    generated = generate(folder, source="tfrecord", label="y")
    assert sorted(generated.records("train") + generated.records("eval")) == sorted(EXAMPLES)
    assert sum(json.loads(generated.metadata["num_examples"]).values()) == 300


def test_examples_of_examples_have_the_same_splits(generate: Generate, taxi_head: Callable[[int], Path]) -> None:
    """The split is that of the row, whatever file it came from: a hash of its canonical form."""
    first = generate(taxi_head(1000))
    second = generate(
        first.examples.root, '{"splits": [{"name": "all", "pattern": "Split-*/*.gz"}]}', source="tfrecord"
    )
    for split in ("train", "eval"):
        assert sorted(second.records(split)) == sorted(first.records(split))


def test_the_order_of_features_does_not_change_the_split(generate: Generate, tmp_path: Path) -> None:
    def in_order(serialized: bytes, reverse: bool) -> bytes:
        features = tf.train.Example.FromString(serialized).features.feature
        parts = [
            tf.train.Features(feature={name: features[name]}).SerializeToString()
            for name in sorted(features, reverse=reverse)
        ]
        content = b"".join(parts)
        assert len(content) < 128
        return bytes([0x0A, len(content)]) + content

    one, two = ([in_order(serialized, reverse) for serialized in EXAMPLES] for reverse in (False, True))
    assert not set(one) & set(two)
    first = generate(write(tmp_path / "one", "a", one), source="tfrecord").rows("eval")
    assert generate(write(tmp_path / "two", "a", two), source="tfrecord").rows("eval") == first


def test_the_bytes_do_not_depend_on_the_workers(
    generate: Generate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "_SMALLEST", 1)
    for index in range(5):
        folder = write(tmp_path / "data", f"{index}.gz", EXAMPLES[index * 60 : index * 60 + 60])
    one = generate(folder, source="tfrecord").content()
    assert len(one) == 10
    assert generate(folder, source="tfrecord", engine="local:2").content() == one


@pytest.mark.parametrize(
    ("records", "label", "message"),
    [
        ([*EXAMPLES, b"\x0a\xff"], "", "a, record 301: expected a serialized tf.Example"),
        (EXAMPLES, "why", r"examples: label 'why' does not exist; the features are|label 'why' does not exist"),
        ([example(x=1, y=2)] * 5, "", "split '(train|eval)' got none of the 5 rows"),
        ([], "", "the files hold no row"),
        ([example(x=row, y=1) for row in range(50)], "y", "label 'y': every row has the value 1"),
    ],
)
def test_bad_records(generate: Generate, tmp_path: Path, records: list[bytes], label: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        generate(write(tmp_path / "data", "a", records), source="tfrecord", label=label)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: content[:-5], "a: the file ends in the middle of record 300"),
        (lambda content: content[:500] + b"\xff" + content[501:], "a: record [0-9]+ is damaged"),
        (lambda content: b"", "a: the file is empty"),
        (lambda content: b"x,y\n1,2,3,4,5,6\n", "a: record 1 is damaged"),
    ],
)
def test_damaged_files(generate: Generate, tmp_path: Path, damage: Callable[[bytes], bytes], message: str) -> None:
    path = write(tmp_path / "data", "a", EXAMPLES, "") / "a"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=message):
        generate(path.parent, source="tfrecord")


def test_a_gzip_file_that_was_cut_off(generate: Generate, tmp_path: Path) -> None:
    path = write(tmp_path / "data", "a", EXAMPLES) / "a"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="a: the gzip data ends early"):
        generate(path.parent, source="tfrecord")
