"""Retrainings on this machine: each is run once, whoever asks for it, and whatever was killed in between."""

import errno
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from penstock.components.retrainer import decisions
from penstock.components.retrainer.new_data import Data
from penstock.components.retrainer.state import State
from penstock.core.artifacts.retraining import Retraining, RetrainingState
from penstock.core.errors import ConfigError, UserError
from penstock.pipelines.config import training_pipeline
from penstock.pipelines.config.training_pipeline import Config
from penstock.pipelines.local import retraining
from penstock.pipelines.local.records import record
from penstock.pipelines.local.records.origin import Origin
from penstock.pipelines.local.records.record import RunRecord
from penstock.pipelines.local.summary import RunSummary
from penstock.pipelines.monitoring import retraining_state
from tests.components.retrainer.conftest import NEW
from tests.pipelines.local.retrained import decide, launch, silent

ROWS = "x,y\n" + "".join(f"{row},{'ab'[row % 2]}\n" for row in range(30))


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A pipeline that trains nothing."""
    (tmp_path / "data.csv").write_text(ROWS)
    path = tmp_path / "pipeline.yaml"
    path.write_text(json.dumps({"name": "taxi", "data": {"path": "data.csv"}, "engine": "local:1"}))
    return training_pipeline.load(path)


@pytest.fixture
def _records_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs are records: what tasks do is not what is tested."""
    monkeypatch.setattr(retraining.launch, "launch", launch)


def ask(reason: str, data: Data = NEW) -> Callable[[State], Retraining]:
    return lambda state: decisions.ask(state, "taxi", reason, data, datetime.now(UTC))


def runs_of(config: Config, one: Retraining) -> list[RunRecord]:
    runs = record.earlier(Path(config.pipeline_root), config.name)
    return [run for run in runs if run.origin.retraining and run.origin.retraining["id"] == one["id"]]


def quiet(config: Config, edit: Callable[[State], object] = decide) -> list[retraining.Ended]:
    return retraining.change(config, edit, silent, silent).ended


@pytest.mark.slow
def test_a_decision_runs_the_pipeline_once_and_its_run_says_why(config: Config) -> None:
    (ended,) = quiet(config)
    assert (ended.retraining["status"], ended.error) == ("done", None)
    (run,) = runs_of(config, ended.retraining)
    assert run.origin.retraining
    assert run.origin.retraining["signals"][0]["kind"] == "drift"
    assert run.task("csv-example-gen")
    assert (str(run.folder), run.seconds) == (ended.retraining["run"], ended.retraining["seconds"])
    assert quiet(config) == []  # the same window, again
    assert retraining.listed(config) == [ended.retraining]


@pytest.mark.slow
def test_a_run_that_fails_is_told_and_not_run_again(config: Config) -> None:
    (config.folder / "data.csv").write_text("")
    (ended,) = quiet(config)
    assert (ended.retraining["status"], type(ended.error).__name__) == ("failed", "DataError")
    assert "csv-example-gen" in ended.retraining["error"]
    assert quiet(config) == []


def test_one_that_cannot_begin_has_failed(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> RunSummary:
        raise ConfigError("module_file: it is gone")

    monkeypatch.setattr(retraining.launch, "launch", refused)
    (ended,) = quiet(config)
    assert (ended.retraining["status"], ended.retraining["error"]) == ("failed", "module_file: it is gone")
    assert ended.summary is None
    assert quiet(config) == []


@pytest.mark.usefixtures("_records_only")
def test_a_person_asks_and_the_run_says_so(config: Config) -> None:
    (ended,) = quiet(config, ask("a new column", retraining.data(config)))
    (run,) = runs_of(config, ended.retraining)
    assert (ended.retraining["status"], run.status) == ("done", "done")
    assert ended.retraining["fingerprint"].startswith("split:")
    assert ended.retraining["signals"][0]["sentence"] == "a new column"


def test_one_at_a_time_without_a_lock_on_the_state(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on, may_end = threading.Event(), threading.Event()

    def slow(*arguments: object, retraining: Retraining, **options: object) -> RunSummary:
        goes_on.set()
        assert may_end.wait(30)
        return launch(config, retraining=retraining)

    monkeypatch.setattr(retraining.launch, "launch", slow)
    with _in_the_background(lambda: quiet(config)) as ended:
        assert goes_on.wait(30)
        (one,) = retraining.listed(config)
        assert one["status"] == "running"
        with pytest.raises(UserError, match=f"{one['id']} is under way already"):
            quiet(config, ask("me, too"))
        assert quiet(config) == []
        may_end.set()
    assert [one.retraining["status"] for one in ended[0]] == ["done"]


@pytest.mark.usefixtures("_records_only")
def test_a_file_system_without_locks_is_told_and_no_error(
    config: Config, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def without(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", without)
    (ended,) = quiet(config)
    assert ended.retraining["status"] == "done"
    assert "going on without a lock on" in caplog.text
    run = RunRecord("taxi", Path(config.pipeline_root) / "taxi-2", {}, origin=Origin(retraining=ended.retraining))
    run.write()  # another process has run it, and goes on
    with retraining.LocalRuns(config) as server:
        found = server.find(ended.retraining)
        assert found
        assert found.status == "running"
        run.status = "interrupted"
        run.write()
        found = server.find(ended.retraining)
        assert found
        assert found.status == "lost"


@pytest.mark.parametrize("is_of_state", [True, False])
def test_where_no_lock_can_be_made_they_are_listed_as_they_were_written(
    config: Config, is_of_state: bool, caplog: pytest.LogCaptureFixture
) -> None:
    def run(state: State) -> str:
        made = decisions.ask(state, "taxi", "drift", Data("new"), datetime.now(UTC))
        made.update({"status": "running", "server": "local"})
        return made["id"]

    name = retraining.change_only(config, run)
    files = RetrainingState(Path(retraining_state(config)))
    lock = files.lock if is_of_state else files.held_by_run(name)
    lock.unlink(missing_ok=True)
    lock.mkdir()  # as on a read-only disk, it cannot be opened
    (one,) = retraining.listed(config)
    assert (one["id"], one["status"]) == (name, "running")
    assert "nobody knows how the runs of retrainings stand" in caplog.text


@contextmanager
def _in_the_background[Result](function: Callable[[], Result]) -> Iterator[list[Result]]:
    results: list[Result] = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    yield results
    thread.join()


@pytest.mark.usefixtures("_records_only")
def test_what_is_approved_runs_and_what_is_rejected_does_not(config: Config) -> None:
    def wait(state: State) -> str:
        made = decisions.ask(state, "taxi", "drift", Data("new"), datetime.now(UTC))
        made["status"] = "waiting"
        return made["id"]

    changed = retraining.change(config, wait, silent, silent)
    name = changed.result
    assert changed.ended == []
    now = datetime.now(UTC)
    (ended_,) = quiet(config, lambda state: decisions.answer(state, "taxi", name, "ada", now, approved=True))
    assert (ended_.retraining["id"], ended_.retraining["status"]) == (name, "done")


def test_what_dies_at_any_step_is_neither_lost_nor_done_twice(config: Config) -> None:
    """Steps are before and after each file: the state when it is decided and claimed, the run's record, the state."""
    command = [sys.executable, "-m", "tests.pipelines.local.retrained", str(config.folder / "pipeline.yaml")]
    root, steps = Path(config.pipeline_root), 0
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def child(step: int) -> int:
            assert process.stdin
            assert process.stdout
            print(step, file=process.stdin, flush=True)
            return int(process.stdout.readline())

        while child(steps + 1) == -signal.SIGKILL:
            steps += 1
            assert child(0) == 0
            (one,) = retraining.listed(config)
            statuses = sorted(run.status for run in runs_of(config, one))
            assert one["status"] == "done", steps
            assert statuses in (["done"], ["done", "interrupted"]), steps  # what was killed goes on as another
            for path in (*root.glob("*/run.json"), root / "monitoring" / "retraining" / "retraining_state.json"):
                path.unlink()
        assert process.stdin
        process.stdin.close()
    assert steps == 10


def test_what_is_killed_each_time_is_given_up(config: Config) -> None:
    command = [sys.executable, "-m", "tests.pipelines.local.retrained", str(config.folder / "pipeline.yaml")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        codes = process.communicate("6\n6\n6\n6\n")[0].split()
    (one,) = retraining.listed(config)
    assert (codes[:3], one["attempts"]) == (["-9"] * 3, 3)
    quiet(config, lambda state: None)
    (one,) = retraining.listed(config)
    assert (one["status"], one["error"]) == ("failed", "its run was lost 3 times")
