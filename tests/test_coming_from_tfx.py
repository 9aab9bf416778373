"""docs/coming_from_tfx.md: its pipeline of TFX and its configuration are whole, and mean the same."""

import re
from typing import Any

import pytest
import yaml
from google.protobuf import json_format
from tensorflow_model_analysis.proto.config_pb2 import EvalConfig

from penstock.pipelines.cli import main
from tests.test_docs import DOCS

# What runs in a pipeline of ours for a component of TFX's.
TASKS = {
    "CsvExampleGen": "csv-example-gen",
    "StatisticsGen": "statistics-gen",
    "SchemaGen": "schema-gen",
    "ExampleValidator": "example-validator",
    "Transform": "transform",
    "Trainer": "trainer",
    "latest_blessed_model_resolver": "latest-blessed-model",
    "Evaluator": "evaluator",
    "Pusher": "pusher",
}
PAGE = (DOCS / "coming_from_tfx.md").read_text()


def block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```$", PAGE, re.M | re.S)
    assert found is not None
    return found[1]


@pytest.fixture(scope="module")
def theirs() -> Any:
    """The pipeline of TFX, made by its own classes."""
    names: dict[str, Any] = {}
    exec(compile(block("python"), "coming_from_tfx.md", "exec"), names)
    return names["create_pipeline"]("data", "taxi_utils.py", "serving", "root")


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The configuration, compiled."""
    folder = tmp_path_factory.mktemp("coming_from_tfx")
    (folder / "pipeline.yaml").write_text(block("yaml"))
    compiled = folder / "compiled.yaml"
    assert main.main(["compile", str(folder / "pipeline.yaml"), "--target", "local", "-o", str(compiled)]) == 0
    document: dict[str, Any] = next(yaml.safe_load_all(compiled.read_text()))
    return document


def _tasks(node: dict[str, Any], document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Returns all tasks of a pipeline by name, also those below conditions."""
    tasks = {}
    for name, task in node["dag"]["tasks"].items():
        component = document["components"][task["componentRef"]["name"]]
        tasks |= _tasks(component, document) if "dag" in component else {name: task}
    return tasks


def test_each_component_of_theirs_is_a_task_of_ours(theirs: Any, ours: dict[str, Any]) -> None:
    tasks = _tasks(ours["root"], ours)
    assert set(TASKS) == {component.id for component in theirs.components}
    assert set(tasks) == {*TASKS.values(), "input-resolver", "infra-validator"}


def test_the_parameters_are_the_same(theirs: Any, ours: dict[str, Any]) -> None:
    given = {component.id: component.exec_properties for component in theirs.components}
    tasks = _tasks(ours["root"], ours)

    def constant(task: str, parameter: str) -> Any:
        return tasks[task]["inputs"]["parameters"][parameter]["runtimeValue"]["constant"]

    defaults = {
        name: entry.get("defaultValue") for name, entry in ours["root"]["inputDefinitions"]["parameters"].items()
    }
    assert ours["pipelineInfo"]["name"] == theirs.pipeline_info.pipeline_name
    assert yaml.safe_load(given["Trainer"]["train_args"]) == {"num_steps": defaults["train_steps"]}
    assert yaml.safe_load(given["Trainer"]["eval_args"]) == {"num_steps": defaults["eval_steps"]}
    assert yaml.safe_load(given["Trainer"]["custom_config"]) == yaml.safe_load(constant("trainer", "custom_config"))
    splits = yaml.safe_load(given["CsvExampleGen"]["output_config"])["split_config"]["splits"]
    mine = yaml.safe_load(constant("csv-example-gen", "output_config"))["split_config"]["splits"]
    assert [(split["name"], split["hash_buckets"]) for split in mine] == [
        (split["name"], split["hash_buckets"]) for split in splits
    ]
    config = json_format.Parse(given["Evaluator"]["eval_config"], EvalConfig())
    my_config = json_format.Parse(constant("evaluator", "eval_config"), EvalConfig())
    assert my_config == config
