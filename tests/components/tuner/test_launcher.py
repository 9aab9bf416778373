"""The Tuner's task starts a job of several machines and follows it, on servers that speak the real protocols."""

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
from penstock.components.tuner import launcher
from penstock.core.errors import ConfigError, ServerError, UserError
from penstock.core.files import atomic
from tests.components.tuner.test_parallel import SOURCE, started
from tests.servers.jobs import OnKubeflow, OnVertex, Place, RunningVertexAI
from tests.servers.loopback import Request, Status
from tests.servers.vertex import VertexAI

pytestmark = [
    pytest.mark.usefixtures("forks"),
    pytest.mark.filterwarnings("default"),
]  # Google's and KerasTuner's are their own


@pytest.fixture
def component() -> str:
    return "tuner"


@pytest.fixture
def tune(outputs: dict[str, str], tmp_path: Path) -> Callable[..., Any]:
    """Returns a function that runs the Tuner's task; its examples are of no matter to the servers."""
    (tmp_path / "examples" / "Split-train").mkdir(parents=True)
    (tmp_path / "examples" / "Split-train" / "part").write_text("examples")
    given = {**outputs, "examples": str(tmp_path / "examples"), "working_dir": "gs://tuning"}
    return lambda **arguments: launcher.run(workers=2, **{**given, **arguments})


def at_a_look(place: Place, do: Callable[[dict[str, Any]], None]) -> None:
    """Has the machines do something before the service is looked at; it is given their argument."""
    looked = place.server.answer

    def answer(request: Request) -> Any:
        if (request.method, request.route) == place.routes["look"]:
            ((argument, _),) = place.jobs()
            do(json.loads(argument))
        return looked(request)

    place.server.answer = answer


def test_a_job_is_started_and_followed_to_its_end(
    place: Place, tune: Callable[..., Any], outputs: dict[str, str], tmp_path: Path
) -> None:
    """The chief's results are the task's, and what it says of them."""
    seen = []

    def chief(given: dict[str, Any]) -> None:
        seen.append(given)
        assert (Path(given["examples"]) / "Split-train" / "part").read_text() == "examples"
        (Path(given["best_hyperparameters"]) / "best_hyperparameters.txt").write_text("{}")
        (Path(given["tuner_results"]) / "tuner_results.json").write_text("[]")
        Path(given["report"]).write_text("<p>")
        told = {"best_hyperparameters": {"objective": "val_auc", "score": 0.9}, "tuner_results": {"trials": 7}}
        atomic.write_text(Path(given["told"]) / follow.RESULT, json.dumps(told))

    at_a_look(place, chief)
    place.states("succeeded")
    result = tune(module_file="m.py", tune_args='{"num_parallel_trials": 2}')
    assert (seen[0]["module_file"], seen[0]["tune_args"]) == ("m.py", '{"num_parallel_trials": 2}')
    best, results = (result.metadata[name] for name in ("best_hyperparameters", "tuner_results"))
    assert (best["objective"], best["score"], results["trials"]) == ("val_auc", 0.9, 7)
    assert best["tfx_version"] == results["tfx_version"]
    assert os.listdir(outputs["best_hyperparameters"]) == ["best_hyperparameters.txt"], "TFX wants one file alone there"
    assert os.listdir(outputs["tuner_results"]) == ["tuner_results.json"]
    assert Path(outputs["report"]).read_text() == "<p>"
    if isinstance(place, OnKubeflow):  # the folder outlives the job, for a new run of the same search
        assert seen[0]["working_dir"] == str(tmp_path / "shared" / "penstock" / "tuner")
        assert list((tmp_path / "shared" / "penstock").iterdir()) == []
    else:
        assert seen[0]["working_dir"] == "gs://tuning"


def test_a_task_that_is_tried_again_follows_its_job(place: Place, tune: Callable[..., Any]) -> None:
    place.states("running")
    place.server.fail(*place.routes["look"], Status(403, "no"))
    with pytest.raises(ServerError, match="403"):
        tune()
    at_a_look(place, lambda given: Path(given["report"]).touch())
    place.states("succeeded")
    tune()
    assert len(place.jobs()) == 1


def test_what_a_machine_says_is_the_cause(place: Place, tune: Callable[..., Any]) -> None:
    told = {"worker": "chief-0", "exit_code": 2, "message": "none of the 3 trials succeeded", "details": "", "time": 1}
    at_a_look(
        place,
        lambda given: atomic.write_text(Path(given["told"]) / f"chief-0{follow.FAILURE}", json.dumps(told)),
    )
    place.states("failed")
    with pytest.raises(UserError, match="worker chief-0: none of the 3 trials succeeded"):
        tune()


def test_a_task_that_is_ended_ends_its_job(place: Place, tune: Callable[..., Any]) -> None:
    at_a_look(place, lambda _: os.kill(os.getpid(), signal.SIGTERM))
    place.states(*["running"] * 1000)
    with pytest.raises(Terminated, match="the task was ended, and its workers with it"):
        tune()
    assert [state for _, state in place.jobs()] in (["cancelled"], [])  # a TrainJob is deleted


@pytest.mark.parametrize("place", ["vertex"], indirect=True)
@pytest.mark.parametrize("working_dir", ["", "/tmp/tuning"])
def test_vertex_wants_a_search_that_all_machines_see(
    place: OnVertex, tune: Callable[..., Any], working_dir: str
) -> None:
    with pytest.raises(
        ConfigError, match=r"working_dir: expected a folder of a bucket, .* give a gs:// place as pipeline_root"
    ):
        tune(working_dir=working_dir)
    assert place.server.requests == []


@pytest.mark.parametrize("place", ["kubeflow"], indirect=True)
def test_kubeflow_wants_the_tuners_volume(place: OnKubeflow, tune: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "shared").rename(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match=r"kubernetes.tuner.volumes: .* is not mounted into the Tuner's task"):
        tune()


@pytest.fixture
def search(
    write_examples: Callable[..., Path], outputs: dict[str, str], module: Callable[[str], str], tmp_path: Path
) -> Callable[..., Any]:
    """Returns a function that runs the Tuner's task over trials with this body."""

    def run(body: str, workers: int) -> Any:
        source = SOURCE.format(log=str(tmp_path / "trials.log"), body=body, trials=4, overwrite=False)
        examples = str(write_examples({"train": {"x": [1]}, "eval": {"x": [2]}}))
        given = {"module_file": module(source), "working_dir": str(tmp_path / "tuning")}
        return launcher.run(workers=workers, **outputs, examples=examples, **given)

    return run


def test_without_a_target_this_machine_searches_alone(
    search: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    monkeypatch.delenv(VARIABLE, raising=False)
    assert search("pass", workers=3).metadata["tuner_results"]["trials"] == 4
    assert "3 workers are asked for, and nothing here starts them: this machine searches alone" in caplog.text


@pytest.mark.slow
def test_machines_search_and_the_chief_alone_writes(
    running: RunningVertexAI, search: Callable[..., Any], outputs: dict[str, str], tmp_path: Path
) -> None:
    result = search("while len(log.read_text().splitlines()) < 2: time.sleep(0.02)", workers=2)
    assert {name for _, _, name in started(tmp_path / "trials.log")} == {"machine-0-worker-0", "machine-1-worker-0"}
    assert result.metadata["tuner_results"]["trials"] == 4
    assert result.metadata["best_hyperparameters"]["objective"] == "val"
    assert len(json.loads((Path(outputs["tuner_results"]) / "tuner_results.json").read_text())) == 4
    assert os.listdir(outputs["tuner_results"]) == ["tuner_results.json"]


@pytest.mark.slow
def test_a_machines_mistake_is_the_tasks(running: RunningVertexAI, search: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"worker (chief|worker)-0: .* trials in a row failed; .*: no such thing"):
        search('raise ValueError("no such thing")', workers=2)


def test_vertex_is_not_asked_where_one_machine_searches(
    search: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with VertexAI() as server:
        monkeypatch.setenv(VARIABLE, json.dumps(OnVertex(server, tmp_path, "tuner").described))
        search("pass", workers=1)
        assert server.requests == []
