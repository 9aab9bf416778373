"""What every engine promises of a fold, on the local one; and how files are cut into shards."""

import os
import signal
import time
from functools import partial
from pathlib import Path
from typing import Self

import pytest

from penstock.components.engines import Engine, fold, open_engine
from penstock.core.errors import DataError, WorkerLost

ENGINES = ["local:1", "local:2", "local:3", "local:7"]


def text(number: int) -> str:
    return str(number)


def joined(total: str, part: str) -> str:
    return f"({total} {part})"


def left_to_right(numbers: range) -> str:
    first, *others = map(str, numbers)
    total = first
    for part in others:
        total = f"({total} {part})"
    return total


@pytest.mark.parametrize("spec", ENGINES)
@pytest.mark.parametrize("count", [1, 2, 25])
def test_results_are_merged_in_order_and_two_at_a_time(spec: str, count: int) -> None:
    with open_engine(spec) as engine:
        assert engine.fold(text, joined, range(count)) == left_to_right(range(count))


def late_if_even(number: int, folder: Path) -> str:
    """An even shard ends only after the next odd one has ended."""
    if number % 2 == 0:
        while not (folder / str(number + 1)).exists():
            time.sleep(0.001)
    (folder / str(number)).touch()
    return str(number)


def test_what_ends_first_waits_for_what_comes_first(tmp_path: Path) -> None:
    with open_engine("local:2") as engine:
        assert engine.fold(partial(late_if_even, folder=tmp_path), joined, range(12)) == left_to_right(range(12))


@pytest.mark.parametrize("spec", ENGINES)
def test_no_shards_have_no_total(spec: str) -> None:
    with open_engine(spec) as engine:
        assert engine.fold(text, joined, []) is None
        assert engine.fold(text, joined, iter(())) is None


def test_shards_may_come_from_an_iterator() -> None:
    with open_engine("local:2") as engine:
        assert engine.fold(text, joined, (number for number in range(5))) == left_to_right(range(5))


class Counted:
    """Writes a line to a file when one of its kind begins to exist, in whatever process, and when it ends."""

    def __init__(self, log: Path):
        self.__setstate__({"log": log})

    def __setstate__(self, state: dict[str, Path]) -> None:
        self.log = state["log"]
        self._write("+")

    def __del__(self) -> None:
        self._write("-")

    def merged(self, _: Self) -> Self:
        self._write("m")
        return self

    def _write(self, line: str) -> None:
        file = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, line.encode())
        os.close(file)


def counted(log: Path, _: int) -> Counted:
    return Counted(log)


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_no_more_results_are_in_memory_than_there_are_workers(tmp_path: Path, workers: int) -> None:
    """Beside the total and what is being merged into it: all shards but two would be there after a map."""
    log = tmp_path / "log"
    with open_engine(f"local:{workers}") as engine:
        total = engine.fold(partial(counted, log), Counted.merged, range(40))
        events = log.read_text()
        assert total is not None
        assert events.count("m") == 39
        alive = most = 0
        for event in events:
            alive += {"+": 1, "-": -1, "m": 0}[event]
            most = max(most, alive)
        assert alive == 1, "the total"
        assert 2 <= most <= 2 + (workers if workers > 1 else 0)


def begun(folder: Path, number: int) -> int:
    (folder / str(number)).touch()
    return number


def test_shards_are_begun_as_results_are_merged(tmp_path: Path) -> None:
    """What waits to be merged is bounded by the workers, however slow the merging is."""
    ahead = []

    def merge(total: int, part: int) -> int:
        ahead.append(len(list(tmp_path.iterdir())) - part)
        return part

    with open_engine("local:2") as engine:
        assert engine.fold(partial(begun, tmp_path), merge, range(60)) == 59
    assert max(ahead) <= 8


class Rounded:
    """A number that pickling changes."""

    def __init__(self, number: float):
        self.number = number

    def __getstate__(self) -> dict[str, float]:
        return {"number": round(self.number)}


def quarter(number: int) -> Rounded:
    return Rounded(number / 4)


@pytest.mark.parametrize("spec", ENGINES)
def test_pickling_changes_the_same_for_any_number_of_workers(spec: str) -> None:
    with open_engine(spec) as engine:
        assert [result.number for result in engine.map(quarter, range(5))] == [0, 0, 0, 1, 1]


def killed_once(folder: Path, number: int) -> str:
    mark = folder / str(number)
    if number in (3, 30) and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return str(number)


def test_lost_workers_change_nothing(tmp_path: Path) -> None:
    with open_engine("local:2") as engine:
        assert engine.fold(partial(killed_once, tmp_path), joined, range(40)) == left_to_right(range(40))
    assert {path.name for path in tmp_path.iterdir()} == {"3", "30"}


def killed_at_five(number: int) -> str:
    if number == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return str(number)


def test_a_shard_that_kills_its_worker_twice_is_named() -> None:
    merged = []

    def merge(total: str, part: str) -> str:
        merged.append(part)
        return part

    with open_engine("local:2") as engine:
        with pytest.raises(WorkerLost, match="killed twice, most likely for memory: 5"):
            engine.fold(killed_at_five, merge, range(20))
        assert merged == ["1", "2", "3", "4"]
        assert engine.map(text, range(3)) == ["0", "1", "2"]


def fail_from_seven(number: int) -> str:
    if number >= 7:
        raise DataError(f"row {number} is bad")
    return str(number)


def fail_like_a_closed_pipe(number: int) -> str:
    if number == 2:
        raise EOFError("of a file")
    return str(number)


@pytest.mark.parametrize("spec", ENGINES)
def test_the_first_failing_shard_ends_the_fold(spec: str) -> None:
    with open_engine(spec) as engine:
        with pytest.raises(DataError, match="row 7 is bad"):
            engine.fold(fail_from_seven, joined, range(30))
        with pytest.raises(EOFError, match="of a file"):
            engine.fold(fail_like_a_closed_pipe, joined, range(5))
        assert engine.fold(text, joined, range(9)) == left_to_right(range(9)), "an engine goes on after an error"


@pytest.mark.parametrize("spec", ENGINES)
def test_what_merging_raises_ends_the_fold(spec: str) -> None:
    def merge(total: str, part: str) -> str:
        if part == "4":
            raise DataError("types differ")
        return part

    with open_engine(spec) as engine:
        with pytest.raises(DataError, match="types differ"):
            engine.fold(text, merge, range(30))
        assert engine.fold(text, joined, range(9)) == left_to_right(range(9)), "an engine goes on after an error"


def test_nothing_is_left_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with open_engine("local:2") as engine:
        engine.fold(text, joined, range(9))
        with pytest.raises(DataError):
            engine.fold(fail_from_seven, joined, range(30))
        assert len(list(tmp_path.iterdir())) == 1
    assert not list(tmp_path.iterdir())


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    monkeypatch.setattr(fold, "_CUT_BYTES", 100)
    paths = []
    for index, size in enumerate((40, 40, 40, 250, 10, 1000, 99)):
        paths.append(tmp_path / str(index))
        paths[-1].write_bytes(bytes(size))
    return paths


def test_small_neighbours_are_one_group(files: list[Path]) -> None:
    a, b, c, d, e, f, g = files
    assert list(fold.groups(files)) == [(a, b, c), (d,), (e, f), (g,)]
    assert list(fold.groups([])) == []


def test_large_files_have_several_stripes(files: list[Path]) -> None:
    cut = list(fold.stripes(files))
    counts = [1, 1, 1, 3, 1, 8, 1]
    assert [(stripe.file, stripe.index, stripe.count) for stripe in cut] == [
        (path, index, count) for path, count in zip(files, counts, strict=True) for index in range(count)
    ]
    batches = [list(stripe.of(range(10))) for stripe in cut if stripe.count == 3]
    assert batches == [[0, 3, 6, 9], [1, 4, 7], [2, 5, 8]]


class Reversed(Engine):
    """An engine of a few lines: it computes from the last shard to the first."""

    def results(self, function, shards):  # type: ignore[no-untyped-def]
        computed = [function(shard) for shard in reversed(list(shards))]
        yield from reversed(computed)


def test_an_engine_has_one_method_to_write() -> None:
    with Reversed() as engine:
        assert engine.map(text, range(4)) == ["0", "1", "2", "3"]
        assert engine.fold(text, joined, range(4)) == left_to_right(range(4))
