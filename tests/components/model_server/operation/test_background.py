"""A log's thread: what comes too fast is dropped and counted, and what has come is taken before it ends."""

import threading
from collections.abc import Sequence

import pytest

from penstock.components.model_server.operation.background import Background


class Log(Background[str]):
    def __init__(self, most_entries: int = 100, most_bytes: int = 1000):
        self.dropped: list[int] = []
        self.taken: list[str] = []
        self.open = threading.Event()
        self.finished = False
        super().__init__("a log", self.dropped.append, most_entries, most_bytes)

    def take(self, entries: Sequence[str]) -> None:
        self.open.wait(20)
        if "wrong" in entries:
            raise OSError("the disk is gone")
        self.taken += entries

    def finish(self) -> None:
        self.finished = True


def test_what_waits_is_taken_in_its_order_before_the_end() -> None:
    log = Log()
    log.open.set()
    log.start()
    for number in range(50):
        log.add(str(number), 1)
    log.close(20)
    assert log.taken == [str(number) for number in range(50)]
    assert (log.dropped, log.finished) == ([], True)
    log.add("late", 1)
    assert log.dropped == [1]


@pytest.mark.parametrize(("most_entries", "most_bytes"), [(3, 1000), (100, 30)])
def test_what_is_beyond_the_bounds_is_dropped_and_counted(most_entries: int, most_bytes: int) -> None:
    log = Log(most_entries, most_bytes)
    for number in range(5):
        log.add(str(number), 10)
    assert log.dropped == [1, 1]
    log.open.set()
    log.start()
    log.close(20)
    assert log.taken == ["0", "1", "2"]


def test_a_failure_costs_its_entries_and_not_the_thread(caplog: pytest.LogCaptureFixture) -> None:
    log = Log()
    log.open.set()
    log.add("wrong", 1)
    log.start()
    while not log.dropped:
        threading.Event().wait(0.01)
    log.add("right", 1)
    log.close(20)
    assert (log.dropped, log.taken) == ([1], ["right"])
    assert "a log: 1 entries are dropped: the disk is gone" in caplog.text


def test_an_end_does_not_wait_for_a_thread_that_hangs() -> None:
    log = Log()
    log.start()
    for number in range(40):
        log.add(str(number), 1)
    log.close(0.3)
    assert sum(log.dropped) == 40 - 16  # those that it has taken may still come through
    log.open.set()
