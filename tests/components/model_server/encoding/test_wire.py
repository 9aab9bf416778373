"""The bytes are protobuf's own, for every number of values and at the edges of every length."""

import pytest
import tensorflow as tf

from penstock.components.model_server.encoding import wire

INTEGERS = [0, 1, -1, 127, 128, 16383, 16384, 2**31, 2**63 - 1, -(2**63)]
LENGTHS = [0, 1, 2, 31, 32, 63, 64, 127, 128, 5000, 20_000]


def read(entry: bytes) -> tf.train.Feature:
    (feature,) = tf.train.Example.FromString(wire.example([entry])).features.feature.values()
    return feature


@pytest.mark.parametrize("name", ["x", "a" * 126, "a" * 130, "Größe"])
def test_entries_are_those_of_protobuf(name: str) -> None:
    for value in INTEGERS:
        assert read(wire.int64_entry(name)([value])).int64_list.value == [value]
    for length in LENGTHS:
        integers = [INTEGERS[index % len(INTEGERS)] for index in range(length)]
        assert read(wire.int64_entry(name)(integers)).int64_list.value == integers
        floats = [index / 4 for index in range(length)]
        assert read(wire.float_entry(name)(floats)).float_list.value == floats
        texts = [b"x" * index for index in range(min(length, 300))] + [b"y" * length]
        assert read(wire.bytes_entry(name)(texts)).bytes_list.value == texts


def test_an_example_has_all_its_entries() -> None:
    written = wire.example([wire.int64_entry("a")([1]), wire.bytes_entry("b")([b"x"]), wire.float_entry("c")([0.5])])
    expected = tf.train.Example()
    expected.features.feature["a"].int64_list.value.append(1)
    expected.features.feature["b"].bytes_list.value.append(b"x")
    expected.features.feature["c"].float_list.value.append(0.5)
    assert tf.train.Example.FromString(written) == expected
    assert not tf.train.Example.FromString(wire.example([])).features.feature
