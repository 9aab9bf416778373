"""tf.SequenceExamples: how they are told from tf.Examples, and their canonical form.

A tf.SequenceExample has a field more than a tf.Example, its feature_lists. All else is the same on the wire, so a
reader of tf.Examples takes the one for the other, and drops the feature_lists without a word.
"""

from collections.abc import Iterable, Sequence

from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory, text_format

from penstock.core.examples import decoder

COLUMN = "##SEQUENCE##"  # tfx_bsl's name of the column of structs that holds the feature_lists

# tensorflow/core/example/feature.proto and example.proto, which are otherwise only to be had with all of TensorFlow.
_FILE = """
name: "sequence_example.proto" syntax: "proto3"
message_type { name: "BytesList" field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_BYTES } }
message_type { name: "FloatList" field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_FLOAT } }
message_type { name: "Int64List" field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_INT64 } }
message_type {
  name: "Feature"
  field { name: "bytes_list" number: 1 type: TYPE_MESSAGE type_name: ".BytesList" oneof_index: 0 }
  field { name: "float_list" number: 2 type: TYPE_MESSAGE type_name: ".FloatList" oneof_index: 0 }
  field { name: "int64_list" number: 3 type: TYPE_MESSAGE type_name: ".Int64List" oneof_index: 0 }
  oneof_decl { name: "kind" }
}
message_type {
  name: "Features"
  field { name: "feature" number: 1 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: ".Features.FeatureEntry" }
  nested_type {
    name: "FeatureEntry" options { map_entry: true }
    field { name: "key" number: 1 type: TYPE_STRING }
    field { name: "value" number: 2 type: TYPE_MESSAGE type_name: ".Feature" }
  }
}
message_type {
  name: "FeatureList"
  field { name: "feature" number: 1 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: ".Feature" }
}
message_type {
  name: "FeatureLists"
  field {
    name: "feature_list" number: 1 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: ".FeatureLists.FeatureListEntry"
  }
  nested_type {
    name: "FeatureListEntry" options { map_entry: true }
    field { name: "key" number: 1 type: TYPE_STRING }
    field { name: "value" number: 2 type: TYPE_MESSAGE type_name: ".FeatureList" }
  }
}
message_type {
  name: "SequenceExample"
  field { name: "context" number: 1 type: TYPE_MESSAGE type_name: ".Features" }
  field { name: "feature_lists" number: 2 type: TYPE_MESSAGE type_name: ".FeatureLists" }
}
"""


def _message_class() -> type[message.Message]:
    pool = descriptor_pool.DescriptorPool()  # the default one belongs to TensorFlow, whose messages have these names
    pool.AddSerializedFile(text_format.Parse(_FILE, descriptor_pb2.FileDescriptorProto()).SerializeToString())
    made: type[message.Message] = message_factory.GetMessageClass(pool.FindMessageTypeByName("SequenceExample"))
    return made


_SequenceExample = _message_class()


def canonical(serialized: Iterable[bytes]) -> list[bytes]:
    """Returns tf.SequenceExamples in protobuf's deterministic form, by which TFX chooses their splits.

    Raises a ValueError if one of the records does not parse.
    """
    try:
        return [_SequenceExample.FromString(record).SerializeToString(deterministic=True) for record in serialized]
    except message.DecodeError as error:
        raise ValueError(str(error)) from None


def first_with_feature_lists(serialized: Sequence[bytes]) -> int | None:
    """Returns the index of the first record that has feature_lists, and so is a tf.SequenceExample; None without one.

    Records that do not parse have none.
    """
    if decoder.are_examples(serialized):  # without Python code for each record
        return None
    return next((index for index, record in enumerate(serialized) if _has_feature_lists(record)), None)


def _has_feature_lists(record: bytes) -> bool:
    try:
        return bool(_SequenceExample.FromString(record).HasField("feature_lists"))
    except message.DecodeError:
        return False
