"""The collector's threads: when journals end, what waits, what comes twice, and a log that takes no files."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock.components.event_collector import collector as module
from penstock.components.event_collector.collector import Collector, Full
from penstock.components.event_collector.journal import JournalFile
from penstock.components.event_collector.metrics import Metrics
from penstock.components.event_collector.settings import Settings
from penstock.core.artifacts import RequestLog
from penstock.core.errors import UserError
from tests.components.event_collector.conftest import NOON, event, halves, late, logged, now

type Start = Callable[..., Collector]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Returns a function that starts a collector of `tmp_path / "log"`; all are closed at the end."""
    monkeypatch.setattr(module, "_TICK", 0.02)
    monkeypatch.setattr(module, "_PAUSE", 0.05)
    started: list[Collector] = []

    def start_one(**settings: Any) -> Collector:
        values = {"log": str(tmp_path / "log"), "journals": tmp_path / "journals", "namespace": "team", **settings}
        started.append(Collector(Settings(**values), Metrics()))
        started[-1].start()
        return started[-1]

    yield start_one
    for one in started:
        one.close()


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_journal_ends_by_its_age_and_a_late_response_finds_its_request(start: Start, tmp_path: Path) -> None:
    collector = start(rotate_seconds=0.1, patience=30)
    assert collector.add(late(event("request", 1), now())).result() is True
    assert collector.add(late(event("request", 2), now() - 31)).result() is True
    until(lambda: bool(halves(tmp_path / "log")))
    assert halves(tmp_path / "log") == {"id-2": (True, False)}
    collector.add(late(event("response", 1), now())).result()
    until(lambda: len(halves(tmp_path / "log")) == 2)
    assert halves(tmp_path / "log") == {"id-1": (True, True), "id-2": (True, False)}


def test_a_journal_ends_by_its_size_and_files_are_those_of_a_request_log(start: Start, tmp_path: Path) -> None:
    collector, log = start(rotate_bytes=2000, patience=30), RequestLog(tmp_path / "log")
    for number in range(20):
        for kind in ("request", "response"):
            collector.add(late(event(kind, number, number), now())).result()
    until(lambda: len(log.files("taxi", 3, "serving_default")) > 1)
    collector.close()
    assert log.models() == [("taxi", 3)]
    files = log.files("taxi", 3, "serving_default")
    assert all(file.begin.date() == NOON.date() and file.end >= file.begin for file in files)
    assert {half for halves_of in halves(log.root).values() for half in halves_of} == {True}
    first = next(row for row in logged(log.root) if row["request_id"] == "id-7")
    assert (first.pop("time") - NOON).total_seconds() == 7
    assert first == {
        "request_id": "id-7", "model": "taxi", "version": 3, "seconds": 0.0, "sample": 1.0,
        "request": event("request", 7).body, "request_type": "application/json",
        "response": event("response", 7).body, "response_type": "application/json",
    }  # fmt: skip


def test_what_comes_twice_is_there_once_also_when_it_is_in_the_log(start: Start, tmp_path: Path) -> None:
    collector = start(rotate_seconds=0.1, patience=0)
    both = [event("request", 1), event("response", 1)]
    assert [collector.add(one).result() for one in (*both, *both)] == [True, True, False, False]
    until(lambda: bool(halves(tmp_path / "log")))
    assert [collector.add(one).result() for one in both] == [False, False]
    collector.close()
    again = start()
    assert [again.add(one).result() for one in both] == [False, False]
    again.close()
    assert halves(tmp_path / "log") == {"id-1": (True, True)}


def test_a_response_that_comes_too_late_is_there_alone(start: Start, tmp_path: Path) -> None:
    collector = start(rotate_seconds=0.1, patience=0)
    collector.add(event("request", 1)).result()
    until(lambda: bool(logged(tmp_path / "log")))
    assert collector.add(event("response", 1)).result() is True
    collector.close()
    rows = [(row["request"] is None, row["response"] is None) for row in logged(tmp_path / "log")]
    assert sorted(rows) == [(False, True), (True, False)]


def test_at_the_end_everything_is_in_the_log(start: Start, tmp_path: Path) -> None:
    collector = start()
    answers = [collector.add(event(kind, 1)) for kind in ("response", "request")]
    answers.append(collector.add(event("request", 2)))
    assert collector.close() == 0
    assert [one.result() for one in answers] == [True] * 3
    assert halves(tmp_path / "log") == {"id-1": (True, True), "id-2": (True, False)}


def test_a_log_that_takes_no_files_is_waited_for(start: Start, tmp_path: Path) -> None:
    (tmp_path / "log").write_text("no folder")
    collector = start(rotate_bytes=1, patience=0, journal_bytes=1500)
    kept = 0
    while sum(one.bytes for one in JournalFile.all(tmp_path / "journals")) < 1400:
        kept += collector.add(event("request", kept)).result()
    with pytest.raises(Full, match=r"the journals are full, for .*log takes no files"):
        collector.add(event("request", kept, body=b"x" * 200))
    assert collector.close() > 0
    (tmp_path / "log").unlink()
    assert start().close() == 0
    assert sorted(halves(tmp_path / "log")) == sorted(f"id-{one}" for one in range(kept))


def test_more_than_may_wait_is_refused(start: Start) -> None:
    collector = start(queue_bytes=100)
    with pytest.raises(Full, match="too many events wait for the disk"):
        collector.add(event("request", 1, body=b"x" * 101))


def test_a_disk_that_takes_nothing_says_so_and_is_tried_again(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    collector = start()

    def broken(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.pwrite", broken)
        with pytest.raises(OSError, match="No space left"):
            collector.add(event("request", 1)).result()
    assert collector.add(event("request", 1)).result() is True


def test_one_collector_has_the_journals(start: Start) -> None:
    start()
    with pytest.raises(UserError, match=r"another collector has .*journals: each needs a folder of its own"):
        start()


def test_two_models_and_versions_have_a_folder_each(start: Start, tmp_path: Path) -> None:
    collector = start()
    collector.add(event("request", 1)).result()
    collector.add(event("request", 2, annotations="")).result()
    collector.add(event("request", 3, inferenceservicename="birds", namespace="other")).result()
    collector.close()
    assert RequestLog(tmp_path / "log").models() == [("birds.other", 3), ("taxi", 0), ("taxi", 3)]
