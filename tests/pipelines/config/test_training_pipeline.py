"""The configuration: what is read, and that every mistake is one sentence with the place and what to do."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from penstock.core.errors import ConfigError
from penstock.pipelines.config import file as config_file
from penstock.pipelines.config import training_pipeline as configs
from penstock.pipelines.config.training_pipeline import Config

Load = Callable[..., Config]


def test_json_schema_is_not_stale() -> None:
    committed = json.loads(configs.SCHEMA_FILE.read_text())
    assert committed == configs.json_schema(), "write it anew: python -m penstock.pipelines.config.training_pipeline"


def test_every_key_has_a_description() -> None:
    without = [path for path, info in config_file.fields(Config) if not info.description]
    assert without == []


def test_paths_are_relative_to_the_file(load: Load, project: Path) -> None:
    config = load()
    assert config.module_file == str(project / "module.py")
    assert config.pipeline_root == str(project / "runs" / "small")
    assert (config.data.input_base, config.data.patterns) == (str(project), [("single_split", "data.csv")])


def test_name_is_the_folders(load: Load, values: dict[str, Any], project: Path) -> None:
    del values["name"]
    config = load()
    assert config.name == "project"
    assert config.pipeline_root == str(project / "runs" / "project")


def test_two_files_in_a_folder_are_two_pipelines(load: Load, values: dict[str, Any], project: Path) -> None:
    del values["name"]
    load()
    other = project / "Other one.yaml"
    other.write_text((project / "pipeline.yaml").read_text())
    config = configs.load(other)
    assert (config.name, config.pipeline_root) == ("other-one", str(project / "runs" / "other-one"))


def test_what_is_never_blessed_cannot_be_pushed(load: Load, values: dict[str, Any]) -> None:
    def evaluation(threshold: dict[str, Any]) -> dict[str, Any]:
        metric = {"class_name": "AUC", **threshold}
        return {"eval_config": {"model_specs": [{"label_key": "y"}], "metrics_specs": [{"metrics": [metric]}]}}

    values.update(training={}, push={"directory": "serving"}, evaluation=evaluation({}))
    with pytest.raises(ConfigError, match="eval_config: no metric has a threshold, so no model is ever blessed, and"):
        load()
    values["evaluation"] = evaluation({"threshold": {"value_threshold": {"lower_bound": 0.6}}})
    assert load().gates
    values.update(evaluation=evaluation({}), push=None)
    assert load().push is None


def test_path_inside_a_package(load: Load, taxi_csv: Path) -> None:
    """Tasks find it where they run, so it stays as it is; on this machine it is looked at all the same."""
    folder = "package:tfx/examples/chicago_taxi_pipeline/data/simple"
    data = load([f"data.path={folder}"]).data
    assert (data.input_base, data.patterns) == (folder, [])
    assert data.base_here == taxi_csv.parent
    data = load([f"data.path={folder}/data.csv"]).data
    assert (data.input_base, data.patterns) == (f"{folder}/data.csv", [])
    data = load([f"data.path={folder}/*.csv"]).data
    assert (data.input_base, data.patterns) == (folder, [("single_split", "*.csv")])
    data = load([f"data.path={folder}", "data.splits={train: 'd*.csv', eval: 'e*.csv'}", "splits=null"]).data
    assert (data.input_base, data.patterns) == (folder, [("train", "d*.csv"), ("eval", "e*.csv")])


def test_path_inside_a_package_that_this_environment_lacks(load: Load) -> None:
    """A pipeline is compiled for a cluster without it: of the files, only what `path` says is known."""
    data = load(["data.path=package:no_such/trips.parquet"]).data
    assert (data.input_base, data.patterns, data.file_format) == ("package:no_such/trips.parquet", [], "parquet")
    assert load(["data.path=package:no_such/trips"]).data.file_format == "csv"
    assert data.here is None
    with pytest.raises(ConfigError, match=r"data.path: no package 'no_such' in this environment: .* `pip install no_s"):
        data.require_package()


@pytest.mark.parametrize(
    ("path", "base", "pattern"),
    [
        ("days/{YYYY}-{MM}-{DD}/*.csv", "days", "{YYYY}-{MM}-{DD}/*.csv"),
        ("span-{SPAN}/v{VERSION}/data.csv", "", "span-{SPAN}/v{VERSION}/data.csv"),
        ("*.csv", "", "*.csv"),
    ],
)
def test_patterns(load: Load, project: Path, path: str, base: str, pattern: str) -> None:
    data = load([f"data.path='{path}'"]).data
    assert Path(data.input_base) == project / base
    assert data.patterns == [("single_split", pattern)]


@pytest.mark.parametrize(
    ("name", "kind"), [("x.csv", "csv"), ("x.tsv.gz", "csv"), ("x.parquet", "parquet"), ("x.tfrecord.gz", "tfrecord")]
)
def test_format_follows_the_suffix(load: Load, project: Path, name: str, kind: str) -> None:
    folder = project / "inputs"
    folder.mkdir()
    (folder / name).touch()
    assert load([f"data.path=inputs/{name}"]).data.file_format == kind
    assert load(["data.path=inputs"]).data.file_format == kind
    assert load(["data.path=inputs", "data.format=tfrecord"]).data.file_format == "tfrecord"


def test_values_are_those_of_yaml_1_2(load: Load, values: dict[str, Any]) -> None:
    text = yaml.safe_dump(values) + "validation:\n  fail_on_anomalies: true\n"
    text = text.replace("label: label", "label: no").replace("min: 0.5", "min: 5e-1")
    config = load(text=text)
    assert config.label == "no"
    assert config.evaluation is not None
    assert config.evaluation.thresholds["auc"].min == 0.5
    assert config.validation is not None
    assert config.validation.fail_on_anomalies is True


def test_no_csv_options_are_none(load: Load, project: Path) -> None:
    (project / "rows.parquet").touch()
    assert load(["data.path=rows.parquet", "data.csv={}"]).data.csv is None
    with pytest.raises(ConfigError, match="csv: expected no CSV options for parquet data"):
        load(["data.path=rows.parquet", "data.csv.delimiter=;"])


def test_overrides_are_yaml(load: Load) -> None:
    config = load(["training.train_steps=7", "training.custom_config={rate: 0.1}", "evaluation.slices=[a, [a, b]]"])
    assert config.training is not None
    assert config.training.train_steps == 7
    assert config.training.custom_config == {"rate": 0.1}
    assert config.evaluation is not None
    assert config.evaluation.slices == ["a", ["a", "b"]]


def test_override_makes_sections_and_reaches_list_items(load: Load) -> None:
    config = load(
        ["splits.hash_buckets={train: 3, eval: 1}", "statistics.sample_rate=0.5", "evaluation.metrics.0=mean_label"]
    )
    assert config.splits is not None
    assert config.splits.hash_buckets == {"train": 3, "eval": 1}
    assert config.statistics.sample_rate == 0.5
    assert config.evaluation is not None
    assert config.evaluation.metrics == ["mean_label"]


def test_nothing_changes_once_read(load: Load) -> None:
    config = load()
    with pytest.raises(ValueError, match="frozen"):
        config.label = "other"  # type: ignore[misc]


BASE = "name: small\ndata:\n  path: data.csv\nlabel: label\n"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("lable: x\n", "pipeline.yaml:5: unknown key 'lable'; did you mean 'label'?"),
        (
            "training:\n  train_step: 3\n",
            "pipeline.yaml:6: unknown key 'training.train_step'; did you mean 'train_steps'?",
        ),
        ("eval_steps: 3\n", "pipeline.yaml:5: unknown key 'eval_steps'; did you mean 'training.eval_steps'?"),
        (
            "push:\n  bucket: 3\n  directory: x\n",
            "pipeline.yaml:6: unknown key 'push.bucket'; expected one of canary, directory",
        ),
        ("push: {}\n", "pipeline.yaml:5: push: expected a place to push to: directory, vertex_ai, kserve, sagemaker"),
        (
            "statistics:\n  sample_rate: 2\n",
            "pipeline.yaml:6: statistics.sample_rate: expected less than or equal to 1, received 2",
        ),
        ("schema:\n  file: nix.pbtxt\n", "pipeline.yaml:6: schema.file: "),
        ("module_file: nix.py\n", "pipeline.yaml:5: module_file: "),
        ("module_file: .\n", "is a folder: expected a file"),
        ("module_file: module.py\nmodule_path: a.b\n", "expected either module_file or module_path, received both"),
        (
            "training: {train_steps: 3}\n",
            "pipeline.yaml:5: training.train_steps: there is no module_file whose function it is for; expected epochs",
        ),
        ("training: null\npush: {directory: x}\n", "pipeline.yaml:6: push: there is no model: expected a training"),
        ("label: again\n", "pipeline.yaml:5: key 'label' is here again, first in line 4"),
        ("x: [\n", "pipeline.yaml:6: this is not YAML"),
        (
            "features: {day: {format: %d.%m.%Y}}\n",
            "pipeline.yaml:5: this is not YAML: found character '%' that cannot start any token; text that begins"
            " with % stands in quotes",
        ),
        (
            "bulk_inference:\n  data_spec: {example_splits: [test]}\n",
            "bulk_inference.data_spec.example_splits: no split 'test': expected one of train, eval",
        ),
        (
            "bulk_inference:\n  output_example_spec: {output_columns_spec: [{regress_output: {}}]}\n",
            "output_columns_spec[0].regress_output: expected the name of a column in value_column",
        ),
        (
            "bulk_inference: {}\ntraining: null\nevaluation: null\npush: null\n",
            "bulk_inference: there is no model: expected a training section",
        ),
        (
            "statistics:\n  exclude_splits: [test]\n",
            "pipeline.yaml:6: statistics.exclude_splits: no split 'test': expected one of train, eval",
        ),
        (
            "splits:\n  hash_buckets: {train: 0}\n",
            "pipeline.yaml:6: splits.hash_buckets.train: expected greater than 0",
        ),
        ("splits:\n  hash_buckets: {a/b: 1}\n", "pipeline.yaml:6: splits.hash_buckets.a/b"),
        (
            "engine: lokal\n",
            "pipeline.yaml:5: engine: expected local or, with N workers, local:N, such as local:4",
        ),
    ],
)
def test_mistakes_are_one_sentence_with_the_line(load: Load, text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(text=BASE + text)
    assert sentence in caught.value.message
    assert caught.value.exit_code == 2
    assert "\n" not in caught.value.message
    assert caught.value.details == ""


def test_all_mistakes_are_told(load: Load) -> None:
    with pytest.raises(ConfigError) as caught:
        load(text=BASE + "lable: x\nstatistics:\n  sample_rate: many\n")
    assert caught.value.message == "pipeline.yaml has 2 mistakes"
    first, second = sorted(caught.value.details.splitlines())
    assert first.startswith("pipeline.yaml:5: unknown key 'lable'")
    assert second.startswith("pipeline.yaml:7: statistics.sample_rate: expected a number")


@pytest.mark.parametrize(
    ("assignment", "sentence"),
    [
        ("training.train_steps=many", "--set training.train_steps: expected a whole number, received 'many'"),
        ("training.train_steps=true", "--set training.train_steps: expected a number, received true"),
        ("splits.hash_buckets.eval=true", "--set splits.hash_buckets.eval: expected a number, received true"),
        ("statistics.sample_rate=true", "--set statistics.sample_rate: expected a number, received true"),
        ("evaluation.thresholds.auc.min=false", "auc.min: expected a number, received false"),
        ("evaluation.slices=[{a: true}]", "expected a number, received true"),
        ("resources={trainer: {accelerator: {type: L4, count: true}}}", "count: expected a number, received true"),
        ("training.train_steps=1.5", "training.train_steps: expected a whole number, received 1.5"),
        ("name=A_b", "--set name: expected small letters, digits and dashes, a dash not first, 128 at most, received"),
        ("module_path=a-b", "module_path: expected a dotted path, such as package.module; a file is a module_file,"),
        ("splits.hash_buckets={a b: 1}", "a b: expected a split's name of letters, digits, _ and -, received 'a b'"),
        ("resources={trainer: {memory: lots}}", "expected bytes with a unit of Kubernetes, such as 16G or 512Mi, rec"),
        ("kubernetes={trainer: {volumes: [{claim: a, mount: b}]}}", "mount: expected an absolute path, such as /data"),
        ("label=3", "label: expected text, received 3"),
        ("training=true", "training: expected keys with values, received True"),
        ("transform.analyze=[]", "transform.analyze: expected at least one, received []"),
        ("transform.analyze=train", "transform.analyze: expected a list, received 'train'"),
        ("transform.materialize=3", "transform.materialize: expected true or false, received 3"),
        (
            "data.format=excel",
            "data.format: expected 'avro', 'csv', 'json', 'orc', 'parquet' or 'tfrecord', received 'excel'",
        ),
        ("trainin.train_steps=3", "--set trainin.train_steps: unknown key 'trainin'; did you mean 'training'?"),
        ("train_steps=3", "--set train_steps: unknown key 'train_steps'; did you mean 'training.train_steps'?"),
        ("label", "--set label: expected key=value, such as training.train_steps=100"),
        ("label=[", "--set label: this is not YAML"),
        ("features.day.format=%d/%m/%Y", "; text that begins with % stands in quotes"),
        (
            "evaluation.metrics.3=auc",
            "--set evaluation.metrics.3: expected the number of an item, 0 to 0, received '3'",
        ),
        ("data.path=nix", "--set data.path: "),
        ("evaluation.metrics=[auk]", "evaluation.metrics: unknown metric 'auk'; did you mean 'AUC'?"),
        ("data.path=package:tfx/nix", "/tfx/nix does not exist: expected a file, a folder or a pattern"),
        ("data.path=package:no-such/x", "data.path: expected package:NAME/path with the name that Python imports, rec"),
        ("module_file=package:no_such/x.py", "module_file: no package 'no_such' in this environment: install it"),
        (
            "data={path: package:tfx/__init__.py, splits: {train: a*, test: b*}}",
            "expected path to be the folder that the splits' patterns are relative to",
        ),
        (
            "data.splits={train: a*, test: b*}",
            "expected path to be the folder that the splits' patterns are relative to",
        ),
        ("data.csv={delimeter: x}", "unknown key 'data.csv.delimeter'; did you mean 'delimiter'?"),
        ("data.csv={delimiter: ;;}", "data.csv.delimiter: expected one ASCII character, received ';;'"),
        ("data.csv.delimiter=\\t", "data.csv.delimiter: expected one ASCII character, received '\\\\t'; a tab is \""),
        ("data.csv.delimiter='\"'", "data.csv.delimiter: expected another than quote_char, both are"),
        ("data.csv.quote_char=''", "data.csv.quote_char: expected one ASCII character, received ''"),
        ("data.csv.encoding=utf-9", "data.csv.encoding: unknown encoding 'utf-9'; did you mean 'utf-"),
        ("data.range_config={}", "expected either rolling_range or static_range"),
        ("evaluation.eval_config={model_specs: [{label_kay: x}]}", "label_kay"),
        ("evaluation.eval_config={slicing_specs: [{}]}", "received eval_config and metrics"),
    ],
)
def test_mistakes_on_the_command_line(load: Load, assignment: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load([assignment])
    assert sentence in str(caught.value)


def test_missing_file_folder_and_list(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no configuration at .*nix.yaml: expected a YAML file"):
        configs.load(tmp_path / "nix.yaml")
    with pytest.raises(ConfigError, match=r"is a folder: expected a YAML file"):
        configs.load(tmp_path)
    (tmp_path / "list.yaml").write_text("- a\n")
    with pytest.raises(ConfigError, match=r"list.yaml: expected keys with values"):
        configs.load(tmp_path / "list.yaml")
    (tmp_path / "latin.yaml").write_bytes("label: ä\n".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"latin.yaml: expected UTF-8 text"):
        configs.load(tmp_path / "latin.yaml")


def test_keys_below_a_persons_own_names_are_listed(load: Callable[..., Config]) -> None:
    with pytest.raises(ConfigError, match=r"thresholds\.auc\.minimum'; did you mean 'min'"):
        load(["evaluation.thresholds.auc.minimum=0.5"])
    with pytest.raises(ConfigError, match="expected one of better_than_trivial, change, every_slice"):
        load(["evaluation.thresholds.auc.zz=0.5"])


@pytest.mark.parametrize("name", ["br[1]", "{SPAN}", "what?", "a*"])
def test_a_folder_that_exists_is_no_pattern(name: str, load: Callable[..., Config], project: Path) -> None:
    folder = project / name
    folder.mkdir()
    (folder / "rows.csv").write_text("x,y\n1,2\n")
    file = load([f"data.path={json.dumps(f'{name}/rows.csv')}"]).data
    assert (file.input_base, file.patterns) == (str(folder), [("single_split", "rows.csv")])
    below = load([f"data.path={json.dumps(f'{name}/span-{{SPAN}}/*.csv')}"]).data
    assert (below.input_base, below.patterns) == (str(folder), [("single_split", "span-{SPAN}/*.csv")])
    assert load([f"data.path={json.dumps(name)}"]).data.input_base == str(folder)


def test_settings_of_a_task_that_is_not_there_are_told(load: Callable[..., Config]) -> None:
    settings = ["tasks.pusher={env: {A: b}}", "resources.tuner={cpu: 2}", "kubernetes.trainer={timeout: 60}"]
    assert load([*settings, "push=null"]).idle_settings == (
        "resources.tuner, tasks.pusher: the pipeline has no such task; sections that are left out: tuning, push"
    )
    assert load(settings[:1]).idle_settings == ""
    inferrer = ["resources.bulk_inferrer={cpu: 2}"]
    idle = "resources.bulk_inferrer: the pipeline has no such task; sections that are left out: bulk_inference"
    assert load(inferrer).idle_settings == idle
    assert load([*inferrer, "bulk_inference={}"]).idle_settings == ""


def test_a_retrained_model_that_nothing_keeps_from_being_pushed_is_warned_of(load: Callable[..., Config]) -> None:
    retrains = "monitoring={retraining: {}}"
    assert load([retrains]).pushes_any == ""
    assert load([retrains, "push=null", "evaluation={}"]).pushes_any == ""
    assert "pushed however good it is" in load([retrains, "evaluation={}"]).pushes_any
    assert load(["evaluation={}"]).pushes_any == ""
