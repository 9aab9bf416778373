"""What engines of other machines promise, on a real cluster each: order, errors, lost workers, duplicates, storage."""

import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from penstock.components.engines import Engine, open_engine
from penstock.components.example_gen import executor as example_gen
from penstock.components.example_gen.inputs import resolving
from penstock.core.errors import ConfigError, DataError
from penstock.core.examples import records
from tests.components.engines.conftest import PASSWORD
from tests.servers import postgresql
from tests.servers.spark_cluster import SparkCluster, wait

ENGINES = ["spark_application", "beam_workers"]


@pytest.fixture(params=ENGINES)
def spec(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


def process_and_square(number: int) -> tuple[int, int]:
    return os.getpid(), number * number


def fail_on_odd(number: int) -> int:
    if number % 2:
        raise DataError(f"row {number} is odd", "details")
    return number


class Unpicklable(Exception):
    def __init__(self, one: str, other: str):
        super().__init__(one)


def fail_as_libraries_do(number: int) -> int:
    raise Unpicklable("cannot", str(number))


def test_results_come_in_order_out_of_other_processes(spec: str, tmp_path: Path) -> None:
    with open_engine(spec, tmp_path) as engine:
        results = engine.map(process_and_square, range(12))
    assert [square for _, square in results] == [number * number for number in range(12)]
    assert os.getpid() not in {process for process, _ in results}
    assert os.listdir(tmp_path) == []


def test_errors_are_the_first_shards_and_themselves(spec: str, tmp_path: Path) -> None:
    with open_engine(spec, tmp_path) as engine:
        with pytest.raises(DataError, match="row 1 is odd") as caught:
            engine.map(fail_on_odd, range(6))
        assert caught.value.details == "details"
        with pytest.raises(RuntimeError, match="Unpicklable: cannot"):
            engine.map(fail_as_libraries_do, range(2))
        assert [square for _, square in engine.map(process_and_square, [2, 3])] == [4, 9], "it goes on after an error"
    assert os.listdir(tmp_path) == []


def test_a_folder_that_workers_do_not_see_is_one_sentence(
    spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path that is another place in each process stands for a disk that is another one on each machine."""
    monkeypatch.chdir(tmp_path)
    with (
        open_engine(spec, Path("/proc/self/cwd/artifact")) as engine,
        pytest.raises(ConfigError, match=r"the worker on .* does not see /proc/self/cwd/artifact: expected storage"),
    ):
        engine.map(process_and_square, range(4))


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path} is gone: run again") from None


def test_data_that_only_this_task_sees_is_one_sentence(
    spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").touch()
    with (
        open_engine(spec, tmp_path / "artifact") as engine,
        pytest.raises(ConfigError, match=r"the workers do not see /proc/self/cwd/a.csv, which this task sees"),
    ):
        engine.map(read, [Path("/proc/self/cwd/a.csv")] * 2)


@pytest.fixture(scope="module")
def trips() -> Iterator[dict[str, Any]]:
    """A table, as a source's options without what holds the password."""
    with postgresql.running() as server:
        server.execute("CREATE TABLE trips AS SELECT id, id / 4.0 AS fare FROM generate_series(1, 400) AS id")
        yield {"url": server.url, "table": "trips", "partition_by": "id", "rows_per_shard": 100}


def test_workers_sign_in_with_a_secret_of_their_own(
    spec: str, trips: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each worker reads ranges of the table itself."""
    for variable in (PASSWORD, "LACKED"):
        monkeypatch.setenv(variable, postgresql.PASSWORD)

    def generate(engine: str, variable: str) -> dict[str, bytes]:
        root, base = tmp_path / "examples", json.dumps({"sql": {**trips, "password_env": variable}})
        shutil.rmtree(root, ignore_errors=True)
        found = resolving.resolve(input_base=base)._asdict()
        example_gen.run(examples=str(root), input_base=base, **found, engine=engine)
        return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}

    assert generate(spec, PASSWORD) == generate("local:1", PASSWORD)
    with pytest.raises(ConfigError, match="the workers have no environment variable LACKED, which this task has: "):
        generate(spec, "LACKED")
    assert os.listdir(tmp_path / "examples") == []


def write(folder: Path, number: int, disturb: Callable[[Path, int], None] | None = None) -> int:
    """Writes a file of records; is disturbed when it is half written."""
    with records.writer(folder / "out" / str(number)) as append:
        append([b"row"] * 1000)
        if disturb:
            disturb(folder, number)
        append([b"row"] * 1000)
    return number


def first_time(folder: Path, number: int) -> bool:
    """Whether nobody has asked this before."""
    try:
        (folder / f"asked-{number}").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def killed(folder: Path, number: int) -> None:
    if number == 2 and first_time(folder, number):
        os.kill(os.getpid(), signal.SIGKILL)


def slow(folder: Path, number: int) -> None:
    if number == 2 and first_time(folder, number):
        time.sleep(60)


def waiting(folder: Path, number: int) -> None:
    if number in (0, 1) and first_time(folder, number):
        wait((folder / "lost").exists, "nothing was lost")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("whole")
    write(folder, 0)
    return (folder / "out" / "0").read_bytes()


def written(engine: Engine, folder: Path, disturb: Callable[[Path, int], None]) -> dict[str, bytes]:
    assert engine.map(partial(write, folder, disturb=disturb), range(6)) == list(range(6))
    return {path.name: path.read_bytes() for path in sorted((folder / "out").iterdir())}


def test_a_killed_worker_leaves_the_same_bytes(spec: str, tmp_path: Path, whole: bytes) -> None:
    if "embed" in spec:
        pytest.skip("Beam's own runner waits for a killed worker for ever: PENSTOCK_PRISM names another")
    with open_engine(spec, tmp_path / "artifact") as engine:
        assert written(engine, tmp_path, killed) == dict.fromkeys("012345", whole)


def test_a_slow_duplicate_leaves_the_same_bytes(spark_application: str, tmp_path: Path, whole: bytes) -> None:
    with open_engine(spark_application, tmp_path / "artifact") as engine:
        assert written(engine, tmp_path, slow) == dict.fromkeys("012345", whole)


@pytest.mark.parametrize("fault", ["executor", "node"])
def test_a_lost_machine_leaves_the_same_bytes(
    spark_application: str, spark_cluster: SparkCluster, tmp_path: Path, whole: bytes, fault: str
) -> None:
    """Both workers are in the middle of a file when one of them goes."""
    with open_engine(spark_application, tmp_path / "artifact") as engine, ThreadPoolExecutor(1) as thread:
        result = thread.submit(written, engine, tmp_path, waiting)
        wait(lambda: len(list(tmp_path.glob("asked-*"))) == 2, "the workers did not begin")
        spark_cluster.kill_executor() if fault == "executor" else spark_cluster.lose_node()
        (tmp_path / "lost").touch()
        try:
            assert result.result() == dict.fromkeys("012345", whole)
        finally:
            if fault == "node":
                spark_cluster.add_worker()
