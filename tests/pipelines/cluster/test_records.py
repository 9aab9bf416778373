"""What the stand-in for a cluster shows and gives, held against what a real server of KFP 2.17.0 did with the same.

`captured/` holds its record of a run of the taxi pipeline whose Trainer failed, and the executor inputs of two tasks.
"""

import json
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from penstock.pipelines.cli import main
from tests.servers.cluster import nodes
from tests.servers.cluster.cluster import DEFAULT_ROOT
from tests.servers.cluster.metadata import Metadata
from tests.servers.cluster.pods import Namespace, Pod
from tests.servers.cluster.storage import Store
from tests.servers.cluster.workflow import Place, Workflow

CAPTURED = Path(__file__).parent / "captured"
WORKFLOW = "taxi-a-mxm22"
ADDED = {"keras", "payload_format", "report"}  # parameters and outputs that the components have got since
METADATA = {
    "examples": {
        "file_format": "tfrecords_gzip",
        "payload_format": "FORMAT_TF_EXAMPLE",
        "span": 0,
        "version": 0,
        "split_names": '["eval", "train"]',
    },
    "statistics": {"span": 0, "split_names": '["train", "eval"]', "sample_rate_by_split": '{"train": 1.0}'},
}


class WritingPod(Pod):
    """A pod whose command is not run: it writes what our components do into the executor's output file."""

    def command_line(self, command: Sequence[str]) -> list[str]:
        given = json.loads(command[command.index("--executor_input") + 1])
        parameters = dict.fromkeys(given["outputs"].get("parameters", {}), "")
        parameters |= {name: 0 for name in ("span", "version") if name in parameters}
        artifacts = {name: self._artifact(one) for name, one in given["outputs"]["artifacts"].items()}
        self.outside(given["outputs"]["outputFile"]).write_text(
            json.dumps({"parameterValues": parameters, "artifacts": artifacts})
        )
        return ["false" if command[-1] == "trainer" else "true"]

    @staticmethod
    def _artifact(given: Mapping[str, Any]) -> dict[str, Any]:
        one = given["artifacts"][0]
        kind = one["name"].removeprefix("transformed_")
        return {"artifacts": [{**one, "metadata": {"tfx_version": "1.21.0", **METADATA.get(kind, {})}}]}


def captured(name: str) -> Any:
    return json.loads((CAPTURED / f"{name}.json").read_text())


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory, taxi_csv: Path, taxi_module: Path) -> dict[str, Any]:
    """The taxi pipeline, compiled for Kubeflow."""
    folder = tmp_path_factory.mktemp("taxi")
    values = {
        "name": "taxi-a",
        "data": {"path": str(taxi_csv.parent)},
        "label": "tips",
        "module_file": str(taxi_module),
        "training": {"train_steps": 100, "eval_steps": 20},
        "evaluation": {"label_key": "tips_xf", "metrics": ["auc"], "thresholds": {"auc": {"min": 0.5}}},
        "infra_validation": None,  # the captured run had none
        "push": {"directory": "serving"},
        "image": "registry.example.com/penstock-python:1",
    }
    (folder / "pipeline.yaml").write_text(yaml.safe_dump(values))
    assert main.main(["compile", str(folder), "--target", "kubeflow", "-o", str(folder / "compiled.yaml")]) == 0
    spec: dict[str, Any] = yaml.safe_load((folder / "compiled.yaml").read_text())
    return spec


@pytest.fixture(scope="module")
def workflows(compiled: dict[str, Any], endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Returns a function that runs the pipeline with a name of Argo's, a pipeline root and Argo's settings."""

    def run(root: str = DEFAULT_ROOT, attempts: bool = True) -> Workflow:
        folder = tmp_path_factory.mktemp("nodes")
        slots = threading.Semaphore(2)
        place = Place(folder, Store(endpoint), Metadata(), Namespace(), WritingPod, slots, attempts)
        workflow = Workflow(place, WORKFLOW, "217305a3-13b9-422b-b860-92280a7efce3", (compiled, {}), {})
        assert workflow.run({}, root, "a run") == "FAILED"
        return workflow

    return run


def rows(records: list[dict[str, Any]]) -> Counter[Any]:
    """Returns what of the records does not depend on the time; the agent does not see every pod while it is running."""

    def row(one: Mapping[str, Any]) -> Any:
        past = [state.get("state") for state in one.get("state_history", [])]
        if past[:1] == ["PENDING"]:
            past = [state for state in past if state != "RUNNING"]
        children = sorted(child["pod_name"] for child in one.get("child_tasks", []))
        return one.get("display_name"), one.get("state"), tuple(past), tuple(children), tuple(sorted(one))

    return Counter(map(row, records))


def test_a_failed_run_has_the_records_that_the_real_one_had(workflows: Any) -> None:
    real = captured("run_with_retry_strategy")["run_details"]["task_details"]
    assert rows(workflows().tree.records()) == rows(real)


def test_without_the_retry_strategy_nothing_has_attempts(workflows: Any) -> None:
    records = workflows(attempts=False).tree.records()
    names = [one["display_name"] for one in records if "display_name" in one]
    assert not [name for name in names if name.endswith("(0)")]
    assert {"trainer", "trainer-driver", "executor", "root", "root-driver", WORKFLOW} <= set(names)
    by_name = {one["display_name"]: one for one in records if "display_name" in one}
    executor = {"pod_name": nodes.identity(WORKFLOW, f"{WORKFLOW}.root.trainer.executor")}
    assert by_name["trainer"]["child_tasks"] == [executor]
    assert by_name["trainer"]["state"] == "FAILED"
    assert by_name["trainer-driver"]["child_tasks"] == [
        {"pod_name": nodes.identity(WORKFLOW, f"{WORKFLOW}.root.trainer")}
    ]


def shape(value: Any, path: str = "") -> Iterator[str]:
    """Yields every key with the kind of its value, and the values that the cluster decides of."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from shape(item, f"{path}.{key}")
    elif isinstance(value, list):
        for item in value:
            yield from shape(item, f"{path}[]")
    elif path.endswith((".instanceSchema", ".schemaTitle", ".schemaVersion")) or ".display_name" in path:
        yield f"{path}={value}"
    elif path.endswith(".store_session_info"):
        session = json.loads(value)
        yield f"{path}={session['Provider']} {sorted(session['Params'])}"
    else:
        yield f"{path}: {type(value).__name__}"


@pytest.mark.parametrize(
    ("name", "task", "root"),
    [
        ("executor_input_trainer", "trainer", DEFAULT_ROOT),
        ("executor_input_transform_s3_root", "transform", "s3://mlpipeline/taxi-b"),
    ],
)
def test_a_task_is_given_what_the_real_launcher_gave(name: str, task: str, root: str, workflows: Any) -> None:
    real, given = captured(name), workflows(root).given[task]
    # What a producer writes into its artifacts' metadata is its own business.
    added = ("display_name", "store_session_info")
    for one in (real, given):
        for artifacts in one["inputs"]["artifacts"].values():
            known = artifacts["artifacts"][0]["metadata"]
            artifacts["artifacts"][0]["metadata"] = {key: known[key] for key in added}
    parameters = given["inputs"]["parameterValues"]
    for entries in (parameters, given["outputs"]["artifacts"]):
        for name in set(entries) & ADDED:
            del entries[name]
    assert sorted(shape(given)) == sorted(shape(real))
    for one in (real, given):
        uri = one["outputs"]["artifacts"]["executor-logs"]["artifacts"][0]["uri"]
        scheme, _, rest = uri.rpartition("/")[0].partition("://")
        assert one["outputs"]["outputFile"] == f"/{scheme}/{rest}/output_metadata.json"
        assert all(each["artifacts"][0]["name"].isdecimal() for each in one["inputs"]["artifacts"].values())
