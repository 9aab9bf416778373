"""tf.SequenceExamples to test with: visits to a shop, of which the last one bought something or not."""

from pathlib import Path
from typing import Any

import tensorflow as tf
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from penstock.core import artifacts
from penstock.core.examples import records

FORMAT = "FORMAT_TF_SEQUENCE_EXAMPLE"
# Of the features city is not represented: TFX infers a tensor of that name. `bought` has another name as a tensor.
SCHEMA: schema_pb2.Schema = text_format.Parse(
    """
    feature { name: "visitor" type: INT presence { min_fraction: 1 } }
    feature { name: "city" type: BYTES }
    feature { name: "age" type: FLOAT }
    feature { name: "bought" type: INT presence { min_fraction: 1 } shape { dim { size: 1 } } }
    feature {
      name: "##SEQUENCE##" type: STRUCT
      struct_domain { feature { name: "pages" type: BYTES } feature { name: "seconds" type: FLOAT } }
    }
    tensor_representation_group { key: "" value {
      tensor_representation { key: "visitor" value { varlen_sparse_tensor { column_name: "visitor" } } }
      tensor_representation { key: "age" value {
        dense_tensor { column_name: "age" shape { dim { size: 1 } } default_value { float_value: -1 } } } }
      tensor_representation { key: "has_bought" value {
        dense_tensor { column_name: "bought" shape { dim { size: 1 } } } } }
      tensor_representation { key: "page_lists" value {
        ragged_tensor { feature_path { step: "##SEQUENCE##" step: "pages" } } } }
      tensor_representation { key: "seconds" value {
        ragged_tensor { feature_path { step: "##SEQUENCE##" step: "seconds" } } } }
    } }
    """,
    schema_pb2.Schema(),
)


def _feature(values: list[Any]) -> tf.train.Feature:
    if values and isinstance(values[0], int):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    if values and isinstance(values[0], float):
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))


def record(context: dict[str, list[Any]], **lists: list[list[Any]]) -> bytes:
    """Returns a serialized tf.SequenceExample; without lists it has no feature_lists."""
    features = tf.train.Features(feature={name: _feature(values) for name, values in context.items()})
    if not lists:
        return bytes(tf.train.SequenceExample(context=features).SerializeToString())
    feature_lists = {name: tf.train.FeatureList(feature=map(_feature, steps)) for name, steps in lists.items()}
    whole = tf.train.SequenceExample(context=features, feature_lists=tf.train.FeatureLists(feature_list=feature_lists))
    return bytes(whole.SerializeToString())


def visitor(number: int) -> bytes:
    """Returns a visitor of up to four visits, some without an age, some without a page."""
    visits = number % 5
    pages = [[b"home", b"cart", b"help"][: (number + visit) % 4] for visit in range(visits)]
    context = {"visitor": [number], "city": [b"Oslo" if number % 3 else b"Bonn"], "bought": [int(number % 4 == 3)]}
    if number % 7:
        context["age"] = [20.0 + number % 50]
    return record(context, pages=pages, seconds=[[number / 2 + visit] for visit in range(visits)])


VISITORS = [visitor(number) for number in range(300)]


def write(root: Path, **files: int) -> Path:
    """Writes the visitors in files, so many for each split, and the schema beside them; returns the folder."""
    examples, count, start = artifacts.Examples(root), sum(files.values()), 0
    size = -(-len(VISITORS) // count)
    for split, number in files.items():
        for index in range(number):
            records.write(examples.shard(split, index, number), VISITORS[start : start + size])
            start += size
    artifacts.Schema(root).write(SCHEMA)
    return root
