"""`penstock collect` as a process: it takes events over HTTP as KServe's logger sends them, and may be killed."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import urllib3
from cloudevents.conversion import to_binary
from cloudevents.http import CloudEvent

from penstock.components.event_collector import server
from penstock.components.event_collector.collector import Collector
from penstock.components.event_collector.metrics import Metrics
from penstock.components.event_collector.settings import Settings
from penstock.components.monitoring.windows.account import Account
from penstock.components.monitoring.windows.files import Selection
from penstock.components.monitoring.windows.inputs import Features
from penstock.components.monitoring.windows.requests import Requests
from penstock.components.monitoring.windows.window import Window
from penstock.core.errors import SystemFailure
from tests.components.event_collector.conftest import NOON, halves, headers, request, response
from tests.components.monitoring.conftest import schema

HOUR = Window(NOON, NOON + timedelta(hours=1))
CLIENT = urllib3.PoolManager(maxsize=8, retries=False, timeout=20)


@contextlib.contextmanager
def running(python: str, folder: Path, *options: str) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """Starts the command; yields its URL and its process, which is ended by SIGTERM unless it has ended."""
    command = [python, "-m", "penstock.pipelines.cli.main", "collect", str(folder / "log"), "--port", "0"]
    process = subprocess.Popen([*command, "--namespace", "team", *options], stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout
        try:
            yield json.loads(process.stdout.readline())["http"], process
        finally:
            process.send_signal(signal.SIGTERM)


def send(url: str, kind: str, number: int, body: bytes | None = None, **attributes: str) -> tuple[int, str]:
    """Sends an event by the SDK of CloudEvents; returns the answer's status and text."""
    content = body or (request(number) if kind == "request" else response(number))
    sent = {
        name.removeprefix("ce-"): value for name, value in headers(kind, f"id-{number}", number, **attributes).items()
    }
    sent["datacontenttype"] = sent.pop("content-type")
    made, data = to_binary(CloudEvent(sent, content), data_marshaller=lambda same: same)
    answer = CLIENT.request("POST", url, body=data, headers=dict(made))
    return answer.status, answer.data.decode().strip()


def read(log: Path) -> tuple[list[Any], Account]:
    requests = Requests.open(log, Selection("taxi"), HOUR, Features.of(schema(), "tips"))
    account = requests.listed
    rows = list[Any]()
    for batch in (rows for piece in requests.pieces for rows in requests.read(piece, account)):
        ids, features = batch.about.column("request_id").to_pylist(), batch.features.to_pylist()
        outputs = batch.outputs.to_pylist() or [{}] * len(ids)
        rows += [(id, *one.values(), *of_row.values()) for id, one, of_row in zip(ids, features, outputs, strict=True)]
    return rows, account


def test_events_come_out_of_the_log_as_rows_after_sigterm(python: str, tmp_path: Path) -> None:
    with running(python, tmp_path) as (url, process):
        assert CLIENT.request("GET", f"{url}/healthz").status == 200
        sent = [send(url, *half) for half in (("request", 1), ("response", 1), ("response", 2), ("request", 2))]
        assert sent == [(200, "kept")] * 4
        assert send(url, "request", 2) == (200, "duplicate")
        assert send(url, "request", 3) == (200, "kept")
        assert send(url, "request", 4, b"\xff") == (200, "kept")
        assert send(url, "request", 5, component="transformer") == (200, "ignored")
        refused = CLIENT.request("POST", url, body=b"{}", headers={"content-type": "application/cloudevents+json"})
        assert (refused.status, refused.data) == (
            400, b"expected a CloudEvent of KServe's logger in binary mode, found no header ce-type\n",
        )  # fmt: skip
        assert [CLIENT.request(*one).status for one in (("GET", f"{url}/x"), ("PUT", url))] == [404, 405]
        metrics = CLIENT.request("GET", f"{url}/metrics").data.decode().splitlines()
        counted = {line for line in metrics if line.startswith("penstock_collector_events_total")}
        assert counted == {
            f'penstock_collector_events_total{{outcome="{name}"}} {count}.0'
            for name, count in (("kept", 6), ("duplicate", 1), ("ignored", 1), ("refused", 1))
        }
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    rows, account = read(tmp_path / "log")
    assert rows == [
        ("id-1", None, [1], [b"blue"], 0.01),
        ("id-2", None, [2], [b"blue"], 0.02),
        ("id-3", None, [3], [b"blue"]),
    ]
    assert (account.requests, account.rows, account.versions) == (4, 3, {3: 3})
    assert [one["reason"] for one in account.left_out.listed()] == [
        "a body that is neither JSON of a known form, nor CSV"
    ]
    assert [(one["reason"], one["count"]) for one in account.odd.listed()] == [
        ("a row of a request without a response", 1)
    ]


def test_a_large_event_is_refused(python: str, tmp_path: Path) -> None:
    with running(python, tmp_path) as (url, _):
        assert send(url, "request", 1, b"x" * (33 << 20)) == (413, "expected an event of at most 33,554,432 bytes")
        assert send(url, "request", 1, b"x" * (31 << 20)) == (200, "kept")


def test_a_server_whose_threads_do_not_run_is_not_healthy(tmp_path: Path) -> None:
    settings = Settings(str(tmp_path / "log"), tmp_path / "journals", port=0)
    collector = Collector(settings, Metrics())
    scope = {"type": "http", "method": "GET", "path": "/healthz", "headers": []}

    def asked() -> int:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        asyncio.run(server.App(settings, collector, Metrics())(scope, None, send))  # type: ignore[arg-type]
        status: int = sent[0]["status"]
        return status

    assert asked() == 503
    collector.start()
    assert asked() == 200
    collector.close()
    assert asked() == 503


def test_a_server_that_ends_by_itself_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def ended(*_: object) -> None: ...

    monkeypatch.setattr(server.Server, "serve", ended)
    with pytest.raises(SystemFailure, match="the HTTP server has ended by itself"):
        server.collect(Settings(str(tmp_path / "log"), tmp_path / "journals", port=0))


def test_journals_are_below_a_log_that_is_named_by_its_uri(python: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = [python, "-m", "penstock.pipelines.cli.main", "collect", log.as_uri(), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        assert process.stdout
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
    assert ([*tmp_path.iterdir()], (log / ".journals").is_dir()) == ([log], True)


@pytest.mark.slow
def test_what_is_killed_under_load_has_all_that_it_has_answered(python: str, tmp_path: Path) -> None:
    answered: list[tuple[int, str]] = []
    numbers = iter(range(1_000_000))
    for _ in range(3):
        with running(python, tmp_path, "--rotate-seconds", "1") as (url, process):
            threads = [threading.Thread(target=load, args=(url, numbers, answered)) for _ in range(4)]
            for thread in threads:
                thread.start()
            threads[0].join(1.7)
            os.kill(process.pid, signal.SIGKILL)
            for thread in threads:
                thread.join()
    with running(python, tmp_path):
        pass
    there = halves(tmp_path / "log")
    assert [one for one in answered if not there.get(f"id-{one[0]}", (False, False))[one[1] == "response"]] == []
    assert len(answered) > 100


def load(url: str, numbers: Iterator[int], answered: list[tuple[int, str]]) -> None:
    """Sends requests with their responses, until nobody answers."""
    with contextlib.suppress(urllib3.exceptions.HTTPError):
        for number in numbers:
            for kind in ("request", "response"):
                if send(url, kind, number) == (200, "kept"):
                    answered.append((number, kind))
