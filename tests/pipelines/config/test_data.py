"""Paths of data that look like patterns, special files, spans as dates; what the section `splits` becomes."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest

from penstock.components.example_gen import configs as example_gen_configs
from penstock.core.artifacts import By
from penstock.core.errors import ConfigError
from penstock.core.files import patterns
from penstock.pipelines import training
from penstock.pipelines.config import training_pipeline as configs
from penstock.pipelines.config.data import Splits
from penstock.pipelines.config.training_pipeline import Config
from penstock.pipelines.modules.published import Published

Load = Callable[..., Config]
TFX = {"splits": [{"name": "train", "hash_buckets": 2}, {"name": "eval", "hash_buckets": 1}]}


@pytest.mark.parametrize("name", ["rows[1].csv", "{SPAN}.csv", "what?.csv", "a*.csv"])
def test_a_file_that_exists_is_no_pattern(name: str, load: Load, project: Path) -> None:
    data = load([f"data.path={json.dumps(name)}"]).data
    assert data.patterns == [("single_split", name)]
    (project / name).write_text("x,y\n1,2\n")
    data = load([f"data.path={json.dumps(name)}"]).data
    assert (data.input_base, data.patterns) == (str(project), [("single_split", patterns.escape(name))])
    assert data.file_format == "csv"
    (project / "parts[1]").mkdir()
    splits = load(["data={path: 'parts[1]', splits: {train: 'a*', eval: 'b*'}}", "splits=null"]).data
    assert (splits.input_base, splits.patterns) == (str(project / "parts[1]"), [("train", "a*"), ("eval", "b*")])


DATED = "data.path='{YYYY}-{MM}-{DD}.csv'"


@pytest.mark.parametrize(
    "value",
    ["{static_range: {start_span_number: 2026-01-30, end_span_number: 2026-01-31}}",
     "{static_range: {start_span_number: 20260130, end_span_number: 2026-01-31}}",
     "{static_range: {start_span_number: 20483, end_span_number: 20484}}",
     "{rolling_range: {num_spans: 3, start_span_number: 2026-01-30}}"],
)  # fmt: skip
def test_spans_may_be_dates(load: Load, value: str) -> None:
    """They reach the component as they were written, and mean the same there."""
    config = load([DATED, f"data.range_config={value}"])
    wanted = example_gen_configs.span_range(training.parameters(config, Published())["range_config"], dated=True)
    assert wanted is not None
    assert (wanted.first, wanted.last or 20484) == (20483, 20484)


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        (DATED, "{static_range: {start_span_number: 2026-01-31, end_span_number: 2026-01-30}}",
         "end_span_number: expected 2026-01-31 or more, received less"),
        (DATED, "{static_range: {start_span_number: 2026-02-30, end_span_number: 2026-03-01}}",
         "start_span_number: expected a span's number, or a date such as 2026-01-31, received '2026-02-30'"),
        (DATED, "{rolling_range: {num_spans: 1, start_span_number: -3}}", "a date such as 2026-01-31, received -3"),
        (DATED, "{rolling_range: {num_spans: 1, start_span_number: true}}", "expected a number, received true"),
        ("data.path='s-{SPAN}.csv'", "{rolling_range: {num_spans: 1, start_span_number: 2026-01-30}}",
         "data.range_config: 2026-01-30: expected numbers of spans: no pattern has {YYYY}, {MM} and {DD}"),
    ],
)  # fmt: skip
def test_spans_that_mean_nothing(load: Load, path: str, value: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load([path, f"data.range_config={value}"])
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", ["data.path", "module_file", "schema.file", "validation.previous_statistics"])
def test_pipes_are_no_files(load: Load, project: Path, key: str) -> None:
    """Reading one would wait for ever."""
    os.mkfifo(project / "pipe")
    with pytest.raises(ConfigError, match=rf"{key}: .*/pipe is a named pipe: expected a file"):
        load([f"{key}=pipe"])


def test_a_configuration_is_no_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipeline.yaml")
    with pytest.raises(ConfigError, match=r"pipeline.yaml is a named pipe: expected a YAML file"):
        configs.load(tmp_path / "pipeline.yaml")
    with pytest.raises(ConfigError, match=r"/dev/null is a device: expected a YAML file"):
        configs.load(Path("/dev/null"))


@pytest.mark.parametrize("name", ["my [1]", "a\\b"])
def test_folders_in_which_tensorflow_finds_no_model(load: Load, project: Path, name: str) -> None:
    """It restores a model's variables by a pattern, and so would fail at the first one, in Transform."""
    (project / name).mkdir()
    for key in ("pipeline_root", "push.directory", "training.base_model"):
        with pytest.raises(ConfigError, match=rf"{key}: .*TensorFlow finds no model in a folder with . in its path: e"):
            load([f"{key}='{name}'"])
    assert load([f"pipeline_root='{name}'", "training=null", "evaluation=null", "push=null", "module_file=null"])
    assert load(["pipeline_root='a*b {x}'"]).pipeline_root == str(project / "a*b {x}")


@pytest.mark.parametrize(
    ("splits", "config"),
    [
        ({}, TFX | {"by": "auto"}),
        ({"by": "content"}, TFX),
        ({"by": "row"}, TFX | {"by": "row"}),
        ({"by": "random"}, TFX | {"by": "random"}),
        ({"by": "random", "seed": 7, "stratify": True}, TFX | {"by": "random", "seed": 7, "stratify": True}),
        ({"partition_feature": "x"}, TFX | {"partition_feature_name": "x"}),
        ({"hash_buckets": {"b": 1, "a": 3}, "by": "content"},
            {"splits": [{"name": "b", "hash_buckets": 1}, {"name": "a", "hash_buckets": 3}]}),
    ],
)  # fmt: skip
def test_example_gen_reads_what_a_person_writes(splits: dict[str, Any], config: dict[str, Any]) -> None:
    section = Splits(**splits)
    assert section.output_config("auto") == config
    read = example_gen_configs.output_splits(json.dumps({"split_config": config}), ["single_split"], "label")
    assert dict(zip(read.names, read.buckets, strict=True)) == section.hash_buckets
    assert read.partition_feature_name == (section.partition_feature or "")
    assert read.by == ("content" if section.partition_feature else section.by or "auto")
    assert (read.seed, read.stratify) == (section.seed or 0, "label" if section.stratify else "")


def test_a_module_keeps_tfx_splits() -> None:
    assert Splits().output_config("content") == TFX
    assert get_args(By) == example_gen_configs.BY


@pytest.mark.parametrize(
    ("assignment", "sentence"),
    [
        ("{by: hash}", "splits.by: expected 'auto', 'content', 'row' or 'random', received 'hash'"),
        ("{by: row, partition_feature: x}", "splits.by: row: expected none beside partition_feature"),
        ("{seed: 3}", "splits.seed: expected by: random with it, received none"),
        ("{by: row, stratify: true}", "splits.stratify: expected by: random with it, received row"),
    ],
)
def test_mistakes(load: Load, assignment: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load([f"splits={assignment}"])
    assert sentence in str(caught.value)


def test_stratify_needs_a_label(load: Load) -> None:
    with pytest.raises(ConfigError, match=r"splits.stratify: expected a label"):
        load(["splits={by: random, stratify: true}", "label=null"])


def test_files_in_part_and_in_folders_are_read_by_a_reader_of_their_own(load: Load, project: Path) -> None:
    (project / "trips" / "year=2026").mkdir(parents=True)
    (project / "trips" / "year=2026" / "part.orc").touch()
    data = load(["data={path: trips, partitions: hive, columns: [x, year]}"]).data
    assert (data.file_format, data.patterns) == ("orc", [("single_split", "**/*")])
    assert data.file_options(without_code=True) == {"columns": ["x", "year"], "partitions": "hive"}
    one = load(["data={path: trips, splits: {all: ['year=2025/*.orc', 'year=2026/*.orc']}}"])
    given = training.parameters(one, Published())
    patterns_given = [split["pattern"] for split in json.loads(given["input_config"])["splits"]]
    assert patterns_given == ["year=2025/*.orc", "year=2026/*.orc"]
    for name, reader in (("x.csv", "csv"), ("x.jsonl", "json"), ("x.json.gz", "json"), ("x.avro", "avro")):
        (project / name).touch()
        assert load([f"data={{path: {name}}}"]).data.file_format == reader


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ("{path: a.tfrecord, columns: [x]}", "columns: expected none for TFRecord files, whose records are taken as"),
        ("{path: a.tfrecord, partitions: hive}", "partitions: expected none for TFRecord files"),
        ("{path: a.csv, splits: {train: []}}", "splits"),
        ("{custom: {class: a.B}, columns: [x]}", "columns: it is of files: expected a path"),
    ],
)
def test_what_is_said_of_files_that_have_no_such(data: str, sentence: str, load: Load, project: Path) -> None:
    for name in ("a.tfrecord", "a.csv"):
        (project / name).touch()
    with pytest.raises(ConfigError, match=sentence):
        load([f"data={data}"])


def test_several_paths_are_patterns_below_the_folder_that_they_share(load: Load, project: Path) -> None:
    for name in ("2024/a.csv", "2025/b.csv", "odd[1]/c.csv"):
        (project / name).parent.mkdir()
        (project / name).write_text("x,y\n1,2\n")
    data = load(["data={path: ['2024/*.csv', '2025', 2025/b.csv, 'odd[1]/*.csv']}"]).data
    assert data.input_base == str(project)
    assert [pattern for _, pattern in data.patterns] == ["2024/*.csv", "2025/*", "2025/b.csv", "odd[[]1]/*.csv"]
    assert {name for name, _ in data.patterns} == {"single_split"}
    assert data.local_paths() == {"path": str(project)}
    assert load(["data={path: ['2024']}"]).data.input_base == str(project / "2024")
    hive = load(["data={path: ['2024', '2025'], partitions: hive}"]).data
    assert [pattern for _, pattern in hive.patterns] == ["2024/**/*", "2025/**/*"]
    bucket = load(["data={path: ['s3://trips/2024/a.parquet', 's3://trips/2025/*.parquet']}"]).data
    assert (bucket.input_base, bucket.file_format) == ("s3://trips", "parquet")
    assert [pattern for _, pattern in bucket.patterns] == ["2024/a.parquet", "2025/*.parquet"]
    joined = load(
        ["data={splits: {train: {path: ['2024/*.csv', '2025/*.csv']}, eval: {path: '2024/*.csv'}}}", "splits=null"]
    )
    of_splits = json.loads(joined.data.input_base_text(True))["splits"]
    assert of_splits["train"]["files"]["pattern"] == ["2024/*.csv", "2025/*.csv"]
    assert of_splits["eval"]["files"]["pattern"] == "*.csv"


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("[]", "path"),
        (
            "['s3://a/x.csv', 's3://b/x.csv']",
            r"path: expected patterns below one folder, received s3://a/x\.csv and s3:",
        ),
        ("['s3://a/x.csv', x.csv]", "path: expected patterns below one folder"),
        ("[nowhere.csv]", r"path: .*nowhere\.csv .*expected a file, a folder or a pattern"),
        ("['dvc://a', 'dvc://b']", "path: expected one dvc:// path alone"),
        (
            "['s3://a/x.csv', 's3://a/y.parquet']",
            r"expected files of one format, received s3://a/x\.csv and s3://a/y\.p",
        ),
        ("['*.csv'], splits: {train: a}", "splits: expected path to be the folder"),
    ],
)
def test_paths_that_are_not_together(path: str, sentence: str, load: Load, project: Path) -> None:
    (project / "x.csv").write_text("x\n1\n")
    with pytest.raises(ConfigError, match=sentence):
        load([f"data={{path: {path}}}", "splits=null"])
