"""A run that is killed between any two of its steps: what the next run reads."""

import json
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from penstock.components.example_gen import executor
from penstock.components.example_gen.sources.kafka import source, state
from penstock.core.state.folder import LocalFolder
from tests.components.example_gen.sources.kafka.conftest import Topic, xs

# In their order: what a run does last before it is killed, whether its window is done then, and what holds it.
STEPS = [
    ("the window is fixed", LocalFolder, "write", False),
    ("the topic is open", executor, "_write", False),
    ("the Examples are in place", executor, "_write", False),
    ("the consumer group is told", source, "_commit", False),
    ("the window is noted as done", state, "done", True),
]


@pytest.mark.parametrize(("step", "holder", "name", "is_done"), STEPS, ids=[step[0] for step in STEPS])
def test_the_next_run_reads_the_same_window_until_it_is_done(
    step: str, holder: Any, name: str, is_done: bool, make_topic: Callable[..., Topic]
) -> None:
    topic = make_topic(group_id="kills")
    topic.send(xs(range(4)))
    assert topic.numbers() == [0, 1, 2, 3]
    topic.send(xs(range(4, 8)))
    _run_killed(topic, holder, name, before=step == "the topic is open")
    topic.send(xs(range(8, 10)))
    again = topic.resolve()
    assert again.span == (3 if is_done else 2)
    if is_done:  # the run has failed, and its window is read again by its number
        range_config = json.dumps({"static_range": {"start_span_number": 2, "end_span_number": 2}})
        assert topic.numbers(range_config) == [4, 5, 6, 7]
    else:
        assert sorted(row["x"][0] for row in topic.generate(again)) == [4, 5, 6, 7]
    assert topic.numbers() == [8, 9]


def _run_killed(topic: Topic, holder: Any, name: str, *, before: bool) -> None:
    """Runs in a child that is killed right before or after it calls a function."""
    child = os.fork()
    if child == 0:
        original = getattr(holder, name)

        def killed(*arguments: Any, **options: Any) -> Any:
            if not before:
                original(*arguments, **options)
            os.kill(os.getpid(), signal.SIGKILL)

        setattr(holder, name, killed)
        topic.run()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL


def test_a_worker_that_is_killed_leaves_nothing_half_written(make_topic: Callable[..., Topic]) -> None:
    from penstock.components.example_gen.sources.kafka.reading import Reader
    from penstock.core.errors import WorkerLost

    topic = make_topic(records_per_shard=5)
    topic.send(xs(range(20)))
    resolved = topic.resolve()
    child = os.fork()
    if child == 0:
        original = Reader.decoded

        def decoded(self: Reader, piece: Any) -> Any:
            yield from original(self, piece)
            if piece.begin == 10:
                os.kill(os.getpid(), signal.SIGKILL)

        Reader.decoded = decoded  # type: ignore[method-assign]
        try:
            topic.generate(resolved)
        except WorkerLost:
            os._exit(3)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 3
    assert not list((topic.folder / "examples").rglob("*.gz"))
    assert topic.resolve() == resolved
    assert topic.numbers() == list(range(20))
