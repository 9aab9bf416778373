"""Retrainings on Kubeflow and Vertex AI: each has one run, whatever the server answers and whoever is killed."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock.components.retrainer import package, servers
from penstock.components.retrainer.runs import MOST_ATTEMPTS
from penstock.core.errors import ConfigError
from tests.components.retrainer.servers.conftest import Place
from tests.servers.kubeflow_pipelines import KubeflowPipelines
from tests.servers.loopback import Cut, Status
from tests.servers.vertex import VertexAI
from tests.servers.webhooks import Webhooks


def test_a_retraining_has_a_run_that_says_why(place: Place) -> None:
    changed = place.decide()
    (one,) = place.retrainings()
    assert changed.error is None
    assert [started["id"] for started in changed.started] == [one["id"]] == place.started()
    assert (one["status"], one["attempts"]) == ("running", 1)
    assert one["link"].endswith(one["run"]) or one["run"] in one["link"]
    (body,) = place.created()
    if place.name == "kubeflow":
        assert body["description"].startswith("Retraining: drift of 5 (at most 2): miles is 5 times")
        assert (body["service_account"], body["runtime_config"]["pipeline_root"]) == ("runner", "gs://runs/taxi")
        assert place.server.names("experiments") == ["taxi"]  # type: ignore[attr-defined]
    else:
        assert body["labels"]["team"] == "taxi"
        assert body["labels"]["penstock-retraining"] == one["id"]
        assert body["runtimeConfig"]["gcsOutputDirectory"] == "gs://runs/taxi"
    assert place.decide().started == []  # the same window, again
    assert len(place.started()) == 1


@pytest.mark.parametrize(("ending", "status"), [("SUCCEEDED", "done"), ("FAILED", "failed")])
def test_what_became_of_a_run_is_asked_before_the_next_decision(place: Place, ending: str, status: str) -> None:
    place.decide()
    server: Any = place.server
    times = {"created_at": "2026-06-01T00:00:00Z", "finished_at": "2026-06-01T02:00:00Z"}
    if place.name == "vertex":
        times = {"createTime": times["created_at"], "endTime": times["finished_at"]}
        ending = f"PIPELINE_STATE_{ending}"
        server.states = [{"state": ending, **times}]
    else:
        (run,) = server.stored["runs"].values()
        run |= {"state": ending, **times}
    decision = place.decide(1).result
    (one,) = place.retrainings()
    assert (one["status"], one["seconds"]) == (status, 7200.0)
    assert bool(one["error"]) is (status == "failed")
    assert decision["outcome"] == "held_back"


@pytest.mark.parametrize("code", [429, 500, 503])
def test_what_a_server_does_not_take_is_kept_and_started_by_the_next(place: Place, code: int) -> None:
    place.server.fail("POST", place.route, *[Status(code, "not now")] * 3)
    changed = place.decide()
    assert changed.error is not None
    (one,) = place.retrainings()
    assert (one["status"], place.started()) == ("due", [])
    changed = place.decide(1)
    assert ([started["id"] for started in changed.started], changed.error) == ([one["id"]], None)
    assert place.started() == [one["id"]]


def test_what_a_server_refuses_each_time_has_failed(place: Place) -> None:
    """It would block those to come: an image or the pipeline itself is refused however long one waits."""
    for attempts, status in enumerate(("due", "due", "failed"), 1):
        place.server.fail("POST", place.route, Status(400, "no such image"))
        assert place.decide().error is not None
        (one,) = place.retrainings()
        assert (one["status"], one["attempts"]) == (status, attempts)
        assert "no such image" in one["error"]
    assert place.started() == []


@pytest.mark.parametrize(("method", "code"), [("GET", 401), ("GET", 403), ("POST", 403), ("POST", 404)])
def test_what_is_refused_to_who_asks_stays_due(place: Place, method: str, code: int) -> None:
    """Sign-in, role and address are mended without another run; and while nobody can look there may be one."""
    looked_at = "/experiments" if place.name == "kubeflow" else f"{place.route}/{{id}}"
    for _ in range(MOST_ATTEMPTS):
        place.server.fail(method, looked_at if method == "GET" else place.route, Status(code, "not you"))
        assert place.decide().error is not None
        (one,) = place.retrainings()
        assert (one["status"], one["attempts"], str(code) in one["error"]) == ("due", 0, True)
    assert place.decide().error is None
    assert place.started() == [one["id"]]


def test_what_runs_on_another_server_is_left_to_that(place: Place, compiled: Path, tmp_path: Path) -> None:
    """A server that does not know a run takes it for one that has gone."""
    place.decide()
    (one,) = place.retrainings()
    assert one.get("server") == place.name
    other = "vertex" if place.name == "kubeflow" else "kubeflow"
    with VertexAI() if other == "vertex" else KubeflowPipelines() as server:
        elsewhere = Place(other, server, compiled, tmp_path / "state")
        assert elsewhere.decide(1).started == []
        assert (elsewhere.started(), elsewhere.retrainings()[0]["status"]) == ([], "running")
        stored: Any = place.server
        for kind in stored.stored.values():
            kind.clear()
        place.server.fail("POST", place.route, *[Status(503, "later")] * 3)
        place.decide(1)
        assert (elsewhere.decide(1).started, elsewhere.retrainings()[0]["status"]) == ([], "due")


@pytest.mark.parametrize("after", [True, False])
def test_an_answer_that_is_lost_leads_to_no_second_run(place: Place, after: bool) -> None:
    place.server.fail("POST", place.route, Cut(after=after))
    assert place.decide().error is None
    (one,) = place.retrainings()
    assert (one["status"], place.started()) == ("running", [one["id"]])


def test_while_nobody_answers_a_run_stays_as_it_was(place: Place) -> None:
    place.decide()
    route = f"{place.route}/{{id}}"
    place.server.fail("GET", route, *[Status(503, "later")] * 3)
    assert place.decide(1).result["holds"][0]["kind"] == "under_way"
    assert [one["status"] for one in place.retrainings()] == ["running"]


@pytest.fixture(scope="module")
def children() -> Iterator["subprocess.Popen[str]"]:
    """The process whose children decide."""
    command = [sys.executable, "-m", "tests.components.retrainer.killed"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        assert process.stdin
        process.stdin.close()


def run(process: "subprocess.Popen[str]", place: Place, told: Webhooks, state: Path, **order: int) -> list[int]:
    assert process.stdin
    assert process.stdout
    alerts = json.dumps({"channels": {"hook": {"webhook": {"url": f"{told.url}/alerts"}}}})
    order_ = {**order, "state": str(state), "package": str(place.package), "server": place.settings, "alerts": alerts}
    print(json.dumps(order_), file=process.stdin, flush=True)
    codes: list[int] = json.loads(process.stdout.readline())
    return codes


@pytest.fixture
def told() -> Iterator[Webhooks]:
    """Who is told of retrainings."""
    with Webhooks() as server:
        yield server


@pytest.mark.slow
def test_what_dies_at_any_step_is_neither_lost_nor_started_nor_told_twice(
    children: "subprocess.Popen[str]", place: Place, told: Webhooks, tmp_path: Path
) -> None:
    server: Any = place.server
    kind = "runs" if place.name == "kubeflow" else "pipelineJobs"
    steps, twice = 0, 0
    while run(children, place, told, tmp_path / str(steps), step=steps + 1) == [-signal.SIGKILL]:
        state = tmp_path / str(steps)
        for _ in range(2):
            assert run(children, place, told, state) == [0]
            assert len(place.started()) == 1, steps
        assert set(told.keys()) == {f"{place.started()[0]}-started"}, steps
        twice += len(told.requests) - 1
        told.requests.clear()
        server.stored[kind].clear()
        steps += 1
    # The decision, the look for the run, its start, that it has started, what is told of it, that, and that it was.
    assert steps >= 13
    assert twice == 2  # with the same key: died after it was sent, and before that was written down


@pytest.mark.slow
def test_of_several_at_once_one_starts_it_and_one_tells_it(
    children: "subprocess.Popen[str]", place: Place, told: Webhooks, tmp_path: Path
) -> None:
    assert run(children, place, told, tmp_path / "state", together=4) == [0] * 4
    assert (len(place.started()), len(told.requests)) == (1, 1)


def test_what_is_no_server_is_told(compiled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    training = package.read(str(compiled))
    assert servers.open_runs("", training) is None
    with pytest.raises(ConfigError, match="server: unknown key 'kubflow'; did you mean 'kubeflow'"):
        servers.open_runs('{"kubflow": {}}', training)
    with pytest.raises(ConfigError, match=r"server\.kubeflow: hots: Unexpected keyword argument"):
        servers.open_runs('{"kubeflow": {"hots": "x"}}', training)
    with pytest.raises(ConfigError, match=r"server\.kubeflow: Input should be"):
        servers.open_runs('{"kubeflow": null}', training)
    monkeypatch.setenv(servers.VARIABLE, '{"kubeflow": {}}')
    assert servers.open_runs("", training)


def test_what_is_no_pipeline_is_told(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    with pytest.raises(ConfigError, match="expected a compiled pipeline"):
        package.read(str(path))
    path.write_text("a: 1")
    with pytest.raises(ConfigError, match=r"expected a compiled pipeline of KFP v2 with a name"):
        package.read(str(path))
