"""StatisticsGen against TFDV on Beam, which is what TFX runs, and what it promises of its own."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
import tensorflow_data_validation as tfdv
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2
from tfx_bsl.tfxio.tf_sequence_example_record import TFSequenceExampleRecord

from penstock.components.statistics_gen import executor
from penstock.core import artifacts
from penstock.core.errors import ConfigError, DataError, SchemaError
from penstock.core.examples import records
from penstock.core.statistics import exact as exact_statistics
from tests import sequences

pytestmark = pytest.mark.usefixtures("forks")

WriteExamples = Callable[..., Path]
RANK_ERROR = 0.01  # TFDV's epsilon


@pytest.fixture
def taxi(taxi_csv: Path) -> pa.Table:
    return pa.csv.read_csv(taxi_csv).slice(0, 3000)


@pytest.fixture
def penguins(penguins_csv: Path) -> pa.Table:
    options = pa.csv.ConvertOptions(null_values=["NA", ""], strings_can_be_null=True)
    return pa.csv.read_csv(penguins_csv, convert_options=options)


def run(examples: Path, name: str = "statistics", **parameters: Any) -> artifacts.ExampleStatistics:
    root = examples.parent / name
    executor.run(statistics=str(root), examples=str(examples), **{"engine": "local:1", **parameters})
    return artifacts.ExampleStatistics(root)


def on_beam(examples: Path, split: str, **options: Any) -> statistics_pb2.DatasetFeatureStatisticsList:
    files = str(examples / f"Split-{split}" / "*.gz")
    result = tfdv.generate_statistics_from_tfrecord(files, stats_options=tfdv.StatsOptions(**options))
    assert isinstance(result, statistics_pb2.DatasetFeatureStatisticsList)
    return result


def features(dataset: statistics_pb2.DatasetFeatureStatistics) -> dict[tuple[str, ...], Any]:
    return {tuple(feature.path.step): feature for feature in dataset.features}


def assert_same(ours: statistics_pb2.DatasetFeatureStatisticsList, theirs: Any, data: pa.Table | None = None) -> None:
    """Everything but what comes from a sketch of quantiles or from the order of additions is equal to the bit."""
    assert sorted(dataset.name for dataset in ours.datasets) == sorted(dataset.name for dataset in theirs.datasets)
    by_name = {dataset.name: dataset for dataset in theirs.datasets}
    for dataset in ours.datasets:
        other = by_name[dataset.name]
        assert dataset.num_examples == other.num_examples
        assert dataset.weighted_num_examples == pytest.approx(other.weighted_num_examples)
        mine, beams = features(dataset), features(other)
        assert mine.keys() == beams.keys()
        for path, feature in mine.items():
            column = None if data is None else as_written(data[path[0]].drop_null().to_numpy())
            assert exact(feature, column) == exact(beams[path], column), path


def as_written(column: np.ndarray) -> np.ndarray:
    """A tf.Example holds floats of 32 bits."""
    return column.astype(np.float32) if column.dtype.kind == "f" else column


def exact(feature: Any, column: Any) -> Any:
    """The feature without sketched and summed floating-point parts, which are checked against the data."""
    copy = type(feature).FromString(feature.SerializeToString())
    if copy.HasField("num_stats"):
        numbers = copy.num_stats
        if column is not None and len(column):
            assert numbers.mean == pytest.approx(column.mean(dtype=np.float64), rel=1e-9)
            assert numbers.std_dev == pytest.approx(column.std(dtype=np.float64), rel=1e-9, abs=1e-12)
            assert_quantiles(numbers, np.sort(column))
        for histogram in numbers.histograms:
            histogram.ClearField("buckets")
        for histogram in numbers.weighted_numeric_stats.histograms:
            histogram.ClearField("buckets")
        for name in ("mean", "std_dev", "median"):
            numbers.ClearField(name)
            numbers.weighted_numeric_stats.ClearField(name)
    for index, custom in reversed(list(enumerate(copy.custom_stats))):  # ours alone
        if custom.name == artifacts.ExampleStatistics.DISTINCT_INTEGERS:
            assert column is None or custom.num == len(np.unique(column))
            del copy.custom_stats[index]
        elif custom.name == artifacts.ExampleStatistics.REPEATED_INTEGERS:
            assert column is None or custom.num == np.mean(np.unique(column, return_counts=True)[1] > 1)
            del copy.custom_stats[index]
    return text_format.MessageToString(copy)


def test_integers_are_counted_once_each(tmp_path: Path) -> None:
    """Exactly where they are few, else within a few standard errors, and the same in any number of files."""
    rng = np.random.default_rng(0)
    few = rng.integers(-(2**63), 2**63 - 1, 4000)
    columns = {
        "few": few[rng.integers(0, 4000, 60_000)],
        "keys": 17_031_000_000 + rng.permutation(60_000),
        "half": rng.integers(0, 30_000, 60_000),
        "float": rng.normal(size=60_000),
    }
    expected = {"few": len(np.unique(columns["few"])), "keys": 60_000, "half": len(np.unique(columns["half"]))}
    for files in (1, 5):
        folder = tmp_path / str(files)
        for index in range(files):
            rows = slice(index * 60_000 // files, (index + 1) * 60_000 // files)
            path = artifacts.Examples(folder).shard("train", index, files)
            lists = [pa.array(values[rows, None].tolist()) for values in columns.values()]
            records.write(path, records.encode(pa.RecordBatch.from_arrays(lists, list(columns))))
        executor.run(statistics=str(folder / "statistics"), examples=str(folder), engine="local:1")
        (dataset,) = artifacts.ExampleStatistics(folder / "statistics").read("train").datasets
        found = {path: feature.custom_stats for (path,), feature in features(dataset).items()}
        assert not found.pop("float")
        counts = {name: custom[0].num for name, custom in found.items()}
        assert counts["few"] == expected["few"]
        assert counts == pytest.approx(expected, rel=0.05)
        assert {name: len(custom) for name, custom in found.items()} == {"few": 4, "keys": 2, "half": 2}
        assert exact_statistics.ends(features(dataset)["few",]) == (columns["few"].min(), columns["few"].max())


def assert_quantiles(numbers: statistics_pb2.NumericStatistics, values: np.ndarray) -> None:
    """Every boundary's rank is within the sketch's bound of the rank it stands for."""
    slack = RANK_ERROR * len(values) + 1
    histogram = next(one for one in numbers.histograms if one.type == statistics_pb2.Histogram.QUANTILES)
    rank = 0.0
    for bucket in histogram.buckets[:-1]:
        rank += bucket.sample_count
        lowest = np.searchsorted(values, bucket.high_value, "left")
        highest = np.searchsorted(values, bucket.high_value, "right")
        assert lowest - slack <= rank <= highest + slack
    assert histogram.buckets[-1].sample_count + rank == pytest.approx(len(values))


@pytest.mark.slow
@pytest.mark.parametrize("files", [1, 3])
def test_taxi_statistics_are_those_of_beam(write_examples: WriteExamples, taxi: pa.Table, files: int) -> None:
    examples = write_examples({"train": taxi.slice(0, 2000), "eval": taxi.slice(2000)}, files)
    ours = run(examples)
    assert_same(ours.read("train"), on_beam(examples, "train"), taxi.slice(0, 2000))
    assert_same(ours.read("eval"), on_beam(examples, "eval"), taxi.slice(2000))


def test_loaders_of_tfdv_and_tfx_open_the_statistics(write_examples: WriteExamples, penguins: pa.Table) -> None:
    from tfx.components.statistics_gen import stats_artifact_utils
    from tfx.types import standard_artifacts

    ours = run(write_examples({"train": penguins}))
    assert tfdv.load_stats_binary(str(ours.path("train"))) == ours.read("train")
    artifact = standard_artifacts.ExampleStatistics()
    artifact.uri, artifact.split_names = str(ours.root), '["train"]'
    assert stats_artifact_utils.load_statistics(artifact, "train").proto() == ours.read("train")


def test_penguin_statistics_with_missing_values_are_those_of_beam(
    write_examples: WriteExamples, penguins: pa.Table
) -> None:
    examples = write_examples({"train": penguins}, 2)
    ours = run(examples).read("train")
    assert_same(ours, on_beam(examples, "train"), penguins)
    assert features(ours.datasets[0])[("sex",)].string_stats.common_stats.num_missing == penguins["sex"].null_count


@pytest.mark.slow
def test_weights_slices_and_categories_are_those_of_beam(write_examples: WriteExamples, penguins: pa.Table) -> None:
    weights = pa.array((np.arange(len(penguins)) % 4 + 0.25).astype(np.float32))
    examples = write_examples({"train": penguins.append_column("weight", weights)}, 3)
    schema = text_format.Parse(
        'feature { name: "year" type: INT int_domain { is_categorical: true } } feature { name: "island" type: BYTES }',
        schema_pb2.Schema(),
    )
    artifacts.Schema(examples.parent / "schema").write(schema)
    slicing = {"slicing_specs": [{"feature_keys": ["species"]}, {"feature_values": {"year": "2008"}}]}
    options = tfdv.StatsOptions(weight_feature="weight", num_top_values=2)
    options.slicing_config = tfdv.StatsOptions.from_json(
        json.dumps({**json.loads(options.to_json()), "slicing_config_json": json.dumps(slicing)})
    ).slicing_config
    ours = run(examples, schema=str(examples.parent / "schema"), stats_options=options.to_json()).read("train")
    theirs = on_beam(
        examples,
        "train",
        schema=schema,
        weight_feature="weight",
        num_top_values=2,
        slicing_config=options.slicing_config,
    )
    assert len(ours.datasets) == 5
    assert ours.datasets[0].name == "All Examples"
    assert_same(ours, theirs)
    year = features(ours.datasets[0])[("year",)]
    assert year.string_stats.unique == 3
    assert len(year.string_stats.weighted_string_stats.top_values) == 2


@pytest.mark.slow
def test_semantic_domains_are_those_of_beam(write_examples: WriteExamples) -> None:
    sentence = "the quick brown fox jumps over a lazy dog and the cat sat on the mat"
    text = [sentence[i % 20 :] for i in range(300)]
    examples = write_examples({"train": {"text": text, "when": [f"2024-01-{i % 28 + 1:02d}" for i in range(300)]}}, 2)
    ours = run(examples, stats_options='{"enable_semantic_domain_stats": true}').read("train")
    assert_same(ours, on_beam(examples, "train", enable_semantic_domain_stats=True))
    assert features(ours.datasets[0])[("text",)].custom_stats


@pytest.mark.slow
def test_lift_is_that_of_beam(write_examples: WriteExamples, penguins: pa.Table) -> None:
    chosen = penguins.select(["species", "island", "sex"])
    examples = write_examples({"train": chosen}, 2)
    schema = tfdv.infer_schema(on_beam(examples, "train"))
    artifacts.Schema(examples.parent / "schema").write(schema)
    ours = run(examples, schema=str(examples.parent / "schema"), stats_options='{"label_feature": "species"}')
    theirs = on_beam(examples, "train", schema=schema, label_feature="species").datasets[0]
    mine = features(ours.read("train").datasets[0])
    lifts = {path: lift(feature) for path, feature in features(theirs).items()}
    assert {path: lift(feature) for path, feature in mine.items()} == lifts
    assert len(lifts[("island",)]) == 3  # species


def lift(feature: Any) -> dict[str, dict[str, float]]:
    """Lift of each value, by the label's class."""
    found = {}
    for custom in feature.custom_stats:
        for series in custom.rank_histogram.buckets:
            found.setdefault(custom.name, {})[series.label] = pytest.approx(series.sample_count)
    return found


WORKERS = """
import json, sys
from penstock.components.engines import fold
from penstock.components.statistics_gen import executor
fold._CUT_BYTES = 1  # a shard for each file
for arguments in json.loads(sys.argv[1]):
    executor.run(**arguments)
"""


@pytest.mark.slow
def test_same_bytes_for_any_number_of_workers(write_examples: WriteExamples, taxi: pa.Table) -> None:
    """In a process of its own: one that has used Beam has gRPC's threads, and those do not survive a fork."""
    examples = write_examples({"train": taxi, "eval": taxi.slice(0, 500)}, 5)
    chosen = '{"sample_rate": 0.5, "enable_semantic_domain_stats": true, "semantic_domain_stats_sample_rate": 0.5}'
    runs = [
        {
            "statistics": str(examples.parent / engine),
            "examples": str(examples),
            "engine": engine,
            "stats_options": chosen,
        }
        for engine in ("local:1", "local:2")
    ]
    subprocess.run([sys.executable, "-c", WORKERS, json.dumps(runs)], check=True)
    one, two = (artifacts.ExampleStatistics(Path(run["statistics"])) for run in runs)
    for split in ("train", "eval"):
        assert one.path(split).read_bytes() == two.path(split).read_bytes()
        assert len(features(one.read(split).datasets[0])) == taxi.num_columns


def test_sample_is_of_the_rate_and_repeats(write_examples: WriteExamples, taxi: pa.Table) -> None:
    examples = write_examples({"train": taxi}, 2)
    first, second = (run(examples, name, stats_options='{"sample_rate": 0.2}') for name in ("first", "second"))
    rows = first.read("train").datasets[0].num_examples
    assert 500 < rows < 700
    assert first.path("train").read_bytes() == second.path("train").read_bytes()


def test_metadata_excluded_splits_and_order(write_examples: WriteExamples, penguins: pa.Table) -> None:
    examples = write_examples({"train": penguins, "eval": penguins, "test": penguins})
    result = executor.run(
        statistics=str(examples.parent / "statistics"),
        examples=str(examples),
        exclude_splits=["eval"],
        stats_options='{"sample_rate": 0.9}',
        engine="local:1",
        examples_metadata={"split_names": '["train", "eval", "test"]', "span": 3.0, "version": 1.0},
    )
    assert result.metadata["statistics"] == {
        "tfx_version": "1.21.0",
        "split_names": '["train", "test"]',
        "span": 3,
        "sample_rate_by_split": '{"train": 0.9, "test": 0.9}',
    }
    assert artifacts.ExampleStatistics(examples.parent / "statistics").splits() == ["test", "train"]


def test_feature_allowlist(write_examples: WriteExamples, penguins: pa.Table) -> None:
    examples = write_examples({"train": penguins})
    ours = run(examples, stats_options='{"feature_allowlist": ["sex", "species"]}').read("train")
    assert features(ours.datasets[0]).keys() == {("sex",), ("species",)}
    assert_same(ours, on_beam(examples, "train", feature_allowlist=["sex", "species"]))


def test_feature_that_is_missing_from_whole_files(write_examples: WriteExamples) -> None:
    """A feature that one file never has is missing there, not unknown."""
    examples = write_examples({"train": {"a": [1, 2], "b": ["x", "y"]}})
    other = write_examples({"train": {"a": [3, 4]}}, name="other")
    target = artifacts.Examples(examples).split("train") / "data_tfrecord-00001-of-00002.gz"
    target.write_bytes(artifacts.Examples(other).files("train")[0].read_bytes())
    b = features(run(examples).read("train").datasets[0])[("b",)].string_stats
    assert (b.common_stats.num_non_missing, b.common_stats.num_missing) == (2, 2)
    assert_same(artifacts.ExampleStatistics(examples.parent / "statistics").read("train"), on_beam(examples, "train"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("{", "expected JSON"),
        ("[]", "expected an object"),
        ('{"sample_rte": 0.5}', "did you mean 'sample_rate'"),
        ('{"sample_rate": 7}', "Invalid sample_rate 7"),
        ('{"num_top_values": "many"}', "num_top_values: expected a number, received 'many'"),
        ('{"enable_semantic_domain_stats": 1}', "expected true or false"),
        ('{"experimental_filter_read_paths": true}', "needs a schema"),
    ],
)
def test_wrong_options(write_examples: WriteExamples, options: str, message: str) -> None:
    examples = write_examples({"train": {"a": [1]}})
    with pytest.raises(ConfigError, match=message):
        run(examples, stats_options=options)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"num_top_values": 2, "semantic_domain_stats_sample_rate": 1.0}])
def test_sequence_examples_equal_beam(tmp_path: Path, options: dict[str, Any]) -> None:
    """Those of the context, and those of what is in the feature_lists, whose paths have two steps."""
    examples = sequences.write(tmp_path / "examples", train=3)
    ours = run(examples, stats_options=json.dumps(options), examples_metadata={"payload_format": sequences.FORMAT})
    files = [str(path) for path in artifacts.Examples(examples).files("train")]
    reader = TFSequenceExampleRecord(files, telemetry_descriptors=["test"])
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        statistics = pipeline | reader.BeamSource() | tfdv.GenerateStatistics(tfdv.StatsOptions(**options))
        statistics | tfdv.WriteStatisticsToBinaryFile(str(tmp_path / "theirs.pb"))
    theirs = statistics_pb2.DatasetFeatureStatisticsList.FromString((tmp_path / "theirs.pb").read_bytes())
    assert_same(ours.read("train"), theirs)
    paths = features(ours.read("train").datasets[0]).keys()
    assert {("bought",), ("##SEQUENCE##",), ("##SEQUENCE##", "pages"), ("##SEQUENCE##", "seconds")} < paths


def test_sequence_examples_without_the_metadata_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a record has feature_lists"):
        run(sequences.write(tmp_path / "examples", train=1))


def test_two_schemas(write_examples: WriteExamples) -> None:
    examples = write_examples({"train": {"a": [1]}})
    schema = schema_pb2.Schema(feature=[schema_pb2.Feature(name="a", type=schema_pb2.INT)])
    artifacts.Schema(examples.parent / "schema").write(schema)
    with pytest.raises(SchemaError, match="expected only one"):
        run(
            examples,
            schema=str(examples.parent / "schema"),
            stats_options=tfdv.StatsOptions(schema=schema).to_json(),
        )


def test_only_the_features_of_the_schema_are_read(write_examples: WriteExamples, penguins: pa.Table) -> None:
    examples = write_examples({"train": penguins})
    schema = schema_pb2.Schema(feature=[schema_pb2.Feature(name="year", type=schema_pb2.INT)])
    artifacts.Schema(examples.parent / "schema").write(schema)
    parameters = {
        "schema": str(examples.parent / "schema"),
        "stats_options": '{"experimental_filter_read_paths": true}',
    }
    assert features(run(examples, **parameters).read("train").datasets[0]).keys() == {("year",)}
    schema.feature[0].type = schema_pb2.FLOAT
    artifacts.Schema(examples.parent / "schema").write(schema)
    with pytest.raises(DataError, match='expected float_list, found int64_list for feature "year"'):
        run(examples, **parameters)


def test_unknown_excluded_split(write_examples: WriteExamples) -> None:
    with pytest.raises(ConfigError, match=r"split 'evl' does not exist: expected some of eval, train"):
        run(write_examples({"train": {"a": [1]}, "eval": {"a": [1]}}), exclude_splits=["evl"])


def test_empty_split(write_examples: WriteExamples) -> None:
    examples = write_examples({"train": {"a": [1]}})
    records.write(artifacts.Examples(examples).shard("eval", 0, 1), [])
    with pytest.raises(DataError, match="split 'eval' has no examples"):
        run(examples)


def test_feature_that_changes_its_type(write_examples: WriteExamples) -> None:
    examples = write_examples({"train": {"a": [1, 2]}})
    other = write_examples({"train": {"a": ["x"]}}, name="other")
    target = artifacts.Examples(examples).split("train") / "data_tfrecord-00001-of-00002.gz"
    target.write_bytes(artifacts.Examples(other).files("train")[0].read_bytes())
    with pytest.raises(DataError, match=r"feature a\. Found values of types INT and STRING"):
        run(examples)


def test_missing_weight(write_examples: WriteExamples) -> None:
    with pytest.raises(DataError, match="weight"):
        run(write_examples({"train": {"a": [1]}}), stats_options='{"weight_feature": "weight"}')


def test_damaged_file(write_examples: WriteExamples) -> None:
    examples = write_examples({"train": {"a": list(range(1000))}})
    path = artifacts.Examples(examples).files("train")[0]
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=f"{path}: the gzip data"):
        run(examples)
    assert not artifacts.ExampleStatistics(examples.parent / "statistics").path("train").exists()
