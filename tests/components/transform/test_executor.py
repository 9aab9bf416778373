"""The executor on taxi trips: layouts, cache, statistics, splits, workers, Beam, and what a person may get wrong."""

import json
import logging
import os
import pickle
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
import tensorflow_data_validation as tfdv
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tensorflow_transform import impl_helper
from tfx_bsl.coders import example_coder

from penstock.components.engines import fold
from penstock.components.transform import reading, user_function
from penstock.components.transform.analysis import accumulating
from penstock.core.artifacts import Examples, Schema, read_schema
from penstock.core.errors import ConfigError, DataError, ModuleError, SchemaError
from penstock.core.examples import records

pytestmark = pytest.mark.usefixtures("forks")

OUTPUTS = (
    "transform_graph",
    "transformed_examples",
    "updated_analyzer_cache",
    "pre_transform_schema",
    "pre_transform_stats",
    "post_transform_schema",
    "post_transform_stats",
    "post_transform_anomalies",
)
Transform = Callable[..., Any]
Module = Callable[[str], str]

SMALL = """
def preprocessing_fn(inputs):
    return {
        "fare": tft.scale_to_z_score(inputs["fare"]),
        "company": tft.compute_and_apply_vocabulary(inputs["company"], vocab_filename="company", top_k=5),
        "tips": inputs["tips"],
    }
"""


def parsed(run: Any, split: str) -> dict[str, Any]:
    """The transformed rows of a split, read back with the schema that TFTransformOutput gives."""
    output = tft.TFTransformOutput(str(run.transform_graph))
    return dict(tf.io.parse_example(run.rows(split), output.transformed_feature_spec()))


def raw(examples: Path, split: str, name: str) -> list[Any]:
    column = [
        row for batch in records.read_batches(Examples(examples).files(split)) for row in batch.column(name).to_pylist()
    ]
    return [row[0] if row else None for row in column]


def statistics(folder: Path) -> Any:
    (dataset,) = tfdv.load_stats_binary(str(folder / "FeatureStats.pb")).datasets
    return dataset


@pytest.mark.slow
def test_unmodified_taxi_module(transform: Transform, taxi_examples: Path, taxi_module: Path) -> None:
    run = transform("run", module_file=str(taxi_module))
    output = tft.TFTransformOutput(str(run.transform_graph))
    rows = parsed(run, "train")
    # The most frequent way of payment has the first index.
    payments = raw(taxi_examples, "train", "payment_type")
    (most, _), *_ = Counter(payments).most_common(1)
    assert [index == 0 for index in np.ravel(rows["payment_type_xf"])] == [payment == most for payment in payments]
    assert len(run.rows("train")) == 360
    assert len(run.rows("eval")) == 240
    fares = np.array([0.0 if fare is None else fare for fare in raw(taxi_examples, "train", "fare")])
    expected = (fares - fares.mean()) / fares.std()
    np.testing.assert_allclose(np.ravel(rows["fare_xf"]), expected, rtol=1e-4, atol=1e-5)
    # The layer that serving uses gives the same.
    layer = output.transform_features_layer()
    examples = [row for file in Examples(taxi_examples).files("train") for batch in records.read(file) for row in batch]
    served = layer(tf.io.parse_example(examples, output.raw_feature_spec()))
    np.testing.assert_array_equal(np.ravel(served["fare_xf"]), np.ravel(rows["fare_xf"]))


@pytest.mark.slow
def test_layout_and_metadata(transform: Transform, taxi_examples: Path, module: Module) -> None:
    run = transform("run", module_file=module(SMALL))
    files = {path.relative_to(run.root).as_posix() for path in run.root.rglob("*") if path.is_file()}
    cache = {name for name in files if name.startswith("updated_analyzer_cache/")}
    assert files - cache == {
        "transform_graph/transform_fn/saved_model.pb",
        "transform_graph/transform_fn/fingerprint.pb",
        "transform_graph/transform_fn/assets/company",
        "transform_graph/transform_fn/variables/variables.index",
        "transform_graph/transform_fn/variables/variables.data-00000-of-00001",
        "transform_graph/transformed_metadata/schema.pbtxt",
        "transform_graph/transformed_metadata/asset_map",
        "transform_graph/metadata/schema.pbtxt",
        "transformed_examples/Split-train/transformed_examples-00000-of-00003.gz",
        "transformed_examples/Split-train/transformed_examples-00001-of-00003.gz",
        "transformed_examples/Split-train/transformed_examples-00002-of-00003.gz",
        "transformed_examples/Split-eval/transformed_examples-00000-of-00002.gz",
        "transformed_examples/Split-eval/transformed_examples-00001-of-00002.gz",
        "pre_transform_schema/schema.pbtxt",
        "pre_transform_stats/FeatureStats.pb",
        "post_transform_schema/schema.pbtxt",
        "post_transform_stats/FeatureStats.pb",
        "post_transform_anomalies/SchemaDiff.pb",
    }
    assert run.result.metadata["transformed_examples"]["split_names"] == '["eval", "train"]'
    assert run.result.metadata["transformed_examples"]["payload_format"] == "FORMAT_TF_EXAMPLE"
    assert all(found["tfx_version"] for found in run.result.metadata.values())
    assert read_schema(run.transform_graph / "metadata" / "schema.pbtxt") == Schema(taxi_examples).read()
    assert read_schema(run.pre_transform_schema / "schema.pbtxt") == Schema(taxi_examples).read()
    assert json.loads((run.transform_graph / "transformed_metadata" / "asset_map").read_text()) == {
        "company": "company"
    }


@pytest.mark.slow
def test_statistics_before_and_after(transform: Transform, taxi_examples: Path, module: Module) -> None:
    run = transform("run", module_file=module(SMALL))
    before, after = statistics(run.pre_transform_stats), statistics(run.post_transform_stats)
    assert before.num_examples == 360  # the analyzed split
    assert after.num_examples == 600  # all transformed splits
    # Only what preprocessing_fn uses is read.
    assert {feature.path.step[0] for feature in before.features} == {"fare", "company", "tips"}
    assert {feature.path.step[0] for feature in after.features} == {"fare", "company", "tips"}
    (company,) = (feature for feature in before.features if feature.path.step[0] == "company")
    counted = Counter(name for name in raw(taxi_examples, "train", "company") if name)
    top = company.string_stats.top_values[0]
    assert (top.value, top.frequency) == (counted.most_common(1)[0][0].decode(), counted.most_common(1)[0][1])
    anomalies = anomalies_pb2.Anomalies.FromString((run.post_transform_anomalies / "SchemaDiff.pb").read_bytes())
    assert not anomalies.anomaly_info


@pytest.mark.slow
def test_same_bytes_whatever_the_workers(
    trips: pa.RecordBatch, examples_of: Callable[..., Path], module: Module, tmp_path: Path
) -> None:
    """In processes of their own, for the engine forks: 45,000 trips, several shards in each split."""
    table = pa.Table.from_batches([trips] * 3).combine_chunks().to_batches()[0]
    examples = examples_of(tmp_path / "examples", table, {"train": 4, "eval": 2})
    file = module(SMALL)
    for workers in (1, 3):
        outputs = {name: str(tmp_path / str(workers) / name) for name in OUTPUTS}
        for folder in outputs.values():
            Path(folder).mkdir(parents=True)
        inputs = {"examples": str(examples), "schema": str(examples), "module_file": file, "engine": f"local:{workers}"}
        command = [sys.executable, "-m", "penstock.components.transform.executor", json.dumps({**outputs, **inputs})]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
    for pattern in ("transformed_examples/*/*", "*_stats/*", "*_anomalies/*", "transform_graph/*/assets/*"):
        one, three = (
            {path.relative_to(root): path.read_bytes() for path in root.glob(pattern)}
            for root in (tmp_path / "1", tmp_path / "3")
        )
        assert one
        assert one == three


MORE = """
def preprocessing_fn(inputs):
    tft.vocabulary(inputs["company"], vocab_filename="all", store_frequency=True)
    hour = tf.strings.as_string(inputs["trip_start_hour"][:, 0])
    return {
        "fare": tft.scale_to_z_score(inputs["fare"]),
        "company": tft.compute_and_apply_vocabulary(inputs["company"], vocab_filename="company", top_k=5),
        "bucket": tft.bucketize_per_key(inputs["fare"][:, 0], hour, 3),
    }
"""


@pytest.mark.slow
@pytest.mark.parametrize("cached", [True, False])
def test_the_cut_changes_nothing(
    transform: Transform, module: Module, monkeypatch: pytest.MonkeyPatch, cached: bool
) -> None:
    """A shard for each file gives what one shard of all files gives."""
    file = module(MORE)
    whole = transform("whole", module_file=file, disable_analyzer_cache=not cached)
    monkeypatch.setattr(fold, "_CUT_BYTES", 1)
    cut = transform("cut", module_file=file, disable_analyzer_cache=not cached)
    for name in ("all", "company"):
        path = f"transform_fn/assets/{name}"
        assert (cut.transform_graph / path).read_bytes() == (whole.transform_graph / path).read_bytes()
    expected, actual = parsed(whole, "train"), parsed(cut, "train")
    np.testing.assert_allclose(actual["fare"], expected["fare"], rtol=1e-5)
    np.testing.assert_array_equal(actual["bucket"], expected["bucket"])
    for output in ("pre_transform_stats", "post_transform_stats"):
        mine, theirs = statistics(cut.root / output), statistics(whole.root / output)
        assert (mine.num_examples, len(mine.features)) == (theirs.num_examples, len(theirs.features))


@pytest.mark.slow
def test_sample_rate(transform: Transform, module: Module) -> None:
    file = module(
        SMALL + "\ndef stats_options_updater_fn(stats_type, stats_options):\n"
        "    stats_options.sample_rate = 0.5\n    return stats_options\n"
    )
    one, two = transform("one", module_file=file), transform("two", module_file=file)
    assert 120 < statistics(one.pre_transform_stats).num_examples < 240
    assert 200 < statistics(one.post_transform_stats).num_examples < 400
    name = "pre_transform_stats/FeatureStats.pb"
    assert (one.root / name).read_bytes() == (two.root / name).read_bytes()


@pytest.mark.slow
def test_not_materialized_without_statistics(transform: Transform, module: Module) -> None:
    run = transform("run", module_file=module(SMALL), materialize=False, disable_statistics=True)
    assert run.result.metadata["transformed_examples"]["split_names"] == "[]"
    for output in ("transformed_examples", "pre_transform_stats", "post_transform_stats", "post_transform_anomalies"):
        assert not list((run.root / output).iterdir())
    assert (run.transform_graph / "transform_fn" / "saved_model.pb").is_file()


@pytest.mark.slow
def test_splits_config(transform: Transform, taxi_examples: Path, module: Module) -> None:
    config = {"analyze": ["train", "eval"], "transform": ["eval"]}
    run = transform("run", module_file=module(SMALL), splits_config=config)
    assert Examples(run.transformed_examples).splits() == ["eval"]
    assert statistics(run.pre_transform_stats).num_examples == 600
    assert statistics(run.post_transform_stats).num_examples == 240
    companies = Counter(raw(taxi_examples, "train", "company") + raw(taxi_examples, "eval", "company"))
    del companies[None]
    vocabulary = (run.transform_graph / "transform_fn" / "assets" / "company").read_bytes().splitlines()
    assert vocabulary[0] == companies.most_common(1)[0][0]


def test_nothing_to_transform(transform: Transform, module: Module) -> None:
    run = transform("run", module_file=module(SMALL), splits_config={"analyze": ["train"]})
    assert Examples(run.transformed_examples).splits() == []
    assert statistics(run.pre_transform_stats).num_examples == 360
    assert statistics(run.post_transform_stats).num_examples == 0


@pytest.mark.slow
def test_a_vocabulary_whose_name_is_too_long_for_a_file(transform: Transform, module: Module) -> None:
    """TFT finds it by its whole name, whatever its format."""
    text, compressed, other = "t" * 300, "c" * 250, "o" * 250
    run = transform(
        "long",
        module_file=module(
            "def preprocessing_fn(inputs):\n"
            f"    tft.vocabulary(inputs['company'], vocab_filename={compressed!r}, file_format='tfrecord_gzip')\n"
            f"    tft.vocabulary(inputs['company'], vocab_filename={other!r})\n"
            f"    ids = tft.compute_and_apply_vocabulary(inputs['company'], vocab_filename={text!r})\n"
            "    return {'company': ids}\n"
        ),
    )
    output = tft.TFTransformOutput(str(run.transform_graph))
    first, *others = (output.vocabulary_by_name(name) for name in (text, compressed, other))
    assert len(first) > 10
    assert others == [first, first]
    assert len(list((run.transform_graph / "transform_fn" / "assets").iterdir())) == 3


def test_custom_config_and_named_functions(transform: Transform, module: Module) -> None:
    file = module(
        """
def prepare(inputs, custom_config):
    return {"x": inputs["fare"] * custom_config["factor"]}

def options(stats_type, stats_options, custom_config):
    stats_options.num_top_values = custom_config["top"] + stats_type.value
    return stats_options
"""
    )
    run = transform(
        "run",
        module_file=file,
        preprocessing_fn="prepare",
        stats_options_updater_fn="options",
        custom_config={"factor": 3, "top": 1},
    )
    plain = transform("plain", module_file=module("def preprocessing_fn(inputs):\n    return {'x': inputs['fare']}\n"))
    np.testing.assert_allclose(parsed(run, "eval")["x"], 3 * parsed(plain, "eval")["x"], rtol=1e-6)


@pytest.mark.slow
def test_stats_options_updater(transform: Transform, module: Module) -> None:
    """Called for both statistics, with the schema and, after the transformation, the vocabularies."""
    file = module(
        SMALL
        + """
def stats_options_updater_fn(stats_type, stats_options):
    assert stats_options.schema.feature
    if stats_type.value == 1:
        stats_options.num_top_values = 1
    else:
        assert stats_type.value == 2
        with open(stats_options.vocab_paths["company"]) as vocabulary:
            stats_options.num_top_values = len(vocabulary.readlines())
        next(f for f in stats_options.schema.feature if f.name == "fare").presence.min_count = 10**6
    return stats_options
"""
    )
    run = transform("run", module_file=file)
    (company,) = (f for f in statistics(run.pre_transform_stats).features if f.path.step[0] == "company")
    assert len(company.string_stats.top_values) == 1
    written = read_schema(run.post_transform_schema / "schema.pbtxt")
    assert [f.presence.min_count for f in written.feature if f.name == "fare"] == [10**6]
    anomalies = anomalies_pb2.Anomalies.FromString((run.post_transform_anomalies / "SchemaDiff.pb").read_bytes())
    assert list(anomalies.anomaly_info) == ["fare"]


@pytest.mark.slow
def test_tfx_sees_its_own_enum(transform: Transform, module: Module) -> None:
    pytest.importorskip("tfx.components.transform.stats_options_util")
    file = module(
        SMALL
        + """
def stats_options_updater_fn(stats_type, stats_options):
    from tfx.components.transform.stats_options_util import StatsType
    if stats_type == StatsType.PRE_TRANSFORM:
        stats_options.num_top_values = 1
    return stats_options
"""
    )
    run = transform("run", module_file=file)
    (company,) = (f for f in statistics(run.pre_transform_stats).features if f.path.step[0] == "company")
    assert len(company.string_stats.top_values) == 1


def test_siblings_are_importable(transform: Transform, module: Module, tmp_path: Path) -> None:
    (tmp_path / "sibling_of_a_module.py").write_text("FACTOR = 2.0\n")
    file = module(
        "import sibling_of_a_module\n\n"
        "def preprocessing_fn(inputs):\n    return {'x': inputs['fare'] * sibling_of_a_module.FACTOR}\n"
    )
    run = transform("run", module_file=file)
    plain = transform("plain", module_file=module("def preprocessing_fn(inputs):\n    return {'x': inputs['fare']}\n"))
    np.testing.assert_array_equal(parsed(run, "train")["x"], 2 * parsed(plain, "train")["x"])
    assert str(tmp_path) in sys.path


@pytest.mark.slow
def test_composite_outputs(transform: Transform, taxi_examples: Path, module: Module) -> None:
    """Ragged tensors of rank 3 and sparse ones: the features that tfx_bsl's encoder writes."""
    run = transform(
        "run",
        module_file=module(
            """
def preprocessing_fn(inputs):
    words = tf.RaggedTensor.from_sparse(inputs["company"])
    letters = tf.strings.unicode_split(words, "UTF-8")
    sizes = tf.cast(tf.strings.length(letters.flat_values), tf.int64)
    return {
        "words": words,
        "letters": letters,
        "pairs": letters.with_flat_values(tf.stack([sizes, sizes + 1], axis=1)),
        "cube": tf.sparse.expand_dims(inputs["company"], 1),
    }
"""
        ),
    )
    output = tft.TFTransformOutput(str(run.transform_graph))
    rows = tf.io.parse_example(run.rows("train"), output.transformed_feature_spec())
    letters = [[b"".join(word) for word in row] for row in rows["letters"].to_list()]
    assert letters == rows["words"].to_list()
    assert any(letters)
    assert rows["pairs"].shape.as_list() == [360, None, None, 2]
    assert rows["cube"].dense_shape.numpy().tolist()[:2] == [360, 1]
    schema = output.transformed_metadata.schema
    reader = reading.reader(Schema(taxi_examples).read(), ["company"])
    (source, *_) = Examples(taxi_examples).files("train")
    tensors = [parts for batch in reader.batches(source) for parts in reader.tensors(batch, source)]
    transformed = accumulating.load(run.transform_graph / "transform_fn", reader).apply_transform_model(tensors[0])
    batch = impl_helper.make_tensor_to_arrow_converter(schema).convert(transformed)
    theirs = [
        tf.train.Example.FromString(row) for row in example_coder.RecordBatchToExamplesEncoder(schema).encode(batch)
    ]
    assert [tf.train.Example.FromString(row) for row in run.rows("train")[: len(theirs)]] == theirs


class TestAnalyzerCache:
    @pytest.mark.slow
    def test_known_files_are_not_analyzed_again(
        self, transform: Transform, taxi_examples: Path, module: Module, caplog: pytest.LogCaptureFixture
    ) -> None:
        file = module(SMALL)
        first = transform("first", module_file=file)
        with caplog.at_level(logging.INFO, "penstock"):
            second = transform("second", module_file=file, analyzer_cache=str(first.updated_analyzer_cache))
        assert "6 of 6 accumulators are taken" in caplog.text  # two operations over three files
        assert second.rows("train") == first.rows("train")
        third = transform("third", module_file=file, analyzer_cache=str(second.updated_analyzer_cache))
        for path in first.updated_analyzer_cache.rglob("*"):
            relative = path.relative_to(first.updated_analyzer_cache)
            if path.is_file():
                assert (second.updated_analyzer_cache / relative).read_bytes() == path.read_bytes()
                assert (third.updated_analyzer_cache / relative).read_bytes() == path.read_bytes()

    @pytest.mark.slow
    def test_the_cached_accumulators_are_what_counts(
        self, transform: Transform, taxi_examples: Path, module: Module
    ) -> None:
        """The result comes from the cache, not from the data: other entries give another one."""
        file = module("def preprocessing_fn(inputs):\n    return {'n': inputs['fare'] * 0 + tft.max(inputs['fare'])}\n")
        first = transform("first", module_file=file)
        for entry in first.updated_analyzer_cache.glob("*/0-*.gz"):
            records.write(entry, [json.dumps([-12345.0, 12345.0]).encode()])
        second = transform("second", module_file=file, analyzer_cache=str(first.updated_analyzer_cache))
        assert set(np.ravel(parsed(second, "eval")["n"])) == {12345.0}

    @pytest.mark.slow
    def test_one_file_changes(
        self, transform: Transform, taxi_examples: Path, module: Module, caplog: pytest.LogCaptureFixture
    ) -> None:
        file = module(SMALL)
        first = transform("first", module_file=file)
        train = Examples(taxi_examples).files("train")
        os.replace(Examples(taxi_examples).files("eval")[0], train[1])
        Examples(taxi_examples).files("eval")[0].rename(Examples(taxi_examples).shard("eval", 0, 1))
        with caplog.at_level(logging.INFO, "penstock"):
            second = transform("second", module_file=file, analyzer_cache=str(first.updated_analyzer_cache))
        assert "4 of 6 accumulators are taken" in caplog.text
        fresh = transform("fresh", module_file=file, disable_analyzer_cache=True)
        assert not list(fresh.updated_analyzer_cache.iterdir())
        name = "transform_fn/assets/company"
        assert (second.transform_graph / name).read_bytes() == (fresh.transform_graph / name).read_bytes()
        np.testing.assert_allclose(parsed(second, "train")["fare"], parsed(fresh, "train")["fare"], rtol=1e-5)
        assert first.rows("train") != second.rows("train")

    @pytest.mark.slow
    def test_the_same_file_twice_counts_twice(self, transform: Transform, taxi_examples: Path, module: Module) -> None:
        train = Examples(taxi_examples).files("train")
        train[1].write_bytes(train[0].read_bytes())
        run = transform(
            "run",
            module_file=module(
                "def preprocessing_fn(inputs):\n    return {'n': inputs['fare'] * 0 + tft.sum(inputs['fare'])}\n"
            ),
        )
        total = sum(fare or 0.0 for fare in raw(taxi_examples, "train", "fare"))
        np.testing.assert_allclose(parsed(run, "eval")["n"][0], [total], rtol=1e-4)

    @pytest.mark.slow
    def test_what_is_damaged_is_computed_anew(
        self, transform: Transform, module: Module, caplog: pytest.LogCaptureFixture, tmp_path: Path
    ) -> None:
        """Also what would run code: a manifest, and an entry of quantiles, which are pickles."""
        file = module("def preprocessing_fn(inputs):\n    return {'fare': tft.bucketize(inputs['fare'], 4)}\n")
        first = transform("first", module_file=file)
        folders = sorted(first.updated_analyzer_cache.iterdir())
        assert len(folders) == 3
        trap = pickle.dumps(Trap(str(tmp_path / "sprung")))
        (folders[0] / "MANIFEST").write_bytes(trap)
        records.write(folders[1] / "0-00000-of-00001.gz", [trap])
        entry = folders[2] / "0-00000-of-00001.gz"
        entry.write_bytes(entry.read_bytes()[:-9])
        second = transform("second", module_file=file, analyzer_cache=str(first.updated_analyzer_cache))
        assert not (tmp_path / "sprung").exists()
        assert f"{folders[0] / 'MANIFEST'} is damaged and passed over: this is no pickle of an analyzer" in caplog.text
        for folder in folders[1:]:
            assert f"an entry of {folder.name} is damaged and passed over: " in caplog.text
        assert second.rows("train") == first.rows("train")
        caplog.clear()
        with caplog.at_level(logging.INFO, "penstock"):
            transform("third", module_file=file, analyzer_cache=str(second.updated_analyzer_cache))
        assert "3 of 3 accumulators are taken" in caplog.text
        assert "damaged" not in caplog.text

    @pytest.mark.slow
    def test_tft_reads_it(self, transform: Transform, taxi_examples: Path, module: Module) -> None:
        run = transform("run", module_file=module(SMALL))
        root = run.updated_analyzer_cache
        keys = [tft_beam.analyzer_cache.DatasetKey(folder.name) for folder in root.iterdir()]
        assert len(keys) == 3
        with beam.Pipeline(runner=FnApiRunner()) as pipeline:
            cache = pipeline | tft_beam.analyzer_cache.ReadAnalysisCacheFromFS(str(root), keys)
            assert set(cache) == set(keys)
            for number, key in enumerate(keys):
                assert len(cache[key].cache_dict) == 2
                entries = list(cache[key].values()) | f"All{number}" >> beam.Flatten()
                entries | f"Check{number}" >> beam.Map(_is_bytes)
                cache[key].metadata | f"Size{number}" >> beam.Map(_is_sized)


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (self.path,)


def _is_bytes(entry: bytes) -> None:
    assert entry


def _is_sized(metadata: Any) -> None:
    assert metadata.dataset_size > 0


@pytest.mark.slow
def test_custom_ptransform_goes_to_beam(
    transform: Transform, taxi_examples: Path, module: Module, caplog: pytest.LogCaptureFixture
) -> None:
    file = module(
        """
import apache_beam as beam
import numpy as np

class Longest(beam.PTransform):
    def expand(self, batches):
        return (
            batches
            | beam.Map(lambda batch: np.max(batch[0]))
            | beam.CombineGlobally(max)
            | beam.Map(np.float32)
        )

def preprocessing_fn(inputs):
    longest, = tft.experimental.ptransform_analyzer(
        [inputs["trip_miles"]], Longest().with_output_types(np.float32), [tf.float32], [[]]
    )
    return {"x": inputs["trip_miles"] / longest, "z": tft.scale_to_z_score(inputs["fare"])}
"""
    )
    with caplog.at_level(logging.INFO, "penstock"):
        run = transform("run", module_file=file)
    assert "runs on Beam" in caplog.text
    miles = np.array(raw(taxi_examples, "train", "trip_miles"), np.float32)
    rows = parsed(run, "train")
    np.testing.assert_allclose(np.ravel(rows["x"]), miles / miles.max(), rtol=1e-6)
    assert abs(np.mean(rows["z"])) < 1e-5


class TestMistakes:
    """Each ends in one sentence that names what was expected and what was found."""

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("def preprocess_fn(inputs):\n    return inputs\n", "'preprocessing_fn'; did you mean 'preprocess_fn'"),
            ("def preprocessing_fn(inputs):\n    return [inputs['fare']]\n", "dictionary of tensors.*received list"),
            ("def preprocessing_fn(inputs):\n    return {}\n", "received an empty dictionary"),
            ("def preprocessing_fn(inputs):\n    return {'x': 'fare'}\n", "feature 'x', received str"),
            (
                "def preprocessing_fn(inputs):\n    return {'x': inputs['fair']}\n",
                "no feature 'fair'; did you mean 'fare'",
            ),
            ("def preprocessing_fn(inputs):\n    raise ValueError('so it is')\n", "raised ValueError: so it is"),
            (
                "def preprocessing_fn(inputs):\n    return {'x': tft.mean(inputs['fare'])}\n",
                "value for each row.*scalar",
            ),
            (
                "def preprocessing_fn(inputs):\n"
                "    tft.vocabulary(inputs['company'], vocab_filename='a.b')\n"
                "    return {'x': tft.compute_and_apply_vocabulary(inputs['company'], vocab_filename='a_b')}\n",
                "the vocabularies 'a.b' and 'a_b' would be the same file 'a_b': expected a vocab_filename of its own",
            ),
        ],
        ids=["missing", "list", "empty", "string", "key", "raises", "scalar", "vocabularies"],
    )
    def test_module(self, transform: Transform, module: Module, text: str, message: str) -> None:
        file = module(text)
        with pytest.raises(ModuleError, match=f"(?s){message}") as caught:
            transform("run", module_file=file)
        if "raise" in text or "fair" in text:
            assert f'File "{file}"' in caught.value.details
            assert "site-packages" not in caught.value.details

    def test_a_full_disk_is_not_the_users_fault(self) -> None:
        def save() -> None:
            raise tf.errors.ResourceExhaustedError(None, None, "/tmp/x: No space left on device")

        with pytest.raises(OSError, match="No space left"):
            user_function.call(save)

    def test_a_graph_that_fails_on_the_data(self, transform: Transform, module: Module) -> None:
        file = module(
            "def preprocessing_fn(inputs):\n"
            "    with tf.control_dependencies([tf.debugging.assert_less(inputs['fare'], 1.0, 'too dear')]):\n"
            "        return {'x': tf.identity(inputs['fare'])}\n"
        )
        with pytest.raises(ModuleError, match=r"failed on rows of .*too dear"):
            transform("run", module_file=file)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"splits_config": {"analyze": [], "transform": ["eval"]}}, "at least one split in 'analyze'"),
            ({"splits_config": {"analyse": ["train"]}}, "'analyse'; did you mean 'analyze'"),
            ({"splits_config": {"analyze": "train"}}, r"splits_config\.analyze: expected a list of names"),
            ({"splits_config": "[train"}, "splits_config: expected JSON"),
            ({"custom_config": "[1]"}, "custom_config: expected an object"),
            ({"preprocessing_fn": "package.module.function"}, "either module_file or a dotted path"),
            ({"module_file": ""}, "either module_file or a dotted path"),
            ({"engine": "locale"}, "engine: expected"),
        ],
        ids=str,
    )
    def test_configuration(self, transform: Transform, module: Module, arguments: dict[str, Any], message: str) -> None:
        with pytest.raises(ConfigError, match=message):
            transform("run", **{"module_file": module(SMALL), **arguments})

    def test_split_that_does_not_exist(self, transform: Transform, module: Module) -> None:
        with pytest.raises(DataError, match="split 'test' does not exist: expected one of eval, train"):
            transform("run", module_file=module(SMALL), splits_config={"analyze": ["test"]})

    def test_nothing_to_analyze(self, transform: Transform, taxi_examples: Path, module: Module) -> None:
        for path in Examples(taxi_examples).files("train"):
            records.write(path, [])
        with pytest.raises(DataError, match="split train: expected examples to analyze"):
            transform("run", module_file=module(SMALL))

    @pytest.mark.parametrize(
        ("feature", "column", "message"),
        [
            ("fare", pa.array([[1]] * 20), "feature 'fare': expected float .schema., found int64"),
            ("fare", pa.array([[1.0, 2.0]] * 20, pa.list_(pa.float32())), "'fare': expected 1 value .*, found 2"),
            ("fare", pa.array([[1.0]] * 19 + [None], pa.list_(pa.float32())), "'fare': expected 1 value .*, found 0"),
            ("fare", None, "feature 'fare': expected float in every row .schema., found no such feature"),
        ],
        ids=["type", "shape", "missing value", "missing"],
    )
    @pytest.mark.parametrize("where", [0, 2], ids=["first file", "last file"])
    def test_schema(
        self,
        transform: Transform,
        trips: pa.RecordBatch,
        taxi_examples: Path,
        module: Module,
        feature: str,
        column: pa.Array | None,
        message: str,
        where: int,
    ) -> None:
        columns = {name: trips.column(name).slice(0, 20) for name in trips.schema.names if name != feature}
        if column is not None:
            columns[feature] = column
        path = Examples(taxi_examples).files("train")[where]
        records.write(path, records.encode(pa.RecordBatch.from_pydict(columns)))
        with pytest.raises(SchemaError, match=message):
            transform("run", module_file=module(SMALL))

    def test_a_failed_run_leaves_no_transform_graph(
        self, transform: Transform, taxi_examples: Path, module: Module, tmp_path: Path
    ) -> None:
        records.write(Examples(taxi_examples).files("train")[2], [b"no example"])
        with pytest.raises(DataError, match=r"expected serialized tf\.Examples"):
            transform("run", module_file=module(SMALL))
        files = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
        assert not [path for path in files if path.parent.parent.name != "updated_analyzer_cache"]
        assert not [path for path in files if path.name == "MANIFEST"]  # without it, the entries do not count
