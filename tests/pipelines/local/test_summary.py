"""What came of a run, for the command and for a notebook: the error of the task that failed."""

from pathlib import Path

import pytest

from penstock.core.errors import DataError, PenstockError, SystemFailure, UserError
from penstock.core.failures import Failure
from penstock.pipelines.local.records.record import TaskRecord
from penstock.pipelines.local.summary import RunSummary


@pytest.mark.parametrize(
    ("kind", "code", "expected"),
    [("DataError", 2, DataError), ("ValueError", 1, SystemFailure), ("MyError", 2, UserError)],
)
def test_a_failed_run_has_the_error_of_its_task(
    kind: str, code: int, expected: type[PenstockError], tmp_path: Path
) -> None:
    failure = Failure(type=kind, message="no rows", details="", exit_code=code)
    tasks = [TaskRecord("example-gen", "done"), TaskRecord("trainer", "failed", failure=failure)]
    error = RunSummary(tmp_path, tasks, "failed", 1.0, "trainer failed: no rows\n  line 3\n  log: x", code).error
    assert type(error) is expected
    assert error.exit_code == code
    assert (error.message, error.details) == ("trainer failed: no rows", "line 3\nlog: x")


def test_a_run_without_a_failed_task(tmp_path: Path) -> None:
    assert RunSummary(tmp_path, [], "done", 1.0).error is None
    error = RunSummary(tmp_path, [], "failed", 1.0).error
    assert type(error) is SystemFailure
    assert error.message == "the run ended early"
