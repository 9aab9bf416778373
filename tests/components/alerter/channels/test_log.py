"""The task's log, and the file of JSON lines."""

import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from penstock.core.errors import UserError
from tests.components.alerter.conftest import Alerter


def lines(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_log_says_what_a_person_needs(alerter: Callable[..., Alerter], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="penstock.components.alerter")
    alerter().run(0, {"distance": 0.15})
    records = [record for record in caplog.records if record.name.endswith("channels.log")]
    assert [record.levelname for record in records] == ["WARNING"]
    text = records[0].getMessage().splitlines()
    assert text[0] == "[warning] flights: alert: distance: jensen shannon is 0.15 (at most 0.1)"
    assert [line.strip() for line in text[1:-1]] == [
        "Finding: The values of distance have moved.",
        "Likely cause: distance is in another unit",
        "Feature: distance",
        "Measure: jensen shannon",
        "Value: 0.15",
        "Threshold: at most 0.1",
        "Severity: warning",
        "Window: 2 June 2025, 00:00 to 2 June 2025, 01:00 UTC",
        "Rows: 1,000",
        "Report: https://reports.example.com/0#distance",
    ]


def test_the_file_has_a_line_for_each_message(alerter: Callable[..., Alerter], tmp_path: Path) -> None:
    path = tmp_path / "logs" / "alerts.jsonl"
    one = alerter(channels={"log": {"log": {"path": str(path)}}})
    for hour, value in enumerate([0.15, 0.3, 0.0, 0.0]):
        one.run(hour, {"distance": value})
    assert [line["kind"] for line in lines(path)] == ["opened", "escalated", "resolved"]


def test_a_line_is_not_written_twice_and_half_a_line_is_mended(alerter: Callable[..., Alerter], tmp_path: Path) -> None:
    """As after a process that died while it wrote, and one that died after it: the state knows of neither."""
    path = tmp_path / "alerts.jsonl"
    one = alerter(channels={"log": {"log": {"path": str(path)}}})
    one.run(0, {"distance": 0.15})
    whole = path.read_text()
    for left in (whole, whole[:40], '{"id": "older"}\n' + whole[:-1]):
        path.write_text(left)
        (one.state / "alert_state.json").unlink()
        one.run(0, {"distance": 0.15})
        assert path.read_text() == ('{"id": "older"}\n' if "older" in left else "") + whole


@pytest.mark.parametrize("content", ["mine", "first\nmine", '{"other": 1}'])
def test_what_others_have_written_stays(content: str, alerter: Callable[..., Alerter], tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"
    path.write_text(content)
    alerter(channels={"log": {"log": {"path": str(path)}}}).run(0, {"distance": 0.15, "carrier": 0.15})
    assert path.read_text().startswith(f"{content}\n")
    assert [json.loads(line)["kind"] for line in path.read_text().splitlines()[-2:]] == ["opened", "opened"]


def test_a_file_that_cannot_be_written_is_told(alerter: Callable[..., Alerter], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    one = alerter(channels={"log": {"log": {"path": str(tmp_path / "file" / "alerts.jsonl")}}})
    with pytest.raises(UserError, match="log"):
        one.run(0, {"distance": 0.15})
    assert len(one.waiting()["log"]) == 1
