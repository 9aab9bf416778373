"""The collector's threads: when journals end, what waits, what comes twice, and a log that takes no files."""

import errno
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from penstock.components.event_collector import collector as module
from penstock.components.event_collector import log_files, pairing
from penstock.components.event_collector.collector import Collector, Full
from penstock.components.event_collector.journal import JournalFile, JournalWriter
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
    while sum(one.bytes for one in JournalFile.all(tmp_path / "journals")) < 1200:
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


def _broken(*_: object) -> Any:
    raise OSError(errno.EIO, "Input/output error")


def _exhausted(*_: object) -> Any:
    raise MemoryError


@pytest.mark.parametrize(
    ("broken", "failing"), [("replace", _broken), ("ftruncate", _broken), ("ftruncate", _exhausted)]
)
def test_a_next_journal_that_cannot_be_made_loses_nothing(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str, failing: Callable[..., Any]
) -> None:
    """Neither before it is there, nor after: the log thread takes no journal that is still written to."""
    collector, rename = start(rotate_seconds=0.05, patience=0), os.replace

    def renamed(source: Path, target: Path) -> None:
        rename(source, target)
        if str(target).endswith(".journal"):
            failing()  # as a file system may say after it has renamed

    with monkeypatch.context() as patched:
        patched.setattr(os, broken, renamed if broken == "replace" else failing)
        for number in range(10):
            assert collector.add(event("request", number)).result() is True
            time.sleep(0.03)
        until(lambda: len(os.listdir(tmp_path / "journals")) == 2)  # the lock, and the journal that is written to
    collector.add(event("request", 10)).result()
    assert collector.close() == 0
    assert sorted(halves(tmp_path / "log")) == sorted(f"id-{one}" for one in range(11))


def test_a_journal_that_is_there_before_it_is_written_to_ends_none(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector = start()
    collector.add(event("request", 1)).result()
    JournalFile.create(tmp_path / "journals", 2, [], [])
    collector._sealed.set()
    until(lambda: not collector._sealed.is_set())
    time.sleep(0.1)
    assert len(JournalFile.all(tmp_path / "journals")) == 2


def test_a_disk_that_is_full_at_the_end_is_told(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    collector = start()
    collector.add(event("request", 1)).result()
    with monkeypatch.context() as patched:
        patched.setattr(JournalFile, "create", _broken)
        assert collector.close() == 1
    assert logged(tmp_path / "log") == []
    assert start().close() == 0
    assert [*halves(tmp_path / "log")] == ["id-1"]


def test_a_journal_that_cannot_be_written_holds_up_no_other(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is what it has left to the next one there twice when it can be."""
    write = log_files.write

    def first_fails(log: str, pairs: Any, journal: JournalFile) -> int:
        if journal.number == 1:
            raise ValueError("no file for this one")
        return write(log, pairs, journal)

    with monkeypatch.context() as patched:
        patched.setattr(log_files, "write", first_fails)
        collector = start(rotate_bytes=1, rotate_seconds=1000, patience=30)
        patched.setattr(module, "_CARRIED_SHARE", 1e-4)
        for number in range(3):
            for kind in ("request", "response"):
                collector.add(late(event(kind, number), now())).result()
        until(lambda: len(logged(tmp_path / "log")) >= 2)
    until(lambda: len(JournalFile.all(tmp_path / "journals")) == 1)
    collector.close()
    assert set(halves(tmp_path / "log")) == {"id-0", "id-1", "id-2"}


def test_many_journals_that_cannot_be_written_end_a_round(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the log that takes no files then: the others are not tried before a pause."""
    for number in range(1, 7):
        JournalFile.create(tmp_path / "journals", number, [event("request", number)], [])
    tried: list[int] = []

    def fails(_: str, __: Any, journal: JournalFile) -> int:
        tried.append(journal.number)
        raise ValueError("no file")

    with monkeypatch.context() as patched:
        patched.setattr(log_files, "write", fails)
        start(rotate_seconds=1000)
        until(lambda: len(tried) >= 6)
    assert tried[:6] == [1, 2, 3] * 2


def test_damage_that_cannot_be_kept_leaves_an_ended_journal(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = JournalFile.create(tmp_path / "journals", 1, [], [])
    JournalWriter(journal).append([event("request", 1)])
    JournalFile.create(tmp_path / "journals", 2, [], [])
    with open(journal.path, "ab") as file:
        file.write(b"damaged")
    with monkeypatch.context() as patched:
        patched.setattr(JournalFile, "keep_rest", _broken)
        start()
        until(lambda: bool(logged(tmp_path / "log")))
        time.sleep(0.1)
        assert journal.path.read_bytes().endswith(b"damaged")
    until(lambda: not journal.path.exists())
    (kept,) = (tmp_path / "journals").glob("*.damaged")
    assert kept.read_bytes() == b"damaged"
    assert [*halves(tmp_path / "log")] == ["id-1"]


def test_what_a_disk_has_damaged_is_kept_and_told(
    start: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    collector = start()
    for number in range(3):
        collector.add(event("request", number)).result()
    (journal,) = JournalFile.all(tmp_path / "journals")
    content = bytearray(journal.path.read_bytes())
    content[content.index(b"id-1")] ^= 1
    journal.path.write_bytes(content)
    assert collector.close() == 0
    assert [*halves(tmp_path / "log")] == ["id-0"]
    (kept,) = journal.path.parent.glob("*.damaged")
    assert (b"hd-1" in kept.read_bytes(), kept.read_bytes()[-60:]) == (True, content[-60:])
    assert f"bytes cannot be read; {kept} has them" in caplog.text


def test_another_failure_ends_no_thread(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> Any:
        raise RuntimeError("a mistake of ours")

    collector, tries = start(rotate_seconds=0.01), []
    with monkeypatch.context() as patched:
        patched.setattr(pairing, "waiting", lambda *_: (tries.append(1), failing()))
        collector.add(event("request", 1)).result()
        until(lambda: bool(tries))
        time.sleep(0.05)
        assert collector.add(event("request", 2)).result(10) is True
    assert collector.is_alive


def test_long_texts_count_in_what_waits(start: Start, tmp_path: Path) -> None:
    """Else a journal would be as large as it gets by what was left to it alone, and end at once, again and again."""
    collector = start(rotate_bytes=20_000, rotate_seconds=1000, patience=1000)
    for number in range(8):
        collector.add(late(replace(event("request", number), id=f"{number}{'x' * 6000}"), now())).result()
    time.sleep(0.2)
    assert JournalFile.all(tmp_path / "journals")[-1].number <= 4
