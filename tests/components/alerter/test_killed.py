"""A process that dies at any step, and two at once: nothing is lost, and what comes twice has the same id."""

import contextlib
import dataclasses
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import IO, Any

import pytest

from tests.components.alerter.conftest import BEGIN, window
from tests.servers import object_stores
from tests.servers.webhooks import SLACK_PATH, Webhooks

LOUD = {"distance": 0.15, "carrier": 0.3}
KILLED = -9


@dataclass
class Children:
    """The process whose children run the Alerter."""

    stdin: IO[str]
    stdout: IO[str]

    def run(
        self, folder: Path, settings: dict[str, Any], hour: int = 0, state: str = "", **order: int
    ) -> tuple[list[int], str]:
        """Runs children over a window; returns how they ended, and the step at which one was killed."""
        values = {"distance": 0.15} if state else LOUD if hour == 0 else {"distance": 0.0, "carrier": 0.3}
        order_ = {
            **order,
            "alerts": str(folder / "alerts"),
            "state": state or str(folder / "state"),
            "settings": json.dumps(settings),
            "window": dataclasses.asdict(window(hour, values)),
            "now": (BEGIN + timedelta(hours=hour + 1)).isoformat(),
        }
        print(json.dumps(order_), file=self.stdin, flush=True)
        lines = []
        while not (line := self.stdout.readline()).startswith("["):
            assert line, "the process has ended"
            lines.append(line.strip())
        return json.loads(line), "".join(lines)


@contextlib.contextmanager
def running_children(*modules: str) -> Iterator[Children]:
    """Starts the process, which imports modules that all children need."""
    command = [sys.executable, "-m", "tests.components.alerter.killed", *modules]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        yield Children(process.stdin, process.stdout)
        process.stdin.close()
        assert process.wait(30) == 0


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    with running_children() as running:
        yield running


@dataclass
class Receivers:
    """A webhook, a chat and a file, and what they have got."""

    server: Webhooks
    file: Path
    chat: Path

    @property
    def settings(self) -> dict[str, Any]:
        channels = {
            "log": {"log": {"path": str(self.file)}},
            "hook": {"webhook": {"url": f"{self.server.url}/alerts"}},
            "chat": {"slack": {"url_file": str(self.chat)}},
        }
        return {"close_after": 1, "channels": channels}

    def got(self) -> dict[str, Counter[str]]:
        """Returns how often each channel has got each message, by its id."""
        lines = self.file.read_text().splitlines() if self.file.exists() else []
        keys: dict[str, Counter[str]] = {"/alerts": Counter(), SLACK_PATH: Counter()}
        for request in self.server.requests:
            keys[request.path][request.headers["Idempotency-Key"]] += 1
        return {"log": Counter(json.loads(line)["id"] for line in lines), **keys}


@pytest.fixture
def receivers(webhooks: Webhooks, tmp_path: Path) -> Receivers:
    chat = tmp_path / "chat"
    chat.write_text(webhooks.url + SLACK_PATH)
    return Receivers(webhooks, tmp_path / "alerts.jsonl", chat)


@pytest.mark.slow
def test_what_dies_at_any_step_loses_nothing(children: Children, receivers: Receivers, tmp_path: Path) -> None:
    settings = receivers.settings
    del settings["channels"]["chat"]  # which is told as the webhook is
    steps = Counter[str]()
    for step in range(1, 100):
        folder = tmp_path / str(step)
        receivers.server.requests.clear()
        receivers.file.unlink(missing_ok=True)
        codes, kind = children.run(folder, settings, step=step)
        if codes == [0]:
            break
        assert codes == [KILLED], step
        steps[kind] += 1
        assert children.run(folder, settings) == ([0], "")
        got = receivers.got()
        assert [len(got[name]) for name in ("log", "/alerts")] == [2, 2], (step, kind)
        assert set(got["log"].values()) == {1}, (step, kind)
        twice = sum(count - 1 for count in got["/alerts"].values())
        assert twice <= (kind in ("after send", "before write")), (step, kind)
        if step % 7 == 0:  # a third run finds nothing to tell
            assert children.run(folder, settings) == ([0], "")
            assert receivers.got() == got
    assert steps == {"before send": 3, "after send": 3, "before write": 5, "after write": 5}


@pytest.mark.slow
def test_what_dies_with_its_state_in_an_object_store_loses_nothing(
    receivers: Receivers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After it has taken the state, has decided, has told, and has written down that it has told."""
    settings = receivers.settings
    settings["channels"] = {"hook": settings["channels"]["hook"]}
    with contextlib.ExitStack() as stack:
        store = stack.enter_context(object_stores.s3())
        for name, value in store.environment.items():
            monkeypatch.setenv(name, value)
        store.remove_everything()  # makes the bucket
        children = stack.enter_context(running_children("s3fs", "aiobotocore.session"))
        for step, kind in ((2, "after write"), (4, "after write"), (6, "after send"), (8, "after write")):
            uri = store.uri("alerts", str(step))
            receivers.server.requests.clear()
            assert children.run(tmp_path, settings, state=uri, step=step) == ([KILLED], kind)
            assert children.run(tmp_path, settings, state=uri) == ([0], "")
            counts = list(receivers.got()["/alerts"].values())
            assert counts == [2 if kind == "after send" else 1], step


@pytest.mark.slow
def test_what_dies_in_each_run_loses_nothing_over_the_windows(
    children: Children, receivers: Receivers, tmp_path: Path
) -> None:
    """Every run dies one step later than the last, over two windows: the second resolves an alert of the first."""
    settings = receivers.settings
    for hour in (0, 1):
        step = 1
        while children.run(tmp_path, settings, hour, step=step)[0] != [0]:
            step += 1
    got = receivers.got()
    kinds = {name: Counter(key.partition("-")[2] for key in ids) for name, ids in got.items()}
    assert kinds == {name: {"opened": 2, "resolved": 1} for name in kinds}
    assert set(got["log"].values()) == {1}


def test_of_two_at_once_one_tells(children: Children, receivers: Receivers, tmp_path: Path) -> None:
    settings = receivers.settings
    assert children.run(tmp_path, settings, together=4)[0] == [0] * 4
    assert {name: sorted(ids.values()) for name, ids in receivers.got().items()} == {
        name: [1, 1] for name in ("log", "/alerts", SLACK_PATH)
    }
