"""The reader against TFX's own on the same files, and what it promises beyond that."""

import glob
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx_bsl.public.tfxio import RecordBatchesOptions, TensorFlowDatasetOptions
from tfx_bsl.tfxio.tf_example_record import TFExampleRecord
from tfx_bsl.tfxio.tf_sequence_example_record import TFSequenceExampleRecord

from penstock.core.artifacts import Examples
from penstock.core.errors import DataError, SchemaError
from penstock.core.examples import records
from penstock.trainer.data import reader
from tests import sequences


def oracle(pattern: str, options: TensorFlowDatasetOptions, schema: Any) -> tf.data.Dataset:
    """What TFX's data_accessor returns (tfx/components/util/tfxio_utils.py)."""
    return TFExampleRecord([pattern], schema=schema, telemetry_descriptors=["test"]).TensorFlowDataset(options)


def one_pass(**options: Any) -> TensorFlowDatasetOptions:
    return TensorFlowDatasetOptions(**{"batch_size": 32, "num_epochs": 1, "shuffle": False, **options})


def values(element: dict[str, Any]) -> dict[str, list[Any]]:
    """An element as plain lists, which compare; sparse tensors as (indices, values, shape)."""

    def plain(tensor: Any) -> Any:
        if isinstance(tensor, tf.SparseTensor):
            return tensor.indices.numpy().tolist(), tensor.values.numpy().tolist(), tensor.dense_shape.numpy().tolist()
        return tensor.to_list() if isinstance(tensor, tf.RaggedTensor) else tensor.numpy().tolist()

    return {name: plain(tensor) for name, tensor in element.items()}


def rows(dataset: tf.data.Dataset) -> list[int]:
    return [int(row) for element in dataset for row in np.ravel(element["row"])]


@pytest.mark.parametrize(
    "options",
    [
        TensorFlowDatasetOptions(batch_size=20),
        TensorFlowDatasetOptions(batch_size=20, label_key="is_gentoo"),
        TensorFlowDatasetOptions(batch_size=20, label_key="sex", num_epochs=3),
        TensorFlowDatasetOptions(batch_size=20, num_epochs=1, drop_final_batch=True),
    ],
)
def test_elements_have_tfx_structure(penguins: Any, options: TensorFlowDatasetOptions) -> None:
    ours = reader.tf_dataset([penguins.pattern], options, penguins.schema)
    assert ours.element_spec == oracle(penguins.pattern, options, penguins.schema).element_spec


@pytest.mark.parametrize("file", [0, 1, 2])
def test_elements_have_tfx_values(penguins: Any, file: int) -> None:
    pattern = str(penguins.files[file])  # of one file TFX keeps the order
    ours = reader.tf_dataset([pattern], one_pass(), penguins.schema)
    theirs = oracle(pattern, one_pass(), penguins.schema)
    compared = [values(one) == values(other) for one, other in zip(ours, theirs, strict=True)]
    assert compared == [True] * -(-[150, 150, 44][file] // 32)


def test_tensor_representations_are_honoured(tmp_path: Path) -> None:
    """Ragged, sparse made of several features, a default value, a tensor renamed: as TFX reads them."""
    columns = {
        "words": pa.array([[b"a", b"b"], [], [b"c"]], pa.large_list(pa.binary())),
        "index": pa.array([[0, 3], [1], []], pa.large_list(pa.int64())),
        "value": pa.array([[1.0, 2.0], [3.0], []], pa.large_list(pa.float32())),
        "count": pa.array([[7], None, [9]], pa.large_list(pa.int64())),
    }
    path = tmp_path / "data.gz"
    records.write(path, records.encode(pa.RecordBatch.from_arrays(list(columns.values()), list(columns))))
    schema = text_format.Parse(
        """
        feature { name: "words" type: BYTES } feature { name: "index" type: INT }
        feature { name: "value" type: FLOAT } feature { name: "count" type: INT }
        tensor_representation_group { key: "" value {
          tensor_representation { key: "words" value { ragged_tensor { feature_path { step: "words" } } } }
          tensor_representation { key: "weights" value { sparse_tensor {
            index_column_names: "index" value_column_name: "value" dense_shape { dim { size: 5 } } } } }
          tensor_representation { key: "number" value { dense_tensor {
            column_name: "count" default_value { int_value: -1 } } } } } }
        """,
        schema_pb2.Schema(),
    )
    options = one_pass(batch_size=3)
    (ours,), (theirs,) = reader.tf_dataset([str(path)], options, schema), oracle(str(path), options, schema)
    assert values(ours) == values(theirs)
    assert ours["number"].numpy().tolist() == [7, -1, 9]
    assert ours["words"].to_list() == [[b"a", b"b"], [], [b"c"]]
    assert ours["weights"].dense_shape.numpy().tolist() == [3, 5]
    assert (
        reader.tf_dataset([str(path)], options, schema).element_spec == oracle(str(path), options, schema).element_spec
    )


@pytest.mark.parametrize("label", [None, "page_lists"])
def test_sequence_examples_are_parsed_as_tfx_does(tmp_path: Path, label: str | None) -> None:
    """By the schema's representations alone, as in TFX; which finds no tensor that is not named as its feature."""
    pattern = str(sequences.write(tmp_path, train=1) / "Split-train" / "*")
    for_tfx = schema_pb2.Schema()
    for_tfx.CopyFrom(sequences.SCHEMA)
    named = for_tfx.tensor_representation_group[""].tensor_representation
    named["bought"].CopyFrom(named["has_bought"])
    del named["has_bought"]
    options = one_pass(label_key=label)
    read = reader.data_accessor(sequences.FORMAT).tf_dataset_factory
    ours = [as_one(element, label) for element in read([pattern], options, sequences.SCHEMA)]
    their_reader = TFSequenceExampleRecord([pattern], ["test"], schema=for_tfx)
    theirs = [as_one(element, None) for element in their_reader.TensorFlowDataset(one_pass())]
    assert len(ours) == 10
    assert [element | {"bought": element.pop("has_bought")} for element in ours] == theirs
    assert set(theirs[0]) == {"visitor", "age", "bought", "page_lists", "seconds"}


def as_one(element: Any, label: str | None) -> dict[str, Any]:
    features, labels = (element, {}) if label is None else (element[0], {label: element[1]})
    assert label not in features
    return values(features | labels)


def test_sequence_examples_without_representations_have_all_tensors(tmp_path: Path) -> None:
    """TFX refuses such a schema, which is what TFDV infers."""
    pattern = str(sequences.write(tmp_path, train=1) / "Split-train" / "*")
    schema = schema_pb2.Schema()
    schema.CopyFrom(sequences.SCHEMA)
    schema.ClearField("tensor_representation_group")
    accessor = reader.data_accessor(sequences.FORMAT)
    element = next(iter(accessor.tf_dataset_factory([pattern], one_pass(batch_size=4), schema)))
    assert element["bought"].numpy().tolist() == [[0], [0], [0], [1]]
    assert element["##SEQUENCE##.pages"].to_list()[3] == [[b"home", b"cart", b"help"], [], [b"home"]]
    batch = next(accessor.record_batch_factory([pattern], RecordBatchesOptions(batch_size=4, num_epochs=1), None))
    assert {"bought", "##SEQUENCE##"} < set(batch.schema.names)


def test_without_shuffle_the_order_is_the_files(penguins: Any) -> None:
    dataset = reader.tf_dataset([penguins.pattern], one_pass(reader_num_threads=4), penguins.schema)
    assert rows(dataset) == list(range(344))


def test_shuffle_gives_every_row_once_a_pass_in_another_order_each_pass(penguins: Any) -> None:
    options = TensorFlowDatasetOptions(batch_size=43, num_epochs=2, shuffle_seed=3)
    seen = rows(reader.tf_dataset([penguins.pattern], options, penguins.schema))
    first, second = seen[:344], seen[344:]
    assert sorted(first) == sorted(second) == list(range(344))
    assert first != second
    assert first != list(range(344))
    assert max(first[:43]) >= 150  # the files are mixed, not read one by one


def test_a_seed_repeats_the_order(penguins: Any) -> None:
    def order(seed: int | None) -> list[int]:
        return rows(reader.tf_dataset([penguins.pattern], one_pass(shuffle=True, shuffle_seed=seed), penguins.schema))

    assert order(7) == order(7) != order(8)
    tf.random.set_seed(5)
    first = order(None)
    tf.random.set_seed(5)
    assert order(None) == first


def test_passes_and_final_batches(penguins: Any) -> None:
    def sizes(**options: Any) -> list[int]:
        dataset = reader.tf_dataset([penguins.pattern], one_pass(batch_size=100, **options), penguins.schema)
        return [len(element["row"]) for element in dataset.take(9)]

    assert sizes() == [100, 100, 100, 44]
    assert sizes(drop_final_batch=True) == [100, 100, 100]
    assert sizes(num_epochs=2) == [100] * 6 + [88]  # passes follow one another within a batch, as in TFX
    assert sizes(num_epochs=None) == [100] * 9


def test_plain_tfrecord_files_and_lists_of_patterns(penguins: Any, tmp_path: Path) -> None:
    with tf.io.TFRecordWriter(str(tmp_path / "plain")) as writer:
        for record in itertools.chain(*records.read(penguins.files[2])):
            writer.write(record)
    patterns = [str(tmp_path / "pl*"), str(penguins.files[0])]
    assert sorted(rows(reader.tf_dataset(patterns, one_pass(), penguins.schema))) == [*range(150), *range(300, 344)]


def test_record_batches_are_the_records(penguins: Any) -> None:
    options = RecordBatchesOptions(batch_size=100, num_epochs=1, shuffle=False)
    batches = list(reader.record_batches([penguins.pattern], options, penguins.schema))
    assert [batch.num_rows for batch in batches] == [100, 100, 100, 44]
    assert [row for batch in batches for (row,) in batch.column("row").to_pylist()] == list(range(344))
    theirs = TFExampleRecord([str(penguins.files[0])], schema=penguins.schema).RecordBatches(options)
    assert next(iter(theirs)).equals(batches[0])
    endless = reader.record_batches([penguins.pattern], RecordBatchesOptions(batch_size=200), None)
    assert [next(endless).num_rows for _ in range(4)] == [200] * 4


@pytest.mark.parametrize("read", [reader.tf_dataset, reader.record_batches])
def test_no_file_is_an_error(penguins: Any, tmp_path: Path, read: Callable[..., Any]) -> None:
    with pytest.raises(DataError, match=r"no file matches .*nothing-here"):
        read([str(tmp_path / "nothing-here" / "*")], one_pass(), penguins.schema)
    with pytest.raises(DataError, match="no file matches an empty list"):
        read([], one_pass(), penguins.schema)


def test_a_wrong_label_names_the_nearest(penguins: Any) -> None:
    with pytest.raises(DataError, match=r"no feature 'is_gento'; did you mean 'is_gentoo'\?"):
        reader.tf_dataset([penguins.pattern], one_pass(label_key="is_gento"), penguins.schema)
    with pytest.raises(DataError, match=r"no feature 'xyz'; it has .*body_mass_g, .*year"):
        reader.tf_dataset([penguins.pattern], one_pass(label_key="xyz"), penguins.schema)


def test_a_schema_is_needed_and_must_fit(penguins: Any) -> None:
    with pytest.raises(SchemaError, match="needs a schema"):
        reader.tf_dataset([penguins.pattern], one_pass(), None)
    schema = schema_pb2.Schema()
    schema.CopyFrom(penguins.schema)
    tensors = schema.tensor_representation_group[""].tensor_representation
    tensors["x"].dense_tensor.column_name = "row"
    tensors["y"].dense_tensor.column_name = "row"
    with pytest.raises(SchemaError, match=r"'x' and 'y' are both 'row'|'y' and 'x' are both 'row'"):
        reader.tf_dataset([penguins.pattern], one_pass(), schema)
    del tensors["y"]
    tensors["x"].dense_tensor.column_name = "absent"
    with pytest.raises(SchemaError, match=r"tensor 'x' cannot be parsed from tf\.Examples: .*absent"):
        reader.tf_dataset([penguins.pattern], one_pass(), schema)


@pytest.mark.parametrize("name", ["my [1]", "a*b", "what?", "{SPAN}", "[!x] [^y]", "plain"])
def test_a_folder_whose_name_is_a_pattern(tmp_path: Path, name: str) -> None:
    """TensorFlow's glob finds the files below it, and none of a folder that the name would match."""
    for folder in (name, "my 1", "aab", "whatx", "SPAN"):
        file = Examples(tmp_path / folder).shard("train", 0, 1)
        file.parent.mkdir(parents=True)
        file.touch()
    examples = Examples(tmp_path / name)
    files = [str(path) for path in examples.files("train")]
    assert reader.matching_files([examples.pattern("train")]) == files
    assert tf.data.Dataset.list_files(examples.pattern("train")).cardinality() == 1
    assert sorted(glob.glob(examples.pattern("train"))) == files
