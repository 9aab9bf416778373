"""Following a run, without a server: what is told, and how long a silent server is waited for."""

from collections.abc import Callable

import pytest

from penstock.components.errors import NoServer, PenstockError, ServerUnavailable
from penstock.pipelines import watching
from penstock.pipelines.watching import Snapshot, Task


def polls(*answers: Snapshot | PenstockError) -> Callable[[], Snapshot]:
    left = list(answers)

    def poll() -> Snapshot:
        answer = left.pop(0)
        if isinstance(answer, PenstockError):
            raise answer
        return answer

    return poll


def watch(*answers: Snapshot | PenstockError) -> tuple[Snapshot, list[str], list[float]]:
    told: list[str] = []
    slept: list[float] = []
    ended = watching.watch(polls(*answers), told.append, interval=7, sleep=slept.append)
    return ended, [" ".join(line.split()) for line in told], slept


def test_two_tasks_of_one_name_are_two() -> None:
    loop = (Task("1", "trainer", "SUCCEEDED", 1.5), Task("2", "trainer", "RUNNING"))
    ended, told, slept = watch(Snapshot("RUNNING", loop), Snapshot("SUCCEEDED", loop))
    assert ended.succeeded
    assert told == ["trainer succeeded 1.5 s", "trainer running"]
    assert slept == [7]


@pytest.mark.parametrize("error", [ServerUnavailable("away"), NoServer("away")])
def test_a_server_that_was_there_is_waited_for(error: PenstockError) -> None:
    running, ended = Snapshot("RUNNING"), Snapshot("SUCCEEDED")
    away = [error] * (watching.LOST_POLLS - 1)
    assert watch(running, *away, running, *away, ended)[0] == ended
    with pytest.raises(type(error)):
        watch(running, *away, error, ended)


def test_an_address_without_a_server_is_told_at_once() -> None:
    with pytest.raises(NoServer):
        watch(NoServer("nobody there"), Snapshot("SUCCEEDED"))


def test_outcomes() -> None:
    assert watching.outcome(Snapshot("SUCCEEDED")) == "succeeded"
    assert watching.outcome(Snapshot("CANCELED")) == "the run ended canceled"
    tasks = (Task("1", "condition-1", "FAILED"), Task("2", "trainer", "FAILED", error="out of memory"))
    assert watching.outcome(Snapshot("FAILED", tasks)) == "the run ended failed: trainer: out of memory"
    assert (
        watching.outcome(Snapshot("FAILED", tasks[:1]))
        == "the run ended failed: condition-1: no reason given, see its log"
    )
