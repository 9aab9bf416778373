"""What is seen of a run that is not on a terminal, as in a pipe or in CI."""

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from penstock.core import progress
from penstock.core.artifacts import Reason, Verdict
from penstock.pipelines.local.processes.task import PROGRESS_FILE
from penstock.pipelines.local.records.record import TaskRecord
from penstock.pipelines.local.report import display as display_module
from penstock.pipelines.local.report.display import Display, verdict_lines


@pytest.fixture
def until(capsys: pytest.CaptureFixture[str]) -> Callable[[str], str]:
    """Returns a function that waits for a line on standard error, and returns all that was written."""
    shown: list[str] = []

    def wait(expected: str) -> str:
        deadline = time.monotonic() + 30
        while not re.search(expected, "".join(shown), re.MULTILINE):
            assert time.monotonic() < deadline, f"expected {expected!r}, received {''.join(shown)!r}"
            time.sleep(0.01)
            shown.append(capsys.readouterr().err)
        return "".join(shown)

    return wait


def test_what_a_task_says_is_shown_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, until: Callable[[str], str]
) -> None:
    monkeypatch.setenv(progress.ENVIRONMENT_VARIABLE, str(tmp_path / PROGRESS_FILE))
    display, task = Display(7, every=0.3), TaskRecord("tuner", "running")
    display.start(task, tmp_path)
    progress.say("trial 1: 0.5")
    until(r"^… tuner +0\.\d s  trial 1: 0\.5$")
    for number in range(2, 60):
        progress.say(f"trial {number}: 0.{number}")
    progress.Counts().show(rows=3)
    shown = until(r"^… tuner +\d\.\d s  trial 59: 0\.59$")
    assert shown.count("…") <= 4, "the newest, and not each of them"
    task.status, task.seconds, task.counts = "done", 4.0, {"rows": 3}
    progress.say("trial \x1b[2J\nof \u202e")
    until(r"^… tuner +\d\.\d s  trial \\x1b\[2J\\nof \\u202e$")
    display.end(task)
    display.close()
    assert until(r"^✓ tuner +4\.0 s  3 rows$").endswith("3 rows\n")


def test_a_task_that_says_nothing_is_told_of_more_rarely(tmp_path: Path, until: Callable[[str], str]) -> None:
    display, task = Display(7, every=0.05), TaskRecord("trainer", "running")
    started = time.monotonic()
    display.start(task, tmp_path)
    display.imported(task)
    shown = until(r"^… trainer +\d\.\d s$")
    assert time.monotonic() - started >= 0.15
    assert shown.count("…") == 1
    display.stop(task)
    display.close()


def test_a_task_that_waits_for_imports_says_so(tmp_path: Path, until: Callable[[str], str]) -> None:
    display, task = Display(7, every=0.05), TaskRecord("trainer", "running")
    display.start(task, tmp_path)
    until(r"^… trainer +\d\.\d s  waiting for imports$")
    display.imported(task)
    until(r"^… trainer +\d\.\d s$")
    display.close()


def test_every_half_minute_there_is_a_line() -> None:
    assert display_module._EVERY * display_module._SILENCE == 30


def _reason(slice_name: str, value: float, passed: bool) -> Reason:
    sentence = f"auc of {slice_name} is {value:.2f}"
    return Reason(
        metric="auc",
        slice=slice_name,
        value=value,
        threshold="at least 0.9",
        passed=passed,
        sentence=sentence,
        missed_by=max(0.9 - value, 0) / 0.9,
    )


def test_of_a_verdict_the_worst_is_told_first_and_many_slices_are_counted() -> None:
    slices = [_reason(f"hour={hour}", 0.8 - hour / 100, passed=False) for hour in range(20)]
    met = [_reason("day=1", 0.95, passed=True), _reason("overall", 0.91, passed=True)]
    reasons = [*slices, *met, _reason("overall", 0.89, passed=False)]
    verdict = Verdict(blessed=False, model="m", baseline_model=None, created="2026-11-30T08:00:00", reasons=reasons)
    first, *lines, last = verdict_lines(verdict)
    assert first == "model: NOT BLESSED"
    assert lines[:3] == ["  ✗ auc of overall is 0.89", "  ✗ auc of hour=19 is 0.61", "  ✗ auc of hour=18 is 0.62"]
    assert lines[-1] == "  ✓ auc of overall is 0.91"
    assert last == f"    and {len(reasons) - len(lines)} more in other slices, 9 of them not met"
