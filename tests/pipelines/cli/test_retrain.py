"""`penstock retrain`: what is listed, approved, rejected and started by hand, here and on a server."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from penstock.components.retrainer import decisions
from penstock.components.retrainer.policy import Policy
from penstock.core.services import retries
from penstock.pipelines.cli import main
from penstock.pipelines.config import training_pipeline
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


def test_what_is_approved_runs_here(retrain: Retrain, waiting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retraining.launch, "launch", launch)
    document = retrain("--approve", waiting)
    assert (document["exit_code"], statuses(document)) == (0, ["done"])
    assert document["result"]["retrainings"][0]["answered"].startswith("approved by ")


@pytest.mark.usefixtures("server")
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
        (["--approve", "nope"], "nope: no such retraining; none waits"),
        (["--reason", "x", "--target", "kubflow"], "--target kubflow: "),
    ],
)
def test_what_cannot_be_is_two(retrain: Retrain, arguments: list[str], words: str) -> None:
    document = retrain(*arguments)
    assert document["exit_code"] == 2
    assert words in document["error"]["message"]
