"""`penstock retrain`: what is listed, approved, rejected and started by hand, here and on a server."""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from penstock.components.retrainer import decisions
from penstock.components.retrainer.policy import Policy
from penstock.components.retrainer.state import RETRAININGS, State
from penstock.core.artifacts.retraining import Retraining
from penstock.core.services import retries
from penstock.core.state import open_folder
from penstock.pipelines.cli import main
from penstock.pipelines.cli import retrain as retrain_command
from penstock.pipelines.config import training_pipeline
from penstock.pipelines.config.training_pipeline import Config
from penstock.pipelines.local import retraining
from tests.components.retrainer.conftest import NEW, observed
from tests.pipelines.local.retrained import launch
from tests.servers.kubeflow_pipelines import KubeflowPipelines
from tests.servers.loopback import Status
from tests.servers.vertex import VertexAI

Retrain = Callable[..., dict[str, Any]]


@pytest.fixture
def retrain(config: Path, capsys: pytest.CaptureFixture[str]) -> Retrain:
    """Returns a function that runs the command; returns its document."""

    def call(*arguments: str) -> dict[str, Any]:
        main.main(["retrain", str(config), "--json", *arguments])
        document: dict[str, Any] = json.loads(capsys.readouterr().out)
        return document

    return call


@pytest.fixture
def waiting(config: Path) -> str:
    """A retraining that waits for approval; returns its id."""
    loaded = training_pipeline.load(config)
    seen = decisions.Observed("small", observed().window, NEW, baseline="baseline")
    made = retraining.change_only(
        loaded, lambda state: decisions.decide(state, seen, Policy(approval=True), datetime.now(UTC))
    )["retraining"]
    assert made
    return made["id"]


def statuses(document: dict[str, Any]) -> list[str]:
    return [one["status"] for one in document["result"]["retrainings"]]


def test_without_any_it_says_so(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["retrain", str(config)]) == 0
    assert capsys.readouterr().out == "no retraining of small yet\n"


def test_what_waits_is_listed_and_rejected(retrain: Retrain, waiting: str) -> None:
    assert statuses(retrain()) == ["waiting"]
    document = retrain("--reject", waiting)
    assert (statuses(document), document["result"]["retraining"]) == (["rejected"], waiting)
    assert retrain("--approve", waiting)["exit_code"] == 2


def test_a_run_that_has_ended_is_listed_as_such(retrain: Retrain, config: Path) -> None:
    """The process that ran it was killed before it could write that down."""
    loaded = training_pipeline.load(config)

    def begin(state: State) -> Retraining:
        made = decisions.ask(state, "small", "a new column", NEW, datetime.now(UTC))
        made["status"] = "running"
        return made

    made = retraining.change_only(loaded, begin)
    launch(loaded, retraining=made)
    assert statuses(retrain()) == ["done"]
    assert retraining_state(loaded)["retrainings"][0]["status"] == "running"  # a look changes nothing


def retraining_state(config: Config) -> State:
    return open_folder(str(Path(config.pipeline_root) / "monitoring" / "retraining"), RETRAININGS).read()


def test_a_number_without_a_name_may_answer(retrain: Retrain, waiting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def unnamed() -> str:
        raise OSError("No username set in the environment")

    monkeypatch.setattr("getpass.getuser", unnamed)
    document = retrain("--reject", waiting)
    assert document["result"]["retrainings"][0]["answered"].startswith(f"rejected by user {os.getuid()}, ")


def test_what_is_approved_runs_here(retrain: Retrain, waiting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retraining.launch, "launch", launch)
    document = retrain("--approve", waiting)
    assert (document["exit_code"], statuses(document)) == (0, ["done"])
    assert document["result"]["retrainings"][0]["answered"].startswith("approved by ")


@pytest.mark.usefixtures("server")
def test_a_window_names_the_retraining_that_another_process_runs() -> None:
    decision = decisions.decide(State(version=1, retrainings=[], since={}), observed(), Policy(), datetime.now(UTC))
    assert decision["retraining"]
    name = decision["retraining"]["id"]
    decision["retraining"]["status"] = "running"
    assert next(iter(retrain_command.decision_lines(decision, []))) == f"retraining {name}: running"


def test_a_person_starts_one_on_kubeflow(retrain: Retrain, server: KubeflowPipelines) -> None:
    at = ("--target", "kubeflow", "--set", f"kubeflow.host={server.url}")
    server.fail("POST", "/runs", *[Status(503, "later")] * 3)
    document = retrain("--reason", "a new column", *at)
    assert (document["exit_code"], document["error"]["type"]) == (1, "Unanswered")
    assert statuses(document) == ["due"]
    document = retrain("--reason", "again", *at)  # the first was kept
    (one,) = document["result"]["retrainings"]
    assert (one["status"], server.names("runs")) == ("running", [one["id"]])
    assert [signal["sentence"] for signal in one["signals"]] == ["a new column", "again"]
    assert "is under way already" in retrain("--reason", "and again", *at)["error"]["message"]
    assert statuses(retrain()) == ["running"]  # which this machine does not take for lost
    (run,) = server.stored["runs"].values()
    run["state"] = "SUCCEEDED"
    assert statuses(retrain(*at)) == ["done"]


def test_what_a_server_did_not_take_is_not_started_elsewhere(retrain: Retrain, server: KubeflowPipelines) -> None:
    server.fail("POST", "/runs", *[Status(503, "later")] * 3)
    document = retrain("--reason", "a new column", "--target", "kubeflow", "--set", f"kubeflow.host={server.url}")
    name = document["result"]["retrainings"][0]["id"]
    assert f"{name} is to be started on kubeflow: " in retrain("--reason", "here, then")["error"]["message"]
    (one,) = retrain("--reject", name)["result"]["retrainings"]
    assert (one["status"], len(one["signals"])) == ("rejected", 1)


def test_what_is_approved_starts_on_vertex(retrain: Retrain, waiting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "PAUSE", 0.01)
    with VertexAI() as server:
        place = f"vertex={{project: p, api_endpoint: '{server.url}', pipeline_root: 'gs://runs/small'}}"
        document = retrain("--approve", waiting, "--target", "vertex", "--set", place)
        assert (document["exit_code"], statuses(document)) == (0, ["running"])
        assert [name.rpartition("/")[2] for name in server.stored["pipelineJobs"]] == [waiting]
        assert document["result"]["retrainings"][0]["link"].endswith(f"/runs/{waiting}?project=p")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--approve", "x", "--reason", "y"], "expected one of --approve, --reject and --reason"),
        (["--reason", " "], "--reason: expected a sentence that says why"),
        (["--target", "kubflow"], "--target kubflow: "),
        (["--approve", "nope"], "nope: no such retraining; none waits"),
        (["--reason", "x", "--target", "kubflow"], "--target kubflow: "),
    ],
)
def test_what_cannot_be_is_two(retrain: Retrain, arguments: list[str], words: str) -> None:
    document = retrain(*arguments)
    assert document["exit_code"] == 2
    assert words in document["error"]["message"]
