"""Examples with predictions beside their features."""

from collections.abc import Mapping, Sequence

import pyarrow as pa
import tensorflow as tf
from google.protobuf.message import DecodeError

from penstock.core.errors import ConfigError, DataError
from penstock.core.examples import decoder, records
from penstock.core.examples.encoder import varint

_FEATURES = b"\x0a"  # the tag of a tf.Example's field, of which what follows is the length


def extended(examples: Sequence[bytes], columns: Mapping[str, pa.Array]) -> list[bytes]:
    """Returns serialized tf.Examples, or tf.SequenceExamples, with more features: list columns by their names.

    The features that they have stay the same bytes. Raises a ConfigError if one has the name of a column.
    """
    for name in columns:
        _require_absent(name, examples)
    added = records.encode(pa.RecordBatch.from_arrays(list(columns.values()), list(columns)))
    if not decoder.are_examples(examples):  # tf.SequenceExamples, or no field at all
        return [_merged(example, more) for example, more in zip(examples, added, strict=True)]
    result = []
    for example, more in zip(examples, added, strict=True):
        features = example[_begin(example) :] + more[_begin(more) :]
        result.append(_FEATURES + varint(len(features)) + features)
    return result


def _require_absent(name: str, examples: Sequence[bytes]) -> None:
    key = name.encode()
    for example in examples:
        if key in example and name in _parsed(example).context.feature:
            raise ConfigError(
                f"output_example_spec: the examples have a feature {name!r} already: expected another output_column"
            )


def _merged(example: bytes, more: bytes) -> bytes:
    message = _parsed(example)
    message.MergeFromString(more)
    serialized: bytes = message.SerializeToString(deterministic=True)
    return serialized


def _parsed(example: bytes) -> tf.train.SequenceExample:
    """On the wire a tf.Example is a tf.SequenceExample without feature_lists."""
    try:
        return tf.train.SequenceExample.FromString(example)
    except DecodeError as error:
        raise DataError(f"expected serialized tf.Examples: {error}") from None


def _begin(example: bytes) -> int:
    """Returns where the content of an Example's only field begins."""
    position = 1
    while example[position] > 127:
        position += 1
    return position + 1
