"""The graph: which tasks there are for which configuration, in which order, and what is cached."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from penstock.pipelines.compiling.compile import compile_config
from penstock.pipelines.config.training_pipeline import Config
from penstock.pipelines.targets import target

Load = Callable[..., Config]
Tasks = dict[str, dict[str, Any]]
ALL = [
    "csv-example-gen",
    "evaluator",
    "example-validator",
    "infra-validator",
    "input-resolver",
    "latest-blessed-model",
    "pusher",
    "schema-gen",
    "statistics-gen",
    "trainer",
    "transform",
]


@pytest.fixture
def tasks(load: Load, tmp_path: Path) -> Callable[..., Tasks]:
    """Returns a function that compiles and returns all tasks of the IR by their names, those in a condition too."""

    def tasks(assignments: Sequence[str] = ()) -> Tasks:
        path = compile_config(load(assignments), target.LOCAL, tmp_path / "ir.yaml").path
        spec = yaml.safe_load(path.read_text())
        found: Tasks = dict(spec["root"]["dag"]["tasks"])
        for component in spec["components"].values():
            found.update(component.get("dag", {}).get("tasks", {}))
        return found

    return tasks


def constants(task: dict[str, Any]) -> dict[str, Any]:
    parameters = task["inputs"].get("parameters", {})
    return {name: entry["runtimeValue"]["constant"] for name, entry in parameters.items() if "runtimeValue" in entry}


def producer(task: dict[str, Any], artifact: str) -> str:
    entry = task["inputs"]["artifacts"][artifact]
    if "taskOutputArtifact" in entry:
        return f"{entry['taskOutputArtifact']['producerTask']}.{entry['taskOutputArtifact']['outputArtifactKey']}"
    return str(entry["componentInputArtifact"]).removeprefix("pipelinechannel--")


def names(tasks: Tasks) -> list[str]:
    return sorted(name for name in tasks if not name.startswith(("condition", "importer")))


def test_whole_pipeline(tasks: Callable[..., Tasks]) -> None:
    found = tasks()
    assert names(found) == ALL
    assert producer(found["transform"], "examples") == "csv-example-gen.examples"
    assert producer(found["trainer"], "examples") == "transform.transformed_examples"
    assert producer(found["trainer"], "transform_graph") == "transform.transform_graph"
    assert producer(found["trainer"], "statistics") == "statistics-gen.statistics"
    assert producer(found["evaluator"], "examples") == "csv-example-gen.examples"
    assert producer(found["evaluator"], "baseline_model") == "latest-blessed-model.model"
    assert producer(found["infra-validator"], "model") == "trainer-model"
    assert producer(found["infra-validator"], "examples") == "csv-example-gen-examples"
    assert producer(found["pusher"], "model_blessing") == "evaluator-blessing"
    assert producer(found["pusher"], "infra_blessing") == "infra-validator-blessing"


def test_each_gate_is_waited_for(tasks: Callable[..., Tasks]) -> None:
    """The InfraValidator for the Evaluator, and the Pusher for the InfraValidator."""
    found = tasks()
    for name, gate in (("condition-1", "evaluator"), ("condition-2", "infra-validator")):
        condition = f"inputs.parameter_values['pipelinechannel--{gate}-Output'] == true"
        assert found[name]["triggerPolicy"] == {"condition": condition}
        assert gate in found[name]["dependentTasks"]


def test_what_looks_at_the_world_is_not_cached(tasks: Callable[..., Tasks]) -> None:
    found = tasks()
    uncached = [name for name in names(found) if not found[name]["cachingOptions"].get("enableCache")]
    assert uncached == ["input-resolver", "latest-blessed-model", "pusher"]


def test_training_waits_for_the_validator(tasks: Callable[..., Tasks]) -> None:
    found = tasks(["validation.fail_on_anomalies=true"])
    assert "example-validator" in found["transform"]["dependentTasks"]
    assert "example-validator" in found["trainer"]["dependentTasks"]
    assert constants(found["example-validator"])["fail_on_anomalies"] is True


@pytest.mark.parametrize(
    ("assignments", "missing"),
    [
        (["push=null"], {"pusher", "infra-validator"}),
        (["push=null", "infra_validation={}"], {"pusher"}),
        (["infra_validation=null"], {"infra-validator"}),
        (["evaluation=null"], {"evaluator", "latest-blessed-model"}),
        (["transform=null"], {"transform"}),
        (["validation=null"], {"example-validator"}),
        (
            ["training=null", "evaluation=null", "push=null"],
            {"trainer", "evaluator", "latest-blessed-model", "infra-validator", "pusher"},
        ),
        (
            ["module_file=null", "training=null", "evaluation=null", "push=null"],
            {"transform", "trainer", "evaluator", "latest-blessed-model", "infra-validator", "pusher"},
        ),
    ],
)
def test_sections_that_are_left_out(tasks: Callable[..., Tasks], assignments: list[str], missing: set[str]) -> None:
    assert names(tasks(assignments)) == sorted(set(ALL) - missing)


def test_a_model_is_pushed_by_the_gates_that_there_are(tasks: Callable[..., Tasks]) -> None:
    for without, blessing in (("evaluation", "infra_blessing"), ("infra_validation", "model_blessing")):
        found = tasks([f"{without}=null"])
        assert [name for name in found if name.startswith("condition")] == ["condition-1"]
        assert found["pusher"]["inputs"]["artifacts"].keys() == {"model", blessing}
    found = tasks(["evaluation=null", "infra_validation=null"])
    assert not any(name.startswith("condition") for name in found)
    assert found["pusher"]["inputs"]["artifacts"].keys() == {"model"}


def test_a_model_is_evaluated_where_nobody_asks_for_it_and_pushed_all_the_same(
    tasks: Callable[..., Tasks], values: dict[str, Any]
) -> None:
    del values["evaluation"]
    found = tasks()
    assert names(found) == sorted(set(ALL) - {"latest-blessed-model"})
    evaluator = constants(found["evaluator"])
    assert json.loads(evaluator["eval_config"]) == {
        "metrics_specs": [{}],
        "model_specs": [{"signature_name": "serving_default"}],
        "slicing_specs": [{}],
    }
    assert (evaluator["label"], evaluator["example_splits"]) == ("label", ["eval"])
    assert found["evaluator"]["inputs"]["artifacts"].keys() == {"examples", "model", "schema"}
    assert found["pusher"]["inputs"]["artifacts"].keys() == {"model", "infra_blessing"}
    found = tasks(["evaluation={slices: [a]}"])
    assert names(found) == sorted(ALL)
    assert found["pusher"]["inputs"]["artifacts"].keys() == {"model", "infra_blessing"}, "nothing is blessed"


@pytest.mark.parametrize(
    ("assignments", "evaluated"),
    [
        ([], ["eval"]),
        (["splits={hash_buckets: {train: 3, eval: 1, holdout: 1, test: 1}}"], ["test"]),
        (["splits={hash_buckets: {train: 3, eval: 1, holdout: 1}}"], ["holdout"]),
        (["splits={hash_buckets: {train: 3, test: 1}}", "training={train_steps: 9, eval_splits: [test]}"], ["test"]),
        (["splits={hash_buckets: {train: 3, eval: 1, test: 1}}", "evaluation={splits: [eval]}"], ["eval"]),
        (["splits={hash_buckets: {train: 3, eval: 1, test: 1}}", "evaluation={slices: [a]}"], ["test"]),
    ],
)
def test_a_model_is_evaluated_on_what_training_does_not_see(
    tasks: Callable[..., Tasks], values: dict[str, Any], assignments: list[str], evaluated: list[str]
) -> None:
    del values["evaluation"]
    evaluator = constants(tasks(assignments)["evaluator"])
    assert evaluator["example_splits"] == evaluated
    assert evaluator["train_splits"] == ["train"]


def test_what_the_infra_validator_is_told(tasks: Callable[..., Tasks]) -> None:
    told = constants(tasks()["infra-validator"])
    assert json.loads(told["request_spec"]) == {
        "split_name": "eval",
        "num_examples": 20,
        "make_warmup": True,
        "tensorflow_serving": {"signature_names": []},
    }
    assert json.loads(told["validation_spec"]) == {"max_loading_time_seconds": 300, "num_tries": 5}
    assert (told["budgets"], told["server_url"]) == ("", "")
    settings = "{num_examples: 3, split_name: train, memory: 2Gi, latency_p95_ms: 50, cold_start_seconds: 30}"
    told = constants(tasks([f"infra_validation={settings}"])["infra-validator"])
    assert json.loads(told["request_spec"])["split_name"] == "train"
    assert json.loads(told["budgets"]) == {"memory": "2Gi", "latency_p95_ms": 50.0, "cold_start_seconds": 30.0}
    assert constants(tasks(["infra_validation={num_examples: 0}"])["infra-validator"])["request_spec"] == ""


SCORE = "{output_columns_spec: [{predict_output: {output_columns: [{output_key: scores, output_column: score}]}}]}"


@pytest.mark.parametrize("name", sorted(target.TARGETS))
def test_a_blessed_model_is_asked_in_the_same_run(load: Load, tmp_path: Path, name: str) -> None:
    """By the blessing alone, in no condition: without thresholds any model is asked."""
    assignments = ["bulk_inference.data_spec.example_splits=[eval]", f"bulk_inference.output_example_spec={SCORE}"]
    assignments.append("resources.bulk_inferrer.memory=4G")

    def task(*more: str) -> dict[str, Any]:
        compiled = compile_config(load([*assignments, *more]), target.TARGETS[name], tmp_path / "ir.yaml")
        tasks = yaml.safe_load(compiled.path.read_text())["root"]["dag"]["tasks"]
        found: dict[str, Any] = tasks["bulk-inferrer"]
        return found

    inferrer = task()
    assert producer(inferrer, "examples") == "csv-example-gen.examples"
    assert producer(inferrer, "model") == "trainer.model"
    assert producer(inferrer, "model_blessing") == "evaluator.blessing"
    given = constants(inferrer)
    assert json.loads(given["data_spec"]) == {"example_splits": ["eval"]}
    assert json.loads(given["output_example_spec"]) == yaml.safe_load(SCORE)
    assert "model_blessing" not in task("evaluation=null")["inputs"]["artifacts"]


def test_a_server_that_runs_already_is_asked_in_each_run(tasks: Callable[..., Tasks]) -> None:
    url = "http://localhost:8501/v1/models/taxi"
    task = tasks([f"infra_validation.server_url={url}"])["infra-validator"]
    assert constants(task)["server_url"] == url
    assert not task["cachingOptions"].get("enableCache")


def test_raw_examples_where_transformed_ones_are_not_written(tasks: Callable[..., Tasks]) -> None:
    for assignments in (["transform.materialize=false"], ["transform=null"]):
        assert producer(tasks(assignments)["trainer"], "examples") == "csv-example-gen.examples"
    assert "transform_graph" in tasks(["transform.materialize=false"])["trainer"]["inputs"]["artifacts"]
    assert "transform_graph" not in tasks(["transform=null"])["trainer"]["inputs"]["artifacts"]


@pytest.mark.parametrize(("kind", "task"), [("parquet", "parquet-example-gen"), ("tfrecord", "import-example-gen")])
def test_format_decides_the_example_gen(tasks: Callable[..., Tasks], kind: str, task: str) -> None:
    assert task in tasks([f"data.format={kind}"])


def test_curated_schema_is_imported_and_guides_the_statistics(tasks: Callable[..., Tasks], project: Path) -> None:
    (project / "schema.pbtxt").write_text("")
    found = tasks(["schema.file=schema.pbtxt"])
    assert "schema-gen" not in found
    assert producer(found["statistics-gen"], "schema") == "import-schema-gen.schema"


def test_artifacts_of_earlier_runs_are_imported(tasks: Callable[..., Tasks], project: Path) -> None:
    for name in ("before", "served", "model", "cache"):
        (project / name).mkdir()
    (project / "best.json").write_text("{}")
    found = tasks(
        [
            "validation={previous_statistics: before, serving_statistics: served}",
            "training={base_model: model, hyperparameters: best.json}",
            "transform.analyzer_cache=cache",
        ]
    )
    uris = {
        name: task["inputs"]["parameters"]["uri"]["runtimeValue"]["constant"]
        for name, task in found.items()
        if name.startswith("importer")
    }
    for consumer, artifact, folder in [
        ("example-validator", "previous_statistics", "before"),
        ("example-validator", "serving_statistics", "served"),
        ("trainer", "base_model", "model"),
        ("transform", "analyzer_cache", "cache"),
    ]:
        assert uris[producer(found[consumer], artifact).removesuffix(".artifact")] == str(project / folder)
    assert Path(uris[producer(found["trainer"], "hyperparameters").removesuffix(".artifact")]).parent.name != "project"


def test_what_means_missing_is_decided_where_no_module_does(tasks: Callable[..., Tasks], project: Path) -> None:
    (project / "data.csv").write_text("a,label\n1,0\n2,1\n")
    reader, without = "csv-example-gen", ["module_file=null", "training={}"]
    assert "csv_options" not in constants(tasks()[reader])  # with a module as TFX
    assert json.loads(constants(tasks(without)[reader])["csv_options"]) == {"null_values": "auto"}
    asked = tasks(["data.csv.null_values=auto", 'data.csv.quote_char="\'"'])[reader]
    assert json.loads(constants(asked)["csv_options"]) == {"quote_char": "'", "null_values": "auto"}
    none = tasks([*without, "data.csv.null_values=[]"])[reader]
    assert json.loads(constants(none)["csv_options"]) == {"null_values": []}


def test_settings_reach_their_tasks(tasks: Callable[..., Tasks], project: Path) -> None:
    (project / "data.csv").write_text("a;label\n1;0\n2;1\n")
    found = tasks(
        [
            "data.csv={delimiter: ';', null_values: [NA]}",
            "splits={hash_buckets: {train: 3, eval: 1, test: 1}, partition_feature: a}",
            "statistics={sample_rate: 0.5, exclude_splits: [test], stats_options: {num_top_values: 3}}",
            "transform={transform: [train, eval], custom_config: {x: 1}, disable_statistics: true}",
            "training={custom_config: {rate: 0.1}, run_fn: run_fn, train_splits: [train, test]}",
            "evaluation.splits=[eval, test]",
            "engine='local:3'",
        ]
    )
    reader = constants(found["csv-example-gen"])
    assert json.loads(reader["csv_options"]) == {"delimiter": ";", "null_values": ["NA"]}
    assert json.loads(reader["output_config"]) == {
        "split_config": {
            "splits": [
                {"name": "train", "hash_buckets": 3},
                {"name": "eval", "hash_buckets": 1},
                {"name": "test", "hash_buckets": 1},
            ],
            "partition_feature_name": "a",
        }
    }
    assert reader["label"] == constants(found["example-validator"])["label"] == "label"
    assert json.loads(constants(found["statistics-gen"])["stats_options"]) == {"num_top_values": 3, "sample_rate": 0.5}
    assert constants(found["statistics-gen"])["exclude_splits"] == ["test"]
    transform = constants(found["transform"])
    assert json.loads(transform["splits_config"]) == {"analyze": ["train"], "transform": ["train", "eval"]}
    assert (json.loads(transform["custom_config"]), transform["disable_statistics"]) == ({"x": 1}, True)
    assert json.loads(constants(found["trainer"])["custom_config"]) == {"rate": 0.1}
    steps = constants(found["trainer"])["train_args"]
    assert json.loads(steps.replace("{{$.inputs.parameters['pipelinechannel--train_steps']}}", "7")) == {
        "num_steps": 7,
        "splits": ["train", "test"],
    }
    assert constants(found["evaluator"])["example_splits"] == ["eval", "test"]
    assert {constants(found[name])["engine"] for name in ("csv-example-gen", "transform", "evaluator")} == {"local:3"}


def test_input_splits_and_spans_are_parameters(load: Load, project: Path, tmp_path: Path) -> None:
    for folder in ("train", "eval"):
        (project / folder).mkdir()
    config = load(
        [
            "data.path=.",
            "data.splits={train: 'train/{SPAN}.csv', eval: 'eval/{SPAN}.csv'}",
            "data.range_config={rolling_range: {num_spans: 2}}",
        ]
    )
    compiled = compile_config(config, target.LOCAL, tmp_path / "ir.yaml")
    arguments = compiled.arguments
    assert arguments["input_base"] == str(project)
    assert json.loads(arguments["input_config"]) == {
        "splits": [{"name": "train", "pattern": "train/{SPAN}.csv"}, {"name": "eval", "pattern": "eval/{SPAN}.csv"}]
    }
    assert json.loads(arguments["range_config"]) == {"rolling_range": {"num_spans": 2}}
    spec = yaml.safe_load(compiled.path.read_text())
    defined = spec["root"]["inputDefinitions"]["parameters"]
    assert {name: entry.get("defaultValue", "") for name, entry in defined.items()} == arguments
    assert "output_config" not in constants(spec["root"]["dag"]["tasks"]["csv-example-gen"])
