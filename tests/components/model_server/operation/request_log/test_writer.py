"""The request log: files that appear whole, when they end, and what a disk that fails costs."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from penstock.components.model_server.inference import Prediction
from penstock.components.model_server.operation import calls, settings
from penstock.components.model_server.operation.calls import Call
from penstock.components.model_server.operation.request_log import writer as writer_module
from penstock.components.model_server.operation.request_log.writer import RequestLogWriter
from penstock.core.artifacts import RequestLog
from penstock.core.errors import ConfigError
from penstock.core.models import prediction_logs
from penstock.core.models.prediction_logs import LoggedPrediction

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC).timestamp()


def call(number: int = 0, value: float = 0.5, model: str = "taxi", signature: str = "serving_default") -> Call:
    """Returns an answered request of one row."""
    made = Call(f"id-{number}", "rest", "POST", "/", "")
    made.time = NOON + number
    token = calls.CURRENT.set(made)
    calls.leased(model, 3)
    outputs = {"probability": np.array([[value]], np.float32)}
    calls.predicted(signature, {"examples": np.array([b"\x00row"], object)}, Prediction(outputs, 1, 0.0, 0.001))
    calls.CURRENT.reset(token)
    return made


@pytest.fixture
def open_log(tmp_path: Path) -> Iterator[Callable[..., RequestLogWriter]]:
    """Returns a function that starts a log in a folder below tmp_path; what it drops is added to `dropped`."""
    opened: list[RequestLogWriter] = []

    def start(dropped: list[int], **values: object) -> RequestLogWriter:
        log = settings.RequestLog(**{"folder": tmp_path / "log", **values})  # type: ignore[arg-type]
        opened.append(RequestLogWriter(log, dropped.append))
        opened[-1].start()
        return opened[-1]

    yield start
    for one in opened:
        one.close(20)


def predictions(folder: Path, model: str = "taxi", signature: str = "serving_default") -> list[LoggedPrediction]:
    files = RequestLog(folder).files(model, 3, signature)
    return [prediction for file in files for prediction in prediction_logs.read(file.path)]


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_predictions_are_in_a_file_of_their_signature_once_the_log_ends(
    tmp_path: Path, open_log: Callable[..., RequestLogWriter]
) -> None:
    dropped: list[int] = []
    log = open_log(dropped)
    for number in range(3):
        log.answered(call(number, number / 4), 0.0042)
    log.answered(call(9, signature="a/b"), 0.001)
    log.answered(Call("status", "rest", "GET", "/v1/models/taxi", ""), 0.001)  # no model was asked
    wait_for(lambda: list(tmp_path.rglob(".*.tmp")))
    artifact = RequestLog(tmp_path / "log")
    assert artifact.files("taxi", 3, "serving_default") == []
    log.close(20)
    assert list(artifact.signatures()) == [("taxi", 3, "a/b"), ("taxi", 3, "serving_default")]
    (file,) = artifact.files("taxi", 3, "serving_default")
    assert (file.begin.timestamp(), file.end.timestamp()) == (NOON, NOON + 2)
    assert file.process.endswith(f"-{os.getpid()}")
    assert file.path.parent.name == "2026-11-30"
    read = predictions(tmp_path / "log")
    assert [one.request_id for one in read] == ["id-0", "id-1", "id-2"]
    assert [one.outputs["probability"].tolist() for one in read] == [[[0.0]], [[0.25]], [[0.5]]]
    assert (read[2].time, read[2].seconds, read[2].protocol, read[2].sample) == (NOON + 2, 0.0042, "rest", 1.0)
    assert read[0].inputs["examples"].tolist() == [b"\x00row"]
    assert dropped == []


def test_a_file_ends_by_its_size_and_by_its_age(tmp_path: Path, open_log: Callable[..., RequestLogWriter]) -> None:
    by_size = open_log([], rotate_bytes=1)
    for number in range(3):
        by_size.answered(call(number), 0.001)
    by_age = open_log([], folder=tmp_path / "aged", rotate_seconds=0.05)
    by_age.answered(call(), 0.001)
    wait_for(lambda: len(predictions(tmp_path / "log")) == 3 and len(predictions(tmp_path / "aged")) == 1)
    files = RequestLog(tmp_path / "log").files("taxi", 3, "serving_default")
    assert [file.begin.timestamp() - NOON for file in files] == [0, 1, 2]


def test_of_a_sample_each_prediction_says_how_many_it_stands_for(
    tmp_path: Path, open_log: Callable[..., RequestLogWriter], monkeypatch: pytest.MonkeyPatch
) -> None:
    rolls = iter([0.1, 0.3, 0.24, 0.25])
    monkeypatch.setattr(writer_module.random, "random", lambda: next(rolls))
    log = open_log([], sample=0.25)
    for number in range(4):
        log.answered(call(number), 0.001)
    log.close(20)
    assert [(one.request_id, one.sample) for one in predictions(tmp_path / "log")] == [("id-0", 0.25), ("id-2", 0.25)]


def test_a_folder_that_is_gone_costs_its_predictions_and_comes_back(
    tmp_path: Path, open_log: Callable[..., RequestLogWriter], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "_PAUSE", 0.0)
    dropped: list[int] = []
    log = open_log(dropped, rotate_seconds=0.2)
    log.answered(call(1), 0.001)
    wait_for(lambda: list(tmp_path.rglob(".*.tmp")))
    (tmp_path / "log").rename(tmp_path / "elsewhere")
    (tmp_path / "log").write_text("a file in its place")
    wait_for(lambda: sum(dropped) == 1)
    log.answered(call(2), 0.001)
    wait_for(lambda: sum(dropped) == 2)
    (tmp_path / "log").unlink()
    log.answered(call(3), 0.001)
    log.close(20)
    assert [one.request_id for one in predictions(tmp_path / "log")] == ["id-3"]


def test_a_folder_that_cannot_be_written_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("")
    with pytest.raises(ConfigError, match="log cannot be written: File exists: name another folder"):
        RequestLogWriter(settings.RequestLog(tmp_path / "log"), pytest.fail)


@pytest.mark.skipif(os.getuid() != 0, reason="mounts a file system")
@pytest.mark.parametrize("format", ["tfrecord", "parquet"])
def test_a_full_disk_costs_predictions_that_are_counted(
    tmp_path: Path, open_log: Callable[..., RequestLogWriter], format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "_PAUSE", 0.1)
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], check=False)
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        dropped: list[int] = []
        log = open_log(dropped, folder=disk / "log", format=format)
        noise = np.random.default_rng(0)
        for number in range(100):
            large = call(number)
            assert large.inputs
            large.inputs = {"examples": np.array([noise.bytes(100_000)], object)}
            log.answered(large, 0.001)
        log.close(20)
        assert list(disk.rglob(".*.tmp")) == []
        files = RequestLog(disk / "log").files("taxi", 3, "serving_default")
        kept = [pq.read_metadata(file.path).num_rows for file in files] if format == "parquet" else []
        assert sum(kept) + len(predictions(disk / "log") if format == "tfrecord" else []) + sum(dropped) == 100
        assert sum(dropped) > 90
    finally:
        subprocess.run(["umount", "-l", disk], check=True)
