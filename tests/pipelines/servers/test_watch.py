"""Following a run, without a server: what is told, and how long a silent server is waited for."""

from collections.abc import Callable

import pytest

from penstock.core.errors import NoServer, PenstockError, ServerError
from penstock.core.services.retries import NotFound, Unanswered
from penstock.pipelines.servers import watch as watching
from penstock.pipelines.servers.watch import Snapshot, Task


def polls(*answers: Snapshot | PenstockError) -> Callable[[], Snapshot]:
    left = list(answers)

    def poll() -> Snapshot:
        answer = left.pop(0)
        if isinstance(answer, PenstockError):
            raise answer
        return answer

    return poll


def watch(*answers: Snapshot | PenstockError, known: bool = False) -> tuple[Snapshot, list[str], list[float]]:
    told: list[str] = []
    slept: list[float] = []
    ended = watching.watch(polls(*answers), told.append, told.append, known=known, interval=7, sleep=slept.append)
    return ended, [" ".join(line.split()) for line in told], slept


def test_two_tasks_of_one_name_are_two() -> None:
    loop = (Task("1", "trainer", "SUCCEEDED", 1.5), Task("2", "trainer", "RUNNING"))
    ended, told, slept = watch(Snapshot("RUNNING", loop), Snapshot("SUCCEEDED", loop))
    assert ended.succeeded
    assert told == ["trainer succeeded 1.5 s", "trainer running"]
    assert slept == [7]


@pytest.mark.parametrize("error", [Unanswered("away", "try again"), NoServer("away")])
def test_a_server_that_was_there_is_waited_for(error: PenstockError) -> None:
    running, ended = Snapshot("RUNNING"), Snapshot("SUCCEEDED")
    away = [error] * (watching.LOST_POLLS - 1)
    snapshot, told, _ = watch(running, *away, running, *away, ended)
    assert snapshot == ended
    assert told == ["away: waiting for an answer"] * 2  # once each time
    with pytest.raises(watching.Unwatched) as raised:
        watch(running, *away, error, ended)
    assert raised.value.message == "the run goes on, but watching it failed: away"
    assert watch(*away, ended, known=True)[0] == ended


def test_what_waiting_does_not_mend_is_told_at_once() -> None:
    expired = ServerError("wants a sign-in (401)")
    for answers, known in (([Snapshot("RUNNING"), expired], False), ([expired], True)):
        with pytest.raises(watching.Unwatched, match=r"the run goes on, .*: wants a sign-in") as raised:
            watch(*answers, known=known)
        assert raised.value.exit_code not in (0, 1, 2)


@pytest.mark.parametrize("error", [NoServer("nobody there"), ServerError("who are you"), NotFound("no such run")])
def test_a_run_that_was_never_seen_does_not_go_on(error: PenstockError) -> None:
    with pytest.raises(type(error)):
        watch(error, Snapshot("SUCCEEDED"))


def test_a_run_that_is_there_no_more_does_not_go_on() -> None:
    with pytest.raises(NotFound):
        watch(Snapshot("RUNNING"), NotFound("deleted"))


def test_outcomes() -> None:
    assert watching.outcome(Snapshot("SUCCEEDED")) == "succeeded"
    assert watching.outcome(Snapshot("CANCELED")) == "the run ended canceled"
    tasks = (Task("1", "condition-1", "FAILED"), Task("2", "trainer", "FAILED", error="out of memory"))
    assert watching.outcome(Snapshot("FAILED", tasks)) == "the run ended failed: trainer: out of memory"
    assert (
        watching.outcome(Snapshot("FAILED", tasks[:1]))
        == "the run ended failed: condition-1: no reason given, see its log"
    )


def test_several_causes_are_a_line_each() -> None:
    tasks = (
        Task("1", "work[0]", "FAILED", error="no label", details="  line 3\n"),
        Task("2", "trainer", "FAILED"),
        Task("3", "work[1]", "FAILED", error="no label", details="  line 3\n"),
        Task("4", "pusher", "SKIPPED"),
    )
    assert watching.outcome(Snapshot("FAILED", tasks)).splitlines() == [
        "the run ended failed:",
        "work[0], work[1]: no label",
        "    line 3",
        "trainer: no reason given, see its log",
    ]
    many = tuple(Task(str(number), f"work[{number}]", "FAILED", error=f"row {number}") for number in range(12))
    assert watching.outcome(Snapshot("FAILED", many)).splitlines()[-2:] == ["work[9]: row 9", "and 2 causes more"]


def test_a_try_is_told() -> None:
    tries = [Snapshot("RUNNING", (Task("1", "trainer", "RUNNING", attempt=attempt),)) for attempt in (1, 1, 2)]
    ended = Snapshot("SUCCEEDED", (Task("1", "trainer", "SUCCEEDED", 3.0, attempt=2),))
    _, told, _ = watch(*tries, ended)
    assert told == ["trainer running", "trainer running try 2", "trainer succeeded 3.0 s try 2"]


def test_the_last_states_are_waited_for_a_while() -> None:
    running, skipped = Task("1", "trainer", "RUNNING"), Task("2", "pusher", "SKIPPED")
    late = Snapshot("SUCCEEDED", (running, skipped), late=True)
    done = Snapshot("SUCCEEDED", (Task("1", "trainer", "SUCCEEDED"), Task("2", "pusher", "SUCCEEDED")))
    ended, told, _ = watch(late, late, done)
    assert (ended, told) == (done, ["trainer running", "trainer succeeded", "pusher succeeded"])
    ended, told, slept = watch(*[late] * (watching.LATE_POLLS + 1))
    assert (ended, told) == (late, ["trainer running", "pusher skipped"])
    assert len(slept) == watching.LATE_POLLS


@pytest.mark.parametrize("error", [Unanswered("away", "try again"), ServerError("wants a sign-in (401)")])
def test_a_run_that_has_ended_does_not_go_on(error: PenstockError) -> None:
    late = Snapshot("FAILED", (Task("1", "trainer", "RUNNING"),), late=True)
    assert watch(late, error)[0] == late
