"""The Trainer's task starts a job of several workers and follows it, on servers that speak the real protocols."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.components.jobs import follow
from penstock.components.jobs.follow import Terminated
from penstock.components.jobs.launcher import VARIABLE
from penstock.components.trainer import launcher
from penstock.core.errors import ConfigError, ModuleError, ServerError, ServerUnavailable, SystemFailure, UserError
from penstock.core.files import atomic
from tests.servers.jobs import IMAGE, OnKubeflow, OnVertex, Place, RunningVertexAI
from tests.servers.loopback import Cut, Request, Status
from tests.servers.vertex import VertexAI

pytestmark = [pytest.mark.usefixtures("forks"), pytest.mark.filterwarnings("ignore:.*:UserWarning:google")]


@pytest.fixture
def component() -> str:
    return "trainer"


@pytest.fixture
def train(outputs: dict[str, str], tmp_path: Path) -> Callable[..., Any]:
    """Returns a function that runs the Trainer's task; its examples are of no matter to the servers."""
    (tmp_path / "examples" / "Split-train").mkdir(parents=True)
    (tmp_path / "examples" / "Split-train" / "part").write_text("examples")

    def train(**arguments: Any) -> Any:
        return launcher.run(
            workers=2,
            **{**outputs, "report": str(tmp_path / "report"), "examples": str(tmp_path / "examples"), **arguments},
        )

    return train


def test_a_job_is_started_and_followed_to_its_end(
    place: Place, train: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    place.states("pending", "running", "running", "succeeded")
    result = train(module_file="m.py", train_args='{"num_steps": 3}', custom_config='{"price": "$(HOME) $$"}')
    assert result.metadata["model"]["tfx_version"]
    ((argument, state),) = place.jobs()
    assert state == "succeeded"
    given = json.loads(argument)
    assert (given["module_file"], given["train_args"]) == ("m.py", '{"num_steps": 3}')
    assert given["custom_config"] == '{"price": "$(HOME) $$"}'
    assert Path(given["told"]).parent in (Path(given["model_run"]), Path(given["model_run"]).parent)
    assert "workers" not in given
    told = [record.message for record in caplog.records if record.name == follow.__name__]
    assert told[0].startswith("started ")
    assert sum(line.endswith("running") for line in told) == 1, "a state is told once"


def test_a_task_that_is_tried_again_follows_its_job(place: Place, train: Callable[..., Any]) -> None:
    place.states("running")
    place.server.fail(*place.routes["look"], Status(403, "no"))
    with pytest.raises(ServerError, match="403"):
        train()
    place.states("succeeded")
    train()
    if isinstance(place, OnKubeflow):  # whose volume held the outputs until they were this task's own
        with pytest.raises(SystemFailure, match="an earlier attempt of this task has removed its outputs"):
            train()
    else:
        train()  # also one that has succeeded
    assert len(place.jobs()) == 1


def test_a_job_whose_chief_said_nothing_has_not_succeeded(place: Place, train: Callable[..., Any]) -> None:
    place.chiefs_end_early = True
    place.states("succeeded")
    with pytest.raises(ModuleError, match="its chief has ended before it said what it wrote: something in it calls os"):
        train()


def test_after_a_failure_another_job_is_started(place: Place, train: Callable[..., Any]) -> None:
    place.states("failed")
    with pytest.raises(SystemFailure, match=r"ended as failed: "):
        train()
    place.states("succeeded")
    train()
    assert sorted(state for _, state in place.jobs()) == ["failed", "succeeded"]


def test_a_job_of_another_model_is_another_one(place: Place, train: Callable[..., Any], tmp_path: Path) -> None:
    place.states("succeeded")
    train()
    place.states("succeeded")
    train(model=str(tmp_path / "other"))
    assert len(place.jobs()) == 2


@pytest.mark.parametrize("failure", [Cut(after=True), Cut(after=False), Status(503, "busy")])
def test_a_lost_answer_starts_no_second_job(place: Place, train: Callable[..., Any], failure: Any) -> None:
    place.server.fail(*place.routes["start"], failure)
    place.states("succeeded")
    train()
    assert len(place.jobs()) == 1


def test_an_outage_is_waited_for(place: Place, train: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    place.server.fail(*place.routes["look"], *[Status(503)] * 5, Cut(after=False))
    place.states("succeeded")
    train()
    monkeypatch.setattr(follow, "LOST_POLLS", 3)
    place.server.fail(*place.routes["look"], *[Status(503)] * 3)
    with pytest.raises(ServerUnavailable):
        train()
    assert len(place.jobs()) == 1


def test_a_task_that_is_ended_ends_its_job(place: Place, train: Callable[..., Any]) -> None:
    """SIGTERM comes while it looks at its job."""
    before = signal.getsignal(signal.SIGTERM)
    looked = place.server.answer

    def answer(request: Request) -> Any:
        if (request.method, request.route) == place.routes["look"]:
            os.kill(os.getpid(), signal.SIGTERM)
        return looked(request)

    place.server.answer = answer
    place.states(*["running"] * 1000)
    with pytest.raises(Terminated, match="the task was ended, and its workers with it"):
        train()
    assert [state for _, state in place.jobs()] in (["cancelled"], [])  # a TrainJob is deleted
    assert signal.getsignal(signal.SIGTERM) is before


def test_what_a_worker_says_is_the_cause(place: Place, train: Callable[..., Any], outputs: dict[str, str]) -> None:
    """A user's mistake before a lost connection, which it has caused."""
    looked = place.server.answer

    def answer(request: Request) -> Any:
        if (request.method, request.route) == place.routes["look"]:
            ((argument, _),) = place.jobs()
            folder = Path(json.loads(argument)["told"])
            lost = {"worker": "chief-0", "exit_code": 1, "message": "connection lost", "details": "", "time": 1.0}
            mine = {"worker": "worker-1", "exit_code": 2, "message": "no column tips", "details": "l. 3", "time": 2.0}
            for told in (lost, mine):
                atomic.write_text(folder / f"{told['worker']}{follow.FAILURE}", json.dumps(told))
        return looked(request)

    place.server.answer = answer
    place.states("failed")
    with pytest.raises(UserError, match="worker worker-1: no column tips") as raised:
        train()
    assert raised.value.details == "l. 3"


def test_without_a_target_this_machine_trains_alone(
    taxi: Any,
    outputs: dict[str, str],
    module: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    monkeypatch.delenv(VARIABLE, raising=False)
    launcher.run(workers=3, report=f"{outputs['model']}-report", **outputs, **taxi.inputs(), module_file=module(SOURCE))
    assert (Path(outputs["model"]) / "Format-Serving" / "saved_model.pb").is_file()
    assert "<h1>Training</h1>" in Path(f"{outputs['model']}-report").read_text()
    assert "3 workers are asked for, and nothing here starts them: this machine trains alone" in caplog.text


# Each worker adds one, and keeps the sum; the worker that is not the chief fails where it is asked to.
SOURCE = """
import os
import tensorflow as tf
from penstock.trainer.hardware import distribution

def add():
    return tf.distribute.get_replica_context().all_reduce("SUM", tf.constant(1.0))

def run_fn(fn_args):
    cluster = distribution.cluster()
    if fn_args.custom_config and not cluster.is_chief:
        raise ValueError("this worker cannot")
    if cluster:
        strategy = distribution.start().strategy
        total = strategy.experimental_local_results(strategy.run(tf.function(add)))[0]
        with open(fn_args.model_run_dir + f"/worker-{cluster.index}", "w") as file:
            file.write(f"{fn_args.train_steps} steps, {total.numpy():g} workers")
    if fn_args.train_steps == 1:
        os._exit(0)
    tf.saved_model.save(tf.Module(), fn_args.serving_model_dir)
"""


@pytest.mark.slow
def test_workers_train_and_the_chief_alone_writes(
    running: RunningVertexAI, taxi: Any, outputs: dict[str, str], module: Callable[[str], str]
) -> None:
    places = {**outputs, "report": f"{outputs['model']}-report"}
    arguments = {**places, **taxi.inputs(), "module_file": module(SOURCE), "train_args": '{"num_steps": 7}'}
    launcher.run(workers=2, **arguments)
    assert os.listdir(outputs["model_run"]) == ["worker-0"]
    assert (Path(outputs["model_run"]) / "worker-0").read_text() == "7 steps, 2 workers"
    assert (Path(outputs["model"]) / "Format-Serving" / "saved_model.pb").is_file()


@pytest.mark.slow
def test_a_workers_mistake_is_the_tasks(
    running: RunningVertexAI, taxi: Any, outputs: dict[str, str], module: Callable[[str], str]
) -> None:
    places = {**outputs, "report": f"{outputs['model']}-report"}
    arguments = {**places, **taxi.inputs(), "module_file": module(SOURCE), "custom_config": '{"fail": true}'}
    with pytest.raises(UserError, match=r"worker worker-0: .*this worker cannot"):
        launcher.run(workers=2, **arguments)


@pytest.mark.slow
def test_workers_that_end_in_the_middle_are_told(
    running: RunningVertexAI, taxi: Any, outputs: dict[str, str], module: Callable[[str], str]
) -> None:
    places = {**outputs, "report": f"{outputs['model']}-report"}
    arguments = {**places, **taxi.inputs(), "module_file": module(SOURCE), "train_args": '{"num_steps": 1}'}
    with pytest.raises(ModuleError, match="ended as succeeded, but its chief has ended before it said what it wrote"):
        launcher.run(workers=2, **arguments)


def test_vertex_wants_places_that_all_workers_see(
    outputs: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with VertexAI() as server:
        monkeypatch.setenv(VARIABLE, json.dumps(OnVertex(server, tmp_path, "trainer").described))
        with pytest.raises(ConfigError, match=r"examples: expected a folder of a bucket, below /gcs, .* received /e"):
            launcher.run(workers=2, report=str(tmp_path / "report"), **outputs, examples="/e")
        assert server.requests == []


@pytest.mark.parametrize("place", ["kubeflow"], indirect=True)
def test_on_kubeflow_files_go_through_the_shared_volume(
    place: OnKubeflow, train: Callable[..., Any], outputs: dict[str, str], tmp_path: Path
) -> None:
    looked = place.server.answer

    def answer(request: Request) -> Any:  # the chief's work, as far as files go
        if (request.method, request.route) == place.routes["look"]:
            ((argument, _),) = place.jobs()
            given = json.loads(argument)
            assert (Path(given["examples"]) / "Split-train" / "part").read_text() == "examples"
            (Path(given["model"]) / "Format-Serving").mkdir()
            (Path(given["model"]) / "Format-Serving" / "saved_model.pb").write_text("model")
            (Path(given["model_run"]) / "history.json").write_text("{}")
        return looked(request)

    place.server.answer = answer
    place.states("succeeded")
    train()
    assert (Path(outputs["model"]) / "Format-Serving" / "saved_model.pb").read_text() == "model"
    assert os.listdir(outputs["model_run"]) == ["history.json"]
    assert list((tmp_path / "shared" / "penstock").iterdir()) == []


@pytest.mark.parametrize("place", ["kubeflow"], indirect=True)
def test_kubernetes_cause_and_refusals(place: OnKubeflow, train: Callable[..., Any], tmp_path: Path) -> None:
    terminated = {"exitCode": 137, "reason": "OOMKilled"}
    container = {"name": "node", "state": {"terminated": terminated}, "ready": False, "restartCount": 0}
    container |= {"image": IMAGE, "imageID": ""}
    place.server.pods = [{"metadata": {"name": "trainer-1-node-0-1"}, "status": {"containerStatuses": [container]}}]
    place.states("failed")
    with pytest.raises(SystemFailure, match="trainer-1-node-0-1: OOMKilled, exit code 137"):
        train()
    place.server.fail("GET", "/trainjobs", Status(403, "trainjobs is forbidden"))
    with pytest.raises(ServerError, match="bind the role kubeflow-trainer-edit to the service account"):
        train()
    place.server.fail("GET", "/trainjobs", Status(404, "the server could not find the requested resource"))
    with pytest.raises(ServerError, match="install Kubeflow Trainer 2"):
        train()
    (tmp_path / "shared").rename(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="shared is not mounted into the Trainer's task"):
        train()


@pytest.mark.parametrize("place", ["kubeflow"], indirect=True)
def test_tf_config_names_the_pods_of_the_train_job(place: OnKubeflow, train: Callable[..., Any]) -> None:
    place.states("succeeded")
    train()
    ((name, job),) = place.server.stored.items()
    variables = {one["name"]: one for one in job["spec"]["trainer"]["env"]}
    index = variables["WORKER_INDEX"]["valueFrom"]["fieldRef"]["fieldPath"]
    assert index == "metadata.annotations['batch.kubernetes.io/job-completion-index']"
    config = json.loads(variables["TF_CONFIG"]["value"].replace("$(WORKER_INDEX)", "1"))
    assert config["cluster"] == {"worker": [f"{name}-node-0-{number}.{name}:2222" for number in range(2)]}
    assert config["task"] == {"type": "worker", "index": "1"}
    assert list(variables) == ["WORKER_INDEX", "TF_CONFIG"], "Kubernetes replaces what stands before"
