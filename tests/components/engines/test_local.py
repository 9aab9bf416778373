"""The local engine: order, errors, lost workers, memory of what ran before."""

import gc
import os
import shutil
import signal
import tempfile
from functools import partial
from pathlib import Path

import pytest

from penstock.components.engines import open_engine
from penstock.core.errors import ConfigError, DataError, WorkerLost


def square(number: int) -> int:
    return number * number


def process_of(_: int) -> int:
    return os.getpid()


def frozen_objects(_: int) -> int:
    return gc.get_freeze_count()


def fail_on_odd(number: int) -> int:
    if number % 2:
        raise DataError(f"row {number} is odd", "details")
    return number


def killed(_: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


def killed_once(folder: Path, number: int) -> int:
    mark = folder / str(number)
    if number == 3 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


@pytest.mark.parametrize("spec", ["local:1", "local:2", "local:5", "local"])
def test_results_come_in_the_shards_order(spec: str) -> None:
    with open_engine(spec) as engine:
        assert engine.map(square, range(20)) == [number * number for number in range(20)]
        assert engine.map(square, []) == []


def test_shards_are_computed_outside_the_calling_process() -> None:
    with open_engine("local:2") as engine:
        assert os.getpid() not in engine.map(process_of, range(4))


@pytest.mark.parametrize("spec", ["local:1", "local:2"])
def test_the_error_of_a_shard_reaches_the_caller_whole(spec: str) -> None:
    with open_engine(spec) as engine:
        with pytest.raises(DataError, match="row 1 is odd") as caught:
            engine.map(fail_on_odd, range(4))
        assert caught.value.details == "details"
        assert engine.map(square, [2, 3]) == [4, 9], "an engine goes on after an error"


def test_a_shard_whose_worker_was_killed_is_tried_once_more(tmp_path: Path) -> None:
    with open_engine("local:2") as engine:
        assert engine.map(partial(killed_once, tmp_path), range(6)) == list(range(6))


def test_a_shard_that_kills_its_worker_twice_ends_in_one_sentence() -> None:
    with open_engine("local:2") as engine, pytest.raises(WorkerLost, match="killed twice, most likely for memory"):
        engine.map(killed, range(2))


@pytest.mark.parametrize("spec", ["spork", "local:0", "local:02", "local:many", "local:2\n", ""])
def test_an_unknown_engine_is_named(spec: str) -> None:
    with pytest.raises(ConfigError, match="expected local or, with N workers, local:N"):
        open_engine(spec)


@pytest.mark.parametrize("spec", ["local:1", "local:2"])
def test_the_garbage_collector_leaves_alone_what_was_there_while_an_engine_is_open(spec: str) -> None:
    gc.unfreeze()
    with open_engine(spec) as engine:
        assert min(engine.map(frozen_objects, range(2))) > 10_000, "modules, in the workers"
        assert gc.get_freeze_count() > 10_000, "modules, in the caller"
    assert gc.get_freeze_count() == 0, "the engine ends what it began"
    gc.freeze()
    try:
        with open_engine(spec):
            pass
        assert gc.get_freeze_count() > 10_000, "what a warm process has frozen stays so"
    finally:
        gc.unfreeze()


def interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_an_engine_that_cannot_be_opened_leaves_nothing_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    gc.unfreeze()
    monkeypatch.setattr(tempfile, "mkdtemp", interrupted)
    with pytest.raises(KeyboardInterrupt), open_engine("local:2"):
        pass
    assert gc.get_freeze_count() == 0


def test_an_engine_whose_end_is_interrupted_leaves_nothing_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    gc.unfreeze()
    with pytest.raises(KeyboardInterrupt), open_engine("local:2"):
        monkeypatch.setattr(shutil, "rmtree", interrupted)
    assert gc.get_freeze_count() == 0


def test_closing_ends_the_engines_process() -> None:
    with open_engine("local:2") as engine:
        (process,) = set(engine.map(parent_of, range(2)))
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def parent_of(_: int) -> int:
    return os.getppid()
