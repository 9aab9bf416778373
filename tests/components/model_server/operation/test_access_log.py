"""The access log: which lines it has, and what becomes of its file."""

import json
from pathlib import Path
from typing import Any

import pytest

from penstock.components.model_server.operation import settings
from penstock.components.model_server.operation.access_log import AccessLog
from penstock.components.model_server.operation.calls import Call
from penstock.core.errors import ConfigError


def call(outcome: str = "ok", status: int = 200) -> Call:
    made = Call("id-1", "rest", "POST", "/v1/models/taxi:predict", "127.0.0.1")
    made.time = 1796073848.123456
    made.status, made.outcome = status, outcome
    return made


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_says_who_asked_what_and_how_long_it_took(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "access.log"
    log = AccessLog(settings.AccessLog(path), pytest.fail)
    log.start()
    answered = call()
    answered.model, answered.version, answered.signature = "taxi", 3, "serving_default"
    answered.batch, answered.queued, answered.computed = 8, 0.0005, 0.002
    log.answered(answered, 0.0042)
    log.answered(call("invalid", 400), 0.001)
    log.close(20)
    first, second = lines(path)
    assert first == {
        "time": "2026-11-30T21:24:08.123Z",
        "request_id": "id-1",
        "protocol": "rest",
        "method": "POST",
        "path": "/v1/models/taxi:predict",
        "status": 200,
        "outcome": "ok",
        "milliseconds": 4.2,
        "received_bytes": 0,
        "sent_bytes": 0,
        "client": "127.0.0.1",
        "model": "taxi",
        "version": 3,
        "signature": "serving_default",
        "queue_milliseconds": 0.5,
        "model_milliseconds": 2.0,
        "batch_rows": 8,
    }
    assert (second["status"], second["outcome"], "model" in second) == (400, "invalid", False)


def test_of_errors_only(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    log = AccessLog(settings.AccessLog(path, "errors"), pytest.fail)
    log.start()
    log.answered(call(), 0.001)
    log.answered(call("late", 504), 30.0)
    log.close(20)
    assert [line["outcome"] for line in lines(path)] == ["late"]


def test_a_file_that_is_moved_away_is_made_anew(tmp_path: Path) -> None:
    """As logrotate does."""
    path = tmp_path / "access.log"
    log = AccessLog(settings.AccessLog(path), pytest.fail)
    log.take([(call(), 0.001)])
    path.rename(tmp_path / "access.log.1")
    log.take([(call(), 0.001), (call(), 0.001)])
    log.finish()
    assert (len(lines(tmp_path / "access.log.1")), len(lines(path))) == (1, 2)


def test_a_file_that_cannot_be_written_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "access.log").mkdir()
    with pytest.raises(ConfigError, match=r"access.log cannot be written: Is a directory: name another file"):
        AccessLog(settings.AccessLog(tmp_path / "access.log"), pytest.fail)
