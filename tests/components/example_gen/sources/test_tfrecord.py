"""TFRecord files of tf.Example and tf.SequenceExample to examples."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from penstock.components.example_gen.sources import pieces
from penstock.core.errors import ConfigError, DataError
from penstock.core.examples import records
from tests.sequences import FORMAT, VISITORS, record

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
        ([], "", "the data holds no row"),
        ([example(x=row, y=1) for row in range(50)], "y", "label 'y': every row has the value 1"),
    ],
)
def test_bad_records(generate: Generate, tmp_path: Path, records: list[bytes], label: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        generate(write(tmp_path / "data", "a", records), source="tfrecord", label=label)


@pytest.mark.parametrize("compression", ["GZIP", ""])
def test_writers_leave_empty_shards(generate: Generate, tmp_path: Path, compression: str) -> None:
    folder = write(tmp_path / "data", "a", EXAMPLES, compression)
    expected = generate(folder, source="tfrecord").content()
    write(tmp_path / "data", "0", [], compression)
    write(tmp_path / "data", "b", [], compression)
    assert generate(folder, source="tfrecord", engine="local:2").content() == expected
    (folder / "c").touch()
    assert generate(folder, source="tfrecord").content() == expected
    with pytest.raises(DataError, match=r"(/b: the file is empty: expected TFRecord data|the data holds no row)"):
        generate(folder, json.dumps({"splits": [{"name": "all", "pattern": "b"}]}), source="tfrecord")


INTEGERS = [example(x=row, k=row) for row in range(200)]
FLOATS = [example(x=row, k=row + 0.5) for row in range(50)]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"a": [*INTEGERS, *FLOATS]},
            "a, record 201: feature 'k': expected integers, as in record (1|197), found floats: write the feature with",
        ),
        (
            {"a": [example(x=1), *INTEGERS], "b": [example(x=1), *FLOATS]},
            "b, record 2: feature 'k': expected integers, as in record 2 of .*/data/a, found floats",
        ),
        ({"a": FLOATS, "b": [example(x=row, k=b"1") for row in range(9)]}, "b, record 1: .* expected floats, .* bytes"),
        ({"a": [*FLOATS, b"\x0a\xff", *INTEGERS]}, "a, record 51: expected a serialized tf.Example"),
        ({"a": [b"\x0a\xff", *INTEGERS]}, "a, record 1: expected a serialized tf.Example"),
    ],
)
@pytest.mark.parametrize("batch", [7, 8192])
@pytest.mark.parametrize("smallest", [1, 1 << 20])
def test_features_of_two_kinds(
    generate: Generate,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    files: dict[str, list[bytes]],
    message: str,
    batch: int,
    smallest: int,
) -> None:
    """Within a batch, in two of a file, in two files, and in files that are read by different workers."""
    monkeypatch.setattr(pieces, "_SMALLEST", smallest)
    monkeypatch.setattr(records.read, "__defaults__", (batch,))
    for name, serialized in files.items():
        folder = write(tmp_path / "data", name, serialized)
    with pytest.raises(DataError, match=message) as caught:
        generate(folder, source="tfrecord")
    assert str(tmp_path / "data") in str(caught.value)


def test_an_empty_list_is_of_a_kind_and_no_list_of_none(generate: Generate, tmp_path: Path) -> None:
    empty, absent = tf.train.Example(), tf.train.Example()
    empty.features.feature["k"].float_list.SetInParent()
    absent.features.feature["k"].SetInParent()
    folder = write(tmp_path / "data", "a", [absent.SerializeToString(), *INTEGERS, absent.SerializeToString()])
    assert generate(folder, source="tfrecord").metadata["num_examples"]
    write(folder, "b", [absent.SerializeToString(), empty.SerializeToString()])
    with pytest.raises(DataError, match=r"b, record 2: feature 'k': expected integers, as in record 2 of .*, found f"):
        generate(folder, source="tfrecord")


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


def tfx_split(record: bytes, feature: str = "") -> str:
    """TFX's _PartitionFn, for two parts to train and one to eval."""
    message = tf.train.SequenceExample.FromString(record)
    key = message.context.feature[feature] if feature else message
    bucket = int(hashlib.sha256(key.SerializeToString(deterministic=True)).hexdigest(), 16) % 3
    return "train" if bucket < 2 else "eval"


@pytest.mark.parametrize("feature", ["", "city"])
def test_sequence_examples_are_passed_on_in_tfx_splits(generate: Generate, tmp_path: Path, feature: str) -> None:
    splits = '[{"name": "train", "hash_buckets": 2}, {"name": "eval", "hash_buckets": 1}]'
    folder = write(tmp_path / "data", "a.tfrecord", [*VISITORS, record({"bought": [1], "city": [b"Oslo"]})])
    config = f'{{"split_config": {{"splits": {splits}, "partition_feature_name": "{feature}"}}}}'
    if feature and len({tfx_split(record, feature) for record in VISITORS}) < 2:
        pytest.fail("the cities must not be in one split")
    generated = generate(
        folder, source="tfrecord", payload_format=FORMAT, label="bought", output_config=config, engine="local:2"
    )
    for split in ("train", "eval"):
        assert generated.records(split)
        assert {tfx_split(record, feature) for record in generated.records(split)} == {split}
    assert sorted(generated.records("train") + generated.records("eval"))[1:] == sorted(VISITORS)
    assert generated.metadata["payload_format"] == FORMAT


def test_files_of_another_kind_than_was_said_are_refused(generate: Generate, tmp_path: Path) -> None:
    """Even one among many: its feature_lists would vanish, or it has none and would change the columns."""
    mixed = write(tmp_path / "mixed", "1.tfrecord", EXAMPLES)
    write(mixed, "2.tfrecord", [*VISITORS[:1], *VISITORS])
    with pytest.raises(DataError, match=r"2\.tfrecord, record 1: .* tf\.SequenceExample, .*payload_format"):
        generate(mixed, source="tfrecord")
    with pytest.raises(DataError, match=r"1\.tfrecord: expected tf\.SequenceExamples, .*these are tf\.Examples"):
        generate(mixed, source="tfrecord", payload_format=FORMAT)
    late = write(tmp_path / "late", "a.tfrecord", [*EXAMPLES, VISITORS[0], *EXAMPLES])
    with pytest.raises(DataError, match=f"record {len(EXAMPLES) + 1}: "):
        generate(late, source="tfrecord")
    assert not list(tmp_path.rglob("Split-*"))


def test_a_sequence_example_that_is_none_is_named(generate: Generate, tmp_path: Path) -> None:
    folder = write(tmp_path / "data", "a.tfrecord", [*VISITORS, b"no message", *VISITORS])
    with pytest.raises(DataError, match=r"record 301: expected a serialized tf\.SequenceExample"):
        generate(folder, source="tfrecord", payload_format=FORMAT)
    with pytest.raises(DataError, match=r"label 'pages' does not exist; .*age"):
        generate(write(tmp_path / "whole", "a", VISITORS), source="tfrecord", payload_format=FORMAT, label="pages")


@pytest.mark.parametrize("name", ["FORMAT_PROTO", "FORMAT_TF_SEQUENCE", "7"])
def test_formats_that_are_no_records_of_examples_are_refused(generate: Generate, tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="payload_format: expected FORMAT_TF_EXAMPLE or FORMAT_TF_SEQUENCE_EXAMPLE"):
        generate(write(tmp_path / "data", "a", EXAMPLES), source="tfrecord", payload_format=name)
