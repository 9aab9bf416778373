"""The tasks that a person knows, found among the nodes that a Kubeflow Pipelines server tells of a run."""

import copy
import json
import random
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import kfp_server_api
import pytest
import yaml
from google.protobuf import json_format
from kfp import dsl

from penstock.pipelines.servers.kubeflow import nodes
from penstock.pipelines.servers.watch import Task
from tests.servers import argo_nodes
from tests.servers.argo_nodes import exit_handler, group, loop, task

TESTS = Path(__file__).resolve().parents[3]
_GOLDEN = (TESTS / "golden" / "taxi.yaml").read_text(encoding="utf-8")
TAXI = yaml.safe_load(re.sub(r"\{(\w+)\}", r"\1", _GOLDEN))  # with what stands for this machine's places
_LATER = ("latest-blessed-model", "evaluator", "infra-validator", "pusher")


def read(answer: dict[str, Any], spec: Any = None) -> Any:
    """Returns a run as the generated client reads it."""
    told = answer if spec is None else answer | {"pipeline_spec": spec}
    return kfp_server_api.ApiClient().deserialize(SimpleNamespace(data=json.dumps(told)), "V2beta1Run")


def told(found: tuple[Task, ...]) -> list[tuple[str, str]]:
    return [(task.name, task.state) for task in found]


def captured() -> dict[str, Any]:
    path = TESTS / "servers" / "captured" / "kubeflow_run.json"
    answer: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return answer


def without_attempts(answer: dict[str, Any]) -> dict[str, Any]:
    """Returns the captured run as the settings of 2.16 would have it: what an attempt says, its node says."""
    workflow = "taxi-a-mxm22"
    details = copy.deepcopy(answer["run_details"]["task_details"])
    labels = {one["display_name"].removesuffix("(0)") for one in details if "display_name" in one}
    graphs = [
        workflow,
        f"{workflow}(0)",
        f"{workflow}(0).root",
        f"{workflow}(0).root(0)",
        *(f"{workflow}(0).root(0).{label}(0)" for label in labels),
    ]
    names = [*graphs, *(f"{graph}.{label}{end}" for graph in graphs for label in labels for end in ("", "(0)"))]
    by_id = {f"{workflow}-{argo_nodes._fnv(name)}": name for name in names}
    kept = {one["display_name"]: one for one in details if "display_name" in one and one["display_name"] != "executor"}
    pods = {}
    for one in details:
        if one.get("display_name") == "executor":
            pods[by_id[one["child_tasks"][0]["pod_name"]].split(".")[-2].removesuffix("(0)")] = one
    for label, one in kept.items():
        if label.endswith("(0)"):
            continue
        attempt = kept.get(f"{label}(0)")
        after = [by_id[child["pod_name"]] for child in (attempt or one).get("child_tasks", [])]
        inside = [name for name in after if f".{label}(0)." in name or label in (workflow, "root")]
        one["child_tasks"] = _children(workflow, inside if label in pods else after)
        if label in pods:
            pods[label]["child_tasks"] = _children(workflow, [name for name in after if name not in inside])
    details = [one for one in details if not one.get("display_name", "").endswith("(0)")]
    return answer | {"run_details": {"task_details": details}}


def _children(workflow: str, names: list[str]) -> list[dict[str, str]]:
    return [{"pod_name": f"{workflow}-{argo_nodes._fnv(name.replace('(0)', ''))}"} for name in names]


@pytest.mark.parametrize("spec", [TAXI, None], ids=["with its pipeline", "of an uploaded pipeline"])
@pytest.mark.parametrize("attempts", [True, False], ids=["2.17", "2.16"])
def test_the_captured_run(attempts: bool, spec: Any) -> None:
    """59 records of 9 tasks; the others are in conditions that were never reached."""
    answer = captured() if attempts else without_attempts(captured())
    run = read(answer, spec)
    done = ("input-resolver", "csv-example-gen", "statistics-gen", "schema-gen", "example-validator", "transform")
    found = nodes.tasks(run)
    assert told(found[:7]) == [*((name, "SUCCEEDED") for name in done), ("trainer", "FAILED")]
    left = _LATER if spec else _LATER[:2]
    assert sorted(told(found[7:])) == sorted((name, "SKIPPED") for name in left)
    assert [task.seconds for task in found[:7]] == [10, 11, 21, 21, 22, 35, 10]
    assert len({task.id for task in found}) == len(found)
    assert not nodes.is_late(run)
    (pod,) = nodes.failed_pods(run).values()
    end = "(0).root(0).trainer(0).executor(0)" if attempts else ".root.trainer.executor"
    assert pod.node == f"taxi-a-mxm22{end}"
    if attempts:  # the id that the server itself names the pod by
        assert pod.names[0] == "taxi-a-mxm22-system-container-impl-3343529752"


def shapes() -> dict[str, Any]:
    @dsl.component
    def check() -> bool:
        return True

    @dsl.component
    def work(number: int = 0) -> None:
        pass

    @dsl.component
    def tell() -> None:
        pass

    @dsl.pipeline(name="inner")
    def inner() -> None:
        work()

    @dsl.pipeline(name="shapes")
    def pipeline() -> None:
        with dsl.ExitHandler(tell()):
            dsl.importer(artifact_uri="s3://bucket/data", artifact_class=dsl.Dataset)
            with dsl.If(check().output == True):  # noqa: E712  (KFP's condition)
                work()
            inner()
            with dsl.ParallelFor([1, 2]) as number:
                work(number=number)

    found: dict[str, Any] = json_format.MessageToDict(pipeline.pipeline_spec)
    handled = found["components"]["comp-exit-handler-1"]["dag"]["tasks"]
    assert sorted(handled) == ["check", "condition-2", "for-loop-4", "importer", "inner"]  # as the records have them
    return found


def shapes_run(attempts: bool, **options: Any) -> dict[str, Any]:
    within = {
        "importer": argo_nodes.Node("SUCCEEDED", at=1),
        **task("check", "SUCCEEDED", at=2),
        **group("condition-2", "SKIPPED", {}),
        **group("inner", "SUCCEEDED", task("work", "SUCCEEDED", at=3)),
        **loop(
            "for-loop-4",
            "FAILED",
            task("work-2", "SUCCEEDED", tries=3, at=4),
            task("work-2", "FAILED", tries=2, at=5),
        ),
    }
    inside = exit_handler("exit-handler-1", "FAILED", within, task("tell", "SUCCEEDED", at=9))
    return argo_nodes.run(inside, state="FAILED", attempts=attempts, **options)


@pytest.mark.parametrize("known", [True, False], ids=["with its pipeline", "of an uploaded pipeline"])
@pytest.mark.parametrize("attempts", [True, False], ids=["2.17", "2.16"])
def test_groups_are_no_tasks(attempts: bool, known: bool) -> None:
    """An exit handler, a condition that was false, a pipeline in it and a loop, whose passes are tried again."""
    run = read(shapes_run(attempts), shapes() if known else None)
    found = nodes.tasks(run)
    assert told(found) == [
        ("importer", "SUCCEEDED"),
        ("check", "SUCCEEDED"),
        ("work", "SUCCEEDED"),
        ("work-2[0]", "SUCCEEDED"),
        ("work-2[1]", "FAILED"),
        ("tell", "SUCCEEDED"),
        *([("work", "SKIPPED")] if known else []),
    ]
    assert [task.attempt for task in found[:6]] == [1, 1, 1, 3, 2, 1]
    assert len({task.id for task in found}) == len(found)
    ((identity, pod),) = nodes.failed_pods(run).items()
    assert identity == found[4].id
    assert pod.node.endswith(".executor(1)")
    assert "(1:1)" in pod.node


def test_the_order_of_the_records_does_not_matter() -> None:
    answer = shapes_run(attempts=True)
    expected = nodes.tasks(read(answer, shapes()))
    for seed in range(5):
        random.Random(seed).shuffle(answer["run_details"]["task_details"])
        assert nodes.tasks(read(answer, shapes())) == expected


@pytest.mark.parametrize("attempts", [True, False], ids=["2.17", "2.16"])
def test_a_driver_that_failed_is_its_tasks_failure(attempts: bool) -> None:
    inside = {
        **task("check", None, driver="FAILED"),
        **group("for-loop-4", None, {}, driver="SUCCEEDED"),
        **loop("other", "FAILED"),
    }
    run = read(argo_nodes.run(inside, state="FAILED", attempts=attempts))
    (failed,) = [task for task in nodes.tasks(run) if task.state == "FAILED"]
    assert failed.name == "check"
    pod = nodes.failed_pods(run)[failed.id]
    assert pod.names == (argo_nodes.pod_name("system-container-driver", pod.node),)


@pytest.mark.parametrize("attempts", [True, False], ids=["2.17", "2.16"])
def test_the_first_driver_is_that_of_the_pipeline(attempts: bool) -> None:
    run = read(argo_nodes.run({}, state="FAILED", attempts=attempts, root_driver="FAILED"), shapes())
    first, *rest = nodes.tasks(run)
    assert (first.name, first.state) == ("shapes", "FAILED")
    assert {task.state for task in rest} == {"SKIPPED"}
    assert nodes.failed_pods(run)[first.id].names[0].startswith("small-x7k2p-system-dag-driver-")


def test_what_has_not_begun_is_no_task_yet() -> None:
    inside = group(
        "exit-handler-1", "RUNNING", task("importer", "RUNNING") | {"check-driver": argo_nodes.Node("RUNNING")}
    )
    run = read(argo_nodes.run(inside, state="RUNNING", attempts=True), shapes())
    assert told(nodes.tasks(run)) == [("importer", "RUNNING")]
    assert not nodes.is_late(run)
    assert nodes.tasks(read({"state": "RUNNING"}, shapes())) == ()


def test_tasks_that_stand_behind_their_run() -> None:
    behind = argo_nodes.run(task("check", "RUNNING"), state="RUNNING", attempts=True)
    assert nodes.is_late(read(behind | {"state": "SUCCEEDED"}, shapes()))
    ended = argo_nodes.run(task("check", "SUCCEEDED"), state="SUCCEEDED", attempts=True)
    assert not nodes.is_late(read(ended, shapes()))


def test_a_large_loop() -> None:
    """Thousands of records of few names."""
    passes = [task("work-2", "SUCCEEDED", at=number) for number in range(300)]
    run = read(argo_nodes.run(loop("for-loop-4", "SUCCEEDED", *passes), state="SUCCEEDED", attempts=True))
    assert told(nodes.tasks(run)) == [(f"work-2[{number}]", "SUCCEEDED") for number in range(300)]
