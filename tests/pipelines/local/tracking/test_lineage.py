"""OpenLineage's events of runs: sent to a loopback server, and read there by OpenLineage's own classes."""

import os
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import parent_run

from penstock.core import artifacts
from penstock.pipelines import local
from penstock.pipelines.local.records.cache import Key
from penstock.pipelines.local.records.record import Output, RunRecord, TaskRecord
from penstock.pipelines.local.tracking import lineage
from penstock.pipelines.local.tracking.lineage import Lineage
from tests.servers import ports
from tests.servers.loopback import Hang, Loopback, Refusal, Request, Status

RunSmall = Callable[..., local.RunSummary]
_ROUTE = "events"


class OpenLineage(Loopback):
    """Takes the events that OpenLineage's classes take; others are refused."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[RunEvent] = []

    def route(self, path: str) -> str:
        return _ROUTE if path == "/api/v1/lineage" else path

    def answer(self, request: Request) -> Any:
        if request.route != _ROUTE:
            raise Refusal(404)
        try:
            self.events.append(_parsed(dict(request.body)))
        except (KeyError, TypeError, ValueError) as error:
            raise Refusal(422, str(error)) from None
        return {}

    def error(self, failure: Status) -> Any:
        return {"message": failure.message}

    def ended(self) -> list[tuple[str, str]]:
        return [(event.job.name, event.eventType.value) for event in self.events if event.eventType]


def _parsed(body: dict[str, Any]) -> RunEvent:
    """Reads an event; each facet must say who made it and what its schema is."""
    url = body.pop("schemaURL")
    datasets = [body.pop("inputs", []), body.pop("outputs", [])]
    run, job, state = Run(**body.pop("run")), Job(**body.pop("job")), RunState(body.pop("eventType"))
    uuid.UUID(run.runId)
    inputs, outputs = [InputDataset(**one) for one in datasets[0]], [OutputDataset(**one) for one in datasets[1]]
    facets: list[Any] = [run.facets, job.facets, *(one.facets for one in (*inputs, *outputs))]
    for facet in (facet for some in facets for facet in (some or {}).values()):
        assert facet["_producer"].startswith("pkg:pypi/penstock@")
        assert facet["_schemaURL"].startswith("https://openlineage.io/spec/facets/")
    event = RunEvent(run=run, job=job, eventType=state, inputs=inputs, outputs=outputs, **body)
    assert (event.schemaURL, event.producer[:18]) == (url, "pkg:pypi/penstock@")
    return event


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenLineage]:
    with OpenLineage() as running:
        monkeypatch.setenv(lineage.VARIABLE, running.url)
        yield running


def facet(event: RunEvent, name: str) -> Any:
    return (event.run.facets or {})[name]


def tags(event: RunEvent) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in facet(event, "tags")["tags"]}


@pytest.mark.usefixtures("forks")
def test_a_run_and_its_tasks_are_told_in_their_order(server: OpenLineage, run: RunSmall) -> None:
    """The second is from the cache, but for the task that never is; the third fails."""
    summary = run(count=6)
    tasks = ["small.source", "small.total", "small.announce"]
    inner = [(task, state) for task in tasks for state in ("START", "COMPLETE")]
    assert server.ended() == [("small", "START"), *inner, ("small", "COMPLETE")]
    first, *between, last = server.events
    assert first.run.runId == last.run.runId
    for start, end in zip(between[::2], between[1::2], strict=True):
        assert start.run.runId == end.run.runId != first.run.runId
        parent = facet(end, "parent")
        assert parent_run.Run(**parent["run"]).runId == first.run.runId
        assert parent_run.Job(**parent["job"]).name == "small"
        assert tags(end) == {"run": summary.run_folder.name, "cached": "false"}
    made, taken = between[1].outputs or [], between[2].inputs or []
    assert [(one.namespace, one.name) for one in made] == [("file", str(summary.run_folder / "source" / "numbers"))]
    assert [(one.namespace, one.name) for one in taken] == [(one.namespace, one.name) for one in made]

    server.events.clear()
    run(count=6)
    assert [tags(event).get("cached") for event in server.events[2:7:2]] == ["true", "true", "false"]

    server.events.clear()
    failed = run(count=6, mode="mysql://reader:geheim1234@db/flights")
    assert server.ended()[-2:] == [("small.total", "FAIL"), ("small", "FAIL")]
    for event in server.events[-2:]:
        assert "no answer from mysql://reader:***@db/flights" in facet(event, "errorMessage")["message"]
    assert failed.exit_code == 1
    assert "geheim1234" not in str(server.requests)


@pytest.mark.usefixtures("forks")
def test_an_interrupted_run_is_aborted_with_its_tasks(server: OpenLineage, run: RunSmall, tmp_path: Path) -> None:
    flag = tmp_path / "running"

    def interrupt() -> None:
        while not flag.exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        run(count=6, mode=f"sleep:{flag}")
    thread.join()
    assert server.ended()[-2:] == [("small.total", "ABORT"), ("small", "ABORT")]


def test_datasets_say_where_the_data_is_what_columns_it_has_and_where_the_model_went(
    server: OpenLineage, recorded: Callable[..., RunRecord]
) -> None:
    run = recorded(1, columns=["a", "label"], arguments={"input_base": "s3://key:geheim1234@team-data/birds/*.csv"})
    told = Lineage(run)
    place = artifacts.pushed_metadata([artifacts.PushedVersion("gs://models/birds/7", "7")])
    pushed = TaskRecord("pusher", "done", key=Key("pusher", "", "", {}, {}))
    pushed.outputs = {"pushed_model": Output(uri=str(run.folder / "pushed"), metadata=dict(place))}
    pushed.inputs = {"examples": [str(run.folder / "csv-example-gen" / "examples")]}
    for task in (run.tasks[0], pushed):
        task.status = "running"
        told.task_started(task)
        task.status = "done"
        told.task_ended(task)
    told.close()
    _, _, read, _, push, _ = server.events
    (source,), (examples,) = read.inputs or [], read.outputs or []
    assert (source.namespace, source.name) == ("s3://team-data", "birds/*.csv")
    assert (examples.outputFacets or {})["outputStatistics"]["rowCount"] == 1001  # type: ignore[index]
    (taken,) = push.inputs or []
    fields = (taken.facets or {})["schema"]["fields"]  # type: ignore[index]
    assert [(field["name"], field["type"]) for field in fields] == [("a", "int"), ("label", "int")]
    assert ("gs://models", "birds/7") in [(one.namespace, one.name) for one in push.outputs or []]


def test_what_a_server_does_costs_one_warning(
    server: OpenLineage,
    recorded: Callable[..., RunRecord],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def told() -> str:
        run = recorded(len(list(tmp.glob("*"))) + 1)
        began = time.monotonic()
        one = Lineage(run)
        run.tasks[0].status = "running"
        one.task_started(run.tasks[0])
        run.tasks[0].status = "done"
        one.task_ended(run.tasks[0])
        one.close()
        assert time.monotonic() - began < 5
        return capsys.readouterr().err

    tmp = recorded(1).folder.parent
    assert told() == ""
    monkeypatch.setattr(lineage, "_PATIENCE", 0.2)
    server.fail("POST", _ROUTE, Hang(1.0))
    assert "warning: OpenLineage was not told of the run, or not of all of it: 4 of 4 events were not taken" in told()
    monkeypatch.setattr(lineage, "_PATIENCE", 10.0)
    server.fail("POST", _ROUTE, Status(500), Status(500))
    assert "500" in told()
    server.fail("POST", _ROUTE, Status(401))
    assert "401" in told()
    monkeypatch.setenv(lineage.VARIABLE, f"http://ops:geheim1234@127.0.0.1:{ports.reserve()}")
    refused = told()
    assert "Connection refused" in refused
    assert "geheim1234" not in refused
    monkeypatch.setenv(lineage.VARIABLE, "nowhere")
    assert "expected a URL in OPENLINEAGE_URL" in told()
    monkeypatch.setattr("importlib.util.find_spec", {"openlineage": None}.get)
    assert told() == (
        "warning: OPENLINEAGE_URL is set, but its library is not installed: pip install 'penstock[openlineage]'\n"
    )


@pytest.mark.usefixtures("forks")
def test_a_run_ends_as_it_would_without_a_server(
    server: OpenLineage, run: RunSmall, capsys: pytest.CaptureFixture[str]
) -> None:
    server.fail("POST", _ROUTE, Status(500), Status(500))
    summary = run(count=3)
    assert (summary.status, summary.exit_code) == ("done", 0)
    assert capsys.readouterr().err.count("warning: OpenLineage was not told of the run") == 1
