"""Several replicas against one, with the same batches: virtual devices of one process, and two real processes."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from penstock.core.errors import ConfigError
from penstock.trainer.hardware import distribution
from penstock.trainer.hardware.distribution import Cluster, Distribution
from tests.servers import ports
from tests.trainer import penguin_training

pytestmark = pytest.mark.usefixtures("forks")

TIMES = "4"  # more than a hundred steps an epoch
WORKERS = {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}


def environment(cluster: Any, task: Any) -> dict[str, str]:
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": task})}


@pytest.mark.parametrize(
    ("cluster", "task", "expected"),
    [
        (WORKERS, {"type": "worker", "index": 1}, Cluster(("10.0.0.1:2222", "10.0.0.2:2222"), 1)),
        (WORKERS, {"type": "worker", "index": "0"}, Cluster(("10.0.0.1:2222", "10.0.0.2:2222"), 0)),
        ({"chief": ["c:1"], "worker": ["w:1"]}, {"type": "chief", "index": 0}, Cluster(("c:1", "w:1"), 0)),
        ({"worker": ["w:1"], "chief": ["c:1"]}, {"type": "worker", "index": 0}, Cluster(("c:1", "w:1"), 1)),
        ({"master": ["m:1"], "worker": ["w:1"]}, {"type": "worker", "index": 0}, Cluster(("m:1", "w:1"), 1)),
        ({"worker": ["w:1"]}, {"type": "worker", "index": 0}, None),  # one worker is no cluster
        ({}, {"type": "chief", "index": 0}, None),
    ],
)
def test_tf_config_says_who_this_is(cluster: Any, task: Any, expected: Cluster | None) -> None:
    assert distribution.cluster(environment(cluster, task)) == expected


def test_without_tf_config_there_is_one_worker() -> None:
    assert distribution.cluster({}) is None
    assert distribution.cluster({"TF_CONFIG": " "}) is None
    assert distribution.start({}) == Distribution()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{cluster", "TF_CONFIG: expected JSON such as .* received '{cluster'"),
        ("[]", r"TF_CONFIG: expected an object such as .* received \[\]"),
        ({"cluster": {"workers": ["a:1"]}}, "TF_CONFIG.cluster: expected chief and worker, received 'workers'"),
        ({"cluster": {"worker": ["a"]}}, r"TF_CONFIG.cluster.worker: expected a list of addresses .* \['a'\]"),
        ({"cluster": {"worker": "a:1"}}, "TF_CONFIG.cluster.worker: expected a list of addresses .* 'a:1'"),
        ({"cluster": {**WORKERS, "ps": ["p:1"]}}, r"parameter servers \(ps\) are not supported"),
        ({"cluster": WORKERS}, r'TF_CONFIG.task: expected such as \{"type": "worker", "index": 0\}, received None'),
        ({"cluster": WORKERS, "task": {"type": "chief"}}, "TF_CONFIG.task.type: expected .* worker, received 'chief'"),
        ({"cluster": WORKERS, "task": {"type": "worker", "index": 2}}, "TF_CONFIG.task.index: expected 0 to 1 .* 2"),
        ({"cluster": WORKERS, "task": {"type": "worker", "index": "x"}}, "TF_CONFIG.task.index: .* received 'x'"),
    ],
)
def test_a_bad_tf_config_is_one_sentence(text: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as raised:
        distribution.cluster({"TF_CONFIG": text if isinstance(text, str) else json.dumps(text)})
    assert "\n" not in str(raised.value)


def test_only_the_chief_writes_where_asked(tmp_path: Path) -> None:
    assert Distribution(cluster=Cluster(("a:1", "b:1"), 0)).folder(tmp_path) == tmp_path
    other = Distribution(cluster=Cluster(("a:1", "b:1"), 1)).folder(tmp_path)
    assert other.is_dir()
    assert not other.is_relative_to(tmp_path)
    other.rmdir()


def start(arguments: Sequence[str], **variables: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, penguin_training.__file__, *arguments]
    return subprocess.Popen(command, env={**os.environ, **variables}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def finish(*processes: subprocess.Popen[bytes]) -> None:
    try:
        outputs = [process.communicate(timeout=300)[0].decode() for process in processes]
        assert [process.returncode for process in processes] == [0] * len(processes), "\n".join(outputs)[-4000:]
    finally:
        for process in processes:
            process.kill()


def weights(path: Path) -> list[Any]:
    with np.load(path) as stored:
        return [stored[name] for name in stored.files]


@pytest.fixture(scope="module")
def alone(penguins_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """The weights that one process on one device ends with."""
    folder = tmp_path_factory.mktemp("alone")
    finish(start([str(penguins_csv), str(folder), str(folder / "weights.npz"), "0", "0", "0", TIMES]))
    return weights(folder / "weights.npz")


@dataclass
class Worker:
    """A process of a cluster of two, and the folder that it trains in."""

    folder: Path
    process: subprocess.Popen[bytes]
    address: str

    def end(self) -> tuple[int, str]:
        """Returns the exit status, and the last line of the output. It may not take long: nothing may hang."""
        output = self.process.communicate(timeout=180)[0].decode()
        return self.process.returncode, output.strip().splitlines()[-1]


@pytest.fixture
def two_workers(penguins_csv: Path, tmp_path: Path) -> Iterator[Callable[..., dict[str, Worker]]]:
    """Starts a chief and a worker as the training operator does; `rows` says what each of them has memory for."""
    started: list[Worker] = []

    def begin(**rows: int) -> dict[str, Worker]:
        addresses = {kind: f"127.0.0.1:{ports.reserve()}" for kind in ("chief", "worker")}
        for kind, address in addresses.items():
            folder = tmp_path / kind
            arguments = [penguins_csv, folder, f"{folder}.npz", 0, 0, rows.get(kind, 0)]
            cluster = environment({name: [one] for name, one in addresses.items()}, {"type": kind, "index": 0})
            started.append(Worker(folder, start([str(argument) for argument in arguments], **cluster), address))
        return dict(zip(addresses, started, strict=True))

    yield begin
    for worker in started:
        worker.process.kill()
        worker.process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize(("victim", "other"), [("chief", "worker"), ("worker", "chief")])
def test_a_worker_that_is_killed_ends_the_other_one(two_workers: Any, victim: str, other: str) -> None:
    workers = two_workers()
    deadline = time.monotonic() + 180
    while not (workers["chief"].folder / "checkpoint" / "state.npz").exists():  # now they train
        assert time.monotonic() < deadline
        time.sleep(0.05)
    workers[victim].process.kill()
    status, told = workers[other].end()
    assert status == 1, told
    number = 1 if victim == "chief" else 2
    who = f"(worker {number} of 2 at {workers[victim].address}|another worker)"
    assert re.fullmatch(
        f"WorkerLost: training stopped because {who} went away: .+; run again to resume from the checkpoint", told
    )
    assert "Graph execution error" not in told


@pytest.mark.slow
@pytest.mark.parametrize(("victim", "other"), [("chief", "worker"), ("worker", "chief")])
def test_a_worker_out_of_memory_ends_both(two_workers: Any, victim: str, other: str) -> None:
    """Each has four of a batch's eight rows. TensorFlow cannot take up an exchange again that one of them left."""
    workers = two_workers(**{victim: 2})
    assert workers[victim].end() == (
        2, "ModelError: a worker is out of memory with a batch of 8: choose a smaller batch_size"
    )  # fmt: skip
    status, told = workers[other].end()
    assert status == 1, told
    assert told.startswith("WorkerLost: training stopped because ")
    assert "Graph execution error" not in told


@pytest.mark.slow
def test_devices_out_of_memory_back_off_together(penguins_csv: Path, tmp_path: Path) -> None:
    """Two devices have four rows each of a batch of eight and memory for two; the epoch goes on in batches of four."""
    process = start([str(penguins_csv), str(tmp_path), str(tmp_path / "weights.npz"), "0", "2", "2", TIMES])
    output = process.communicate(timeout=300)[0].decode()
    assert process.returncode == 0, output[-4000:]
    assert "out of memory with a batch of 8: continuing with 4 from epoch 1, row 0" in output
    history = json.loads((tmp_path / "history.json").read_text())
    assert [epoch["batch_size"] for epoch in history["epochs"]] == [4, 4]


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (
            "Graph execution error:\nCollective ops is aborted by: Socket closed\nAdditional GRPC error information "
            "from remote target /job:worker/replica:0/task:1 while calling /tensorflow.WorkerService/RecvBuf:",
            "worker 2 of 2 at b:1 went away: Socket closed",
        ),
        ("/job:worker/task:1 died.\nAnd /job:worker/task:0", "worker 2 of 2 at b:1 went away: /job:worker/task:1 died"),
        ("Graph execution error:\n", "another worker went away: it gives no reason"),
    ],
)  # fmt: skip
def test_who_went_away_and_why(message: str, told: str) -> None:
    assert Distribution(cluster=Cluster(("a:1", "b:1"), 0)).lost(message) == told


@pytest.mark.slow
def test_virtual_devices_end_with_one_devices_weights(penguins_csv: Path, tmp_path: Path, alone: list[Any]) -> None:
    finish(start([str(penguins_csv), str(tmp_path), str(tmp_path / "weights.npz"), "0", "2", "0", TIMES]))
    for ours, theirs in zip(weights(tmp_path / "weights.npz"), alone, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.slow
def test_two_processes_end_with_one_processes_weights(penguins_csv: Path, tmp_path: Path, alone: list[Any]) -> None:
    """As the training operator starts them: a chief and a worker, each with its TF_CONFIG."""
    cluster = {kind: [f"127.0.0.1:{ports.reserve()}"] for kind in ("chief", "worker")}
    processes = []
    for kind in cluster:
        folder = tmp_path / kind
        arguments = [str(penguins_csv), str(folder), str(tmp_path / f"{kind}.npz"), "0", "0", "0", TIMES]
        processes.append(start(arguments, **environment(cluster, {"type": kind, "index": 0})))
    finish(*processes)
    for kind in cluster:
        for ours, theirs in zip(weights(tmp_path / f"{kind}.npz"), alone, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-5)
    assert sorted(os.listdir(tmp_path / "chief")) == ["checkpoint", "history.json", "train", "validation"]
    assert not (tmp_path / "worker").exists()
