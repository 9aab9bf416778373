"""tf.SequenceExamples against TensorFlow's messages and tfx_bsl's decoder, and told from tf.Examples."""

from pathlib import Path

import pytest
import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx_bsl.coders.sequence_example_coder import SequenceExamplesToRecordBatchDecoder

from penstock.core.errors import DataError, SchemaError
from penstock.core.examples import records, sequences
from tests.sequences import FORMAT, SCHEMA, VISITORS, record

EXAMPLES = [tf.train.Example(features=tf.train.SequenceExample.FromString(one).context) for one in VISITORS]
PLAIN = [example.SerializeToString() for example in EXAMPLES]
ODD = [
    b"",
    record({}),
    record({"unset": []}, none=[], unset=[[], []], numbers=[[1, -1], [2**62]], texts=[[b"\xff", b""]]),
    tf.train.SequenceExample(feature_lists=tf.train.FeatureLists()).SerializeToString(),
]


def test_the_canonical_form_is_tensorflows() -> None:
    serialized = [*VISITORS, *ODD]
    expected = [tf.train.SequenceExample.FromString(one).SerializeToString(deterministic=True) for one in serialized]
    assert sequences.canonical(serialized) == expected
    with pytest.raises(ValueError, match="pars"):
        sequences.canonical([*VISITORS, b"no message"])


def test_feature_lists_tell_the_one_from_the_other() -> None:
    assert sequences.first_with_feature_lists(PLAIN) is None
    assert sequences.first_with_feature_lists([]) is None
    assert sequences.first_with_feature_lists(VISITORS) == 0
    assert sequences.first_with_feature_lists([*PLAIN, VISITORS[7], PLAIN[0]]) == len(PLAIN)
    assert sequences.first_with_feature_lists([b"no message", *PLAIN, b"", ODD[3]]) == len(PLAIN) + 2


@pytest.mark.parametrize("schema", [None, SCHEMA], ids=["without a schema", "with a schema"])
def test_batches_are_tfx_bsls(schema: object) -> None:
    decoder = SequenceExamplesToRecordBatchDecoder("##SEQUENCE##", *([SCHEMA.SerializeToString()] if schema else []))
    ours = records.decode([*VISITORS, b""], SCHEMA if schema else None, FORMAT)
    assert ours.equals(decoder.DecodeBatch([*VISITORS, b""]))
    assert ours.num_rows == 301
    assert ours.column("##SEQUENCE##")[3].as_py() == {
        "pages": [[b"home", b"cart", b"help"], [], [b"home"]], "seconds": [[1.5], [2.5], [3.5]],
    }  # fmt: skip


def test_a_reader_of_tf_examples_refuses_feature_lists(tmp_path: Path) -> None:
    """It would drop them: on the wire all else is a tf.Example."""
    flat = schema_pb2.Schema(feature=SCHEMA.feature[:2])
    for schema in (None, flat):
        with pytest.raises(records.HasFeatureLists) as refused:
            records.decode([*PLAIN, *VISITORS], schema)
        assert refused.value.index == len(PLAIN)
    with pytest.raises(SchemaError, match="'##SEQUENCE##' is a struct"):
        records.decode(PLAIN, SCHEMA)
    records.write(tmp_path / "data.gz", [*PLAIN, VISITORS[0]])
    with pytest.raises(DataError, match=r"data\.gz: expected serialized tf\.Examples: .*payload_format"):
        list(records.read_batches([tmp_path / "data.gz"]))
