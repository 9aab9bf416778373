"""tf.SequenceExamples: transformed as TFT does on Beam, and as TFX gives them to modules that parse them themselves."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
import tensorflow_data_validation as tfdv
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from tensorflow_data_validation.statistics import stats_impl
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2
from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder, RecordBatchToExamplesEncoder
from tfx_bsl.tfxio.tf_sequence_example_record import TFSequenceExampleRecord

from penstock.core import artifacts, user_modules
from penstock.core.errors import DataError, ModuleError, SchemaError
from penstock.core.examples import records
from tests import sequences

NATIVE = """
def preprocessing_fn(inputs):
    pages = tft.compute_and_apply_vocabulary(inputs["page_lists"], vocab_filename="pages")
    return {
        "pages": pages,
        "mean": tft.scale_to_z_score(inputs["seconds"].to_sparse()),
        "age": tft.scale_to_0_1(inputs["age"]),
        "visits": inputs["page_lists"].row_lengths()[:, tf.newaxis],
        "city": tft.compute_and_apply_vocabulary(inputs["city"]),
        "label": inputs["has_bought"],
    }
"""
# As TFX's users write it: of one record at a time.
RAW = """
def preprocessing_fn(inputs):
    context, lists, _ = tf.io.parse_sequence_example(
        inputs["raw_example"], {"bought": tf.io.FixedLenFeature([1], tf.int64)},
        {"seconds": tf.io.FixedLenSequenceFeature([], tf.float32)},
    )
    total = tf.reduce_sum(lists["seconds"], axis=1, keepdims=True)
    batch = tf.fill([tf.shape(total)[0], 1], tf.shape(total)[0])
    return {"label": context["bought"], "total": tft.scale_to_0_1(total), "batch": tf.cast(batch, tf.int64)}
"""


@pytest.fixture(scope="module")
def visitors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sequences.write(tmp_path_factory.mktemp("visitors"), train=2, eval=1)


def on_beam(function: Any, files: list[Path], folder: Path) -> tuple[list[dict[str, Any]], tft.TFTransformOutput]:
    """What TFX's Transform does: reads natively, analyzes, transforms, encodes."""
    reader = TFSequenceExampleRecord([str(path) for path in files], ["test"], schema=sequences.SCHEMA)
    with tft_beam.Context(temp_dir=str(folder / "tmp")), beam.Pipeline(runner=FnApiRunner()) as pipeline:
        data = (pipeline | reader.BeamSource(), reader.TensorAdapterConfig())
        (transformed, metadata), transform_fn = data | tft_beam.AnalyzeAndTransformDataset(
            function, output_record_batches=True
        )
        transform_fn | tft_beam.WriteTransformFn(str(folder))
        encoder = RecordBatchToExamplesEncoder(metadata.schema)
        encoded = transformed | beam.FlatMapTuple(lambda batch, _: encoder.encode(batch))
        encoded | beam.io.WriteToTFRecord(str(folder / "data"), file_name_suffix=".gz", num_shards=1)
    (path,) = folder.glob("data*")
    return rows([record for batch in records.read(path) for record in batch]), tft.TFTransformOutput(str(folder))


def rows(serialized: list[bytes]) -> list[dict[str, Any]]:
    batch = ExamplesToRecordBatchDecoder().DecodeBatch(serialized)
    return sorted(batch.select(sorted(batch.schema.names)).to_pylist(), key=repr)


@pytest.mark.slow
def test_the_tensors_of_the_schema_are_transformed_as_on_beam(
    visitors: Path, transform: Callable[..., Any], module: Callable[[str], str], tmp_path: Path
) -> None:
    path = module(NATIVE)
    run = transform(
        "ours", examples=str(visitors), schema=str(visitors), module_file=path, payload_format=sequences.FORMAT
    )
    function = user_modules.find(path, "", "preprocessing_fn")
    theirs, output = on_beam(function, artifacts.Examples(visitors).files("train"), tmp_path / "theirs")
    assert rows(run.rows("train")) == theirs
    assert len(run.rows("train")) + len(run.rows("eval")) == 300
    ours = tft.TFTransformOutput(str(run.transform_graph))
    assert ours.vocabulary_by_name("pages") == output.vocabulary_by_name("pages")
    assert ours.transformed_metadata.schema == output.transformed_metadata.schema
    assert run.result.metadata["transformed_examples"]["payload_format"] == "FORMAT_TF_EXAMPLE"
    assert {tuple(feature.path.step) for feature in statistics(run.pre_transform_stats).features} == {
        ("age",), ("bought",), ("city",), ("##SEQUENCE##",), ("##SEQUENCE##", "pages"), ("##SEQUENCE##", "seconds"),
    }  # fmt: skip


def statistics(folder: Path) -> Any:
    path = folder / artifacts.ExampleStatistics.FILE
    return statistics_pb2.DatasetFeatureStatisticsList.FromString(path.read_bytes()).datasets[0]


@pytest.mark.slow
def test_without_tensor_representations_the_input_is_a_serialized_record(
    visitors: Path, transform: Callable[..., Any], module: Callable[[str], str], tmp_path: Path
) -> None:
    """Of one record at a time, as in TFX; its statistics are of what is in it."""
    batch = records.decode(sequences.VISITORS, payload_format=sequences.FORMAT)
    inferred = tfdv.infer_schema(stats_impl.generate_statistics_in_memory(batch, tfdv.StatsOptions()))
    artifacts.Schema(tmp_path / "schema").write(inferred)
    parameters = {"examples": str(visitors), "schema": str(tmp_path / "schema"), "payload_format": sequences.FORMAT}
    run = transform("raw", module_file=module(RAW), **parameters)
    decoded = rows(run.rows("eval"))
    assert [row["batch"] for row in decoded] == [[1]] * 100
    totals = {number: sum(number / 2 + visit for visit in range(number % 5)) for number in range(300)}
    greatest = max(totals[number] for number in range(200))
    expected = [[totals[number] / greatest] for number in range(200, 300)]
    assert sorted(row["total"] for row in decoded) == [pytest.approx(value) for value in sorted(expected)]
    before = statistics(run.pre_transform_stats)
    assert before.num_examples == 200
    assert ("##SEQUENCE##", "pages") in {tuple(feature.path.step) for feature in before.features}
    output = tft.TFTransformOutput(str(run.transform_graph))
    assert list(output.raw_feature_spec()) == ["raw_example"]
    with pytest.raises(ModuleError, match=r"no feature 'pages'.*tensor_representation_group"):
        transform(
            "named",
            module_file=module('def preprocessing_fn(inputs):\n    return {"p": inputs["pages"]}'),
            **parameters,
        )


def test_what_does_not_fit_the_schema_is_named(
    visitors: Path, transform: Callable[..., Any], module: Callable[[str], str], tmp_path: Path
) -> None:
    path = module("def preprocessing_fn(inputs):\n    return {'x': inputs['page_lists'].row_lengths()}")
    schema = schema_pb2.Schema()
    schema.CopyFrom(sequences.SCHEMA)
    (pages, _) = schema.feature[-1].struct_domain.feature
    pages.type = schema_pb2.INT
    artifacts.Schema(tmp_path / "other").write(schema)
    arguments = {"examples": str(visitors), "module_file": path}
    with pytest.raises(SchemaError, match=r"feature '##SEQUENCE##\.pages': expected int64 \(schema\), found bytes"):
        transform("type", schema=str(tmp_path / "other"), payload_format=sequences.FORMAT, **arguments)
    with pytest.raises(SchemaError, match=r"'##SEQUENCE##' is a struct, .* payload_format FORMAT_TF_SEQUENCE_EXAMPLE"):
        transform("format", schema=str(visitors), **arguments)
    schema = schema_pb2.Schema(feature=sequences.SCHEMA.feature[:1])
    artifacts.Schema(tmp_path / "flat").write(schema)
    arguments["module_file"] = module("def preprocessing_fn(inputs):\n    return {'x': inputs['visitor']}")
    with pytest.raises(DataError, match="a record has feature_lists"):
        transform("flat", schema=str(tmp_path / "flat"), **arguments)
