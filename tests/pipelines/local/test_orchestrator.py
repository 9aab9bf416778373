"""The local run of a small real pipeline: results, cache, reasons, failures, interruption."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from penstock.core import progress
from penstock.core.errors import UserError
from penstock.pipelines import local
from penstock.pipelines.local import results, runs
from penstock.pipelines.local.records import record

pytestmark = pytest.mark.usefixtures("forks")
_INTERPRETER = sys.executable  # whose children are looked at, which are not the fork's

Run = Callable[..., local.RunSummary]


def statuses(summary: local.RunSummary) -> dict[str, str]:
    return {task.name: task.status for task in summary.tasks}


def reason(summary: local.RunSummary, name: str) -> str:
    return next(task.reason for task in summary.tasks if task.name == name)


def test_tasks_run_and_leave_a_whole_folder(run: Run) -> None:
    summary = run(count=6)
    assert statuses(summary) == {"source": "done", "total": "done", "announce": "done"}
    assert (summary.run_folder / "total" / "sum_of" / "sum.txt").read_text() == "15"
    assert "the sum is 15" in (summary.run_folder / "announce" / "log.txt").read_text()
    record = json.loads((summary.run_folder / "run.json").read_text())
    assert record["status"] == "done"
    source = record["tasks"][0]
    assert source["counts"] == {"rows": 6}
    assert source["outputs"]["numbers"]["metadata"] == {"rows": 6}
    assert record["tasks"][1]["inputs"] == {"numbers": [source["outputs"]["numbers"]["uri"]]}
    report = (summary.run_folder / "report.html").read_text()
    assert "announce" in report
    assert not re.search(r"(src|href)=.https?:", report), "the report needs no network"


def test_one_of_a_kind_is_told_as_one(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    summary = run(count=1)
    assert re.search(r"✓ source +[\d.]+ s  1 row$", capfd.readouterr().err, re.MULTILINE)
    assert ">1 row<" in (summary.run_folder / "report.html").read_text()
    assert "(1 row)" in (summary.run_folder / "source" / "log.txt").read_text()
    assert (
        progress.text({"rows": 1200, "anomalies": 1, "without a label": 1})
        == "1,200 rows, 1 anomaly, 1 without a label"
    )


def test_a_branch_whose_condition_is_false_is_skipped(run: Run) -> None:
    summary = run(count=3)
    assert statuses(summary) == {"source": "done", "total": "done", "announce": "skipped"}
    assert reason(summary, "announce") == "its condition was not met"
    assert "\nskipped    announce: its condition was not met\n" in runs.summary_text(record.read(summary.run_folder))


def test_an_unchanged_rerun_comes_from_the_cache(run: Run) -> None:
    first = run(count=6)
    second = run(count=6)
    assert statuses(second) == {"source": "cached", "total": "cached", "announce": "done"}
    assert reason(second, "source") == f"unchanged since {first.run_folder.name}"
    assert reason(second, "announce").startswith("never cached")
    shutil.rmtree(first.run_folder)
    assert (second.run_folder / "total" / "sum_of" / "sum.txt").read_text() == "15", "a run is whole by itself"
    third = run(count=6)
    assert reason(third, "source") == f"unchanged since {second.run_folder.name}"
    for whole in (second, third):
        shutil.rmtree(whole.run_folder)
    assert statuses(run(count=6))["source"] == "done", "no run holds its outputs any more"


def test_a_changed_parameter_reruns_what_depends_on_it(run: Run) -> None:
    run(count=6)
    changed = run(count=6, mode="other")
    assert statuses(changed) == {"source": "cached", "total": "done", "announce": "done"}
    assert reason(changed, "total") == 'parameter mode "" -> "other"'
    everything = run(count=7, mode="other")
    assert reason(everything, "source") == "parameter count 6 -> 7"
    assert reason(everything, "total") == "input numbers (from source) changed"


def test_a_changed_module_is_named(run: Run, tmp_path: Path) -> None:
    modules = tmp_path.resolve() / "runs" / "modules"
    run(count=6, module_file=f"{modules}/one/user.py")
    changed = run(count=6, module_file=f"{modules}/two/user.py")
    assert reason(changed, "source") == "module file user.py, or a module beside it, changed"


def test_another_version_of_the_package_reruns_everything(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run(count=6)
    monkeypatch.setattr("penstock.pipelines.local.records.cache.metadata.version", lambda name: "9.9")
    summary = run(count=6)
    assert statuses(summary)["source"] == "done"
    assert "-> 9.9" in reason(summary, "source")


def test_no_cache_runs_everything(run: Run) -> None:
    run(count=6)
    again = run(count=6, no_cache=True)
    assert statuses(again) == {"source": "done", "total": "done", "announce": "done"}
    assert [reason(again, name) for name in ("source", "total")] == ["the cache was not asked"] * 2
    changed = run(count=7, no_cache=True)
    assert reason(changed, "source") == "parameter count 6 -> 7"
    assert reason(changed, "total") == "input numbers (from source) changed"


def test_what_is_made_again_of_unchanged_inputs_is_told_so(run: Run) -> None:
    shutil.rmtree(run(count=6).run_folder / "source")
    again = run(count=6)
    assert reason(again, "source") == "its earlier outputs are gone, or were not final"
    assert reason(again, "total") == "input numbers (from source) was made again"


@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_a_damaged_entry_is_a_miss(run: Run, damage: str) -> None:
    first = run(count=6)
    path = first.run_folder / "source" / "numbers" / "numbers.txt"
    if damage == "cut":
        path.write_text("0")
    else:
        path.unlink()
    second = run(count=6)
    assert statuses(second)["source"] == "done"
    assert (second.run_folder / "total" / "sum_of" / "sum.txt").read_text() == "15"


def test_a_users_mistake_is_one_sentence_with_the_users_paths(run: Run) -> None:
    summary = run(count=6, mode="user error", sources={"line": "LINE"})
    assert summary.exit_code == 2
    assert summary.failure is not None
    first, *rest = summary.failure.splitlines()
    assert first.startswith("total failed: ")
    assert first.endswith("expected more than 6 numbers")
    assert rest[:2] == ["  LINE 1", "  LINE 2"]
    assert rest[2] == f"  log: {summary.run_folder}/total/log.txt"
    assert "Traceback" in (summary.run_folder / "total" / "log.txt").read_text()
    assert statuses(summary) == {"source": "done", "total": "failed", "announce": "skipped"}


@pytest.mark.parametrize(
    ("mode", "sentence", "code"),
    [
        ("bug", "total failed: ZeroDivisionError: this is ours", 1),
        ("killed", "the task was ended by SIGKILL, most likely for memory", 1),
        ("crashed", "the task was ended by SIGSEGV (Segmentation fault): its log may say more", 1),
        ("exit", "the task's process ended with exit code 3 before it had written its outputs, and without an ", 2),
        ("left", "the task's process ended with exit code 0 before it had written its outputs, and without an ", 2),
        ("cut", "something in it calls os._exit, most likely the module: raise an error there instead", 2),
        ("full", "the disk is full: free some space and run again", 2),
    ],
)
def test_other_failures_are_told_too(run: Run, mode: str, sentence: str, code: int) -> None:
    summary = run(count=6, mode=mode)
    assert sentence in str(summary.failure)
    assert summary.exit_code == code


def test_a_task_without_outputs_is_not_in_the_cache(run: Run) -> None:
    assert statuses(run(count=6, mode="left"))["total"] == "failed"
    assert statuses(run(count=6, mode="left")) == {"source": "cached", "total": "failed", "announce": "skipped"}


def test_a_run_leaves_no_credential(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not in its record, its report, its logs nor the word of its failure; and reasons tell another one by a mask."""
    summary = run(count=3, mode="postgres://u:hunter2@db/flights")
    other = run(count=3, mode="postgres://u:swordfish@db/flights")
    assert summary.failure is not None
    assert "ConnectionError: no answer from postgres://u:***@db/flights" in summary.failure
    for folder in (summary.run_folder, other.run_folder):
        files = [path for path in folder.rglob("*") if path.is_file()]
        assert {"run.json", "report.html", "log.txt", "failure.json"} <= {path.name for path in files}
    everything = [path for path in summary.run_folder.parent.rglob("*") if path.is_file()]
    telling = [path for path in everything if any(word in path.read_bytes() for word in (b"hunter2", b"swordfish"))]
    assert telling == []
    log = (summary.run_folder / "total" / "log.txt").read_text()
    for how in ("connecting to", "in two parts", "directly to", "by another process to"):
        assert f"{how} postgres://u:***@db/flights\n" in log
    assert record.read(summary.run_folder).arguments["mode"] == "postgres://u:***@db/flights"
    assert "postgres://u:***" in (summary.run_folder / "report.html").read_text()
    assert "hunter2" not in "".join(capsys.readouterr())


def test_a_rerun_with_another_password_is_another_task(run: Run) -> None:
    """Whether a task is the same is decided by the whole parameter; its earlier attempt is found by its record."""
    first, second, third = (
        run(count=3, mode=mode) for mode in ("password=hunter2", "password=swordfish", "password=swordfish")
    )
    assert statuses(first)["total"] == statuses(second)["total"] == "done"
    assert reason(second, "total").startswith('parameter mode "password=***')
    assert statuses(third)["total"] == "cached"


def test_after_a_failure_the_finished_tasks_are_kept(run: Run) -> None:
    run(count=6, mode="bug")
    assert statuses(run(count=6)) == {"source": "cached", "total": "done", "announce": "done"}


def test_explain_reads_a_run(run: Run, tmp_path: Path) -> None:
    summary = run(count=3)
    assert runs.explanation_text(results.tasks(record.require(summary.run_folder))).splitlines()[0].split(
        maxsplit=2
    ) == [
        "source",
        "done",
        "first run of this task",
    ]
    with pytest.raises(UserError, match="expected a run's folder"):
        record.require(tmp_path)


def start(spec_path: Path, root: Path, **arguments: object) -> subprocess.Popen[str]:
    """Runs the small pipeline in a process of its own."""
    program = textwrap.dedent(f"""
        import sys
        from pathlib import Path
        from penstock.pipelines import local
        try:
            summary = local.run(
                Path({str(spec_path)!r}), name="small", pipeline_root=Path({str(root)!r}),
                arguments={arguments!r}, sources={{}},
            )
        except KeyboardInterrupt:
            sys.exit(130)
        sys.exit(summary.exit_code)
    """)
    return subprocess.Popen([_INTERPRETER, "-c", program], stderr=subprocess.DEVNULL, text=True)


@pytest.mark.slow
@pytest.mark.parametrize(("signal_number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -9)])
def test_a_stopped_run_ends_its_tasks_and_is_taken_up_again(
    run: Run, spec_path: Path, tmp_path: Path, signal_number: signal.Signals, code: int
) -> None:
    mark = tmp_path / "sleeping"
    process = start(spec_path, tmp_path / "runs", count=6, mode=f"sleep:{mark}")
    wait_for(mark.exists)
    children = psutil.Process(process.pid).children(recursive=True)
    assert children
    os.kill(process.pid, signal_number)
    assert process.wait(timeout=20) == code
    wait_for(lambda: not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children))
    (stopped,) = record.earlier(tmp_path / "runs", "small")
    assert (stopped.status, [task.status for task in stopped.tasks][:2]) == ("interrupted", ["done", "interrupted"])
    again = run(count=6)
    assert statuses(again) == {"source": "cached", "total": "done", "announce": "done"}
    assert not list((tmp_path / "runs").glob(".workspace-*"))
    assert not list(Path(tempfile.gettempdir()).glob(f"penstock-*-{process.pid}-*"))


def test_a_killed_training_is_given_its_checkpoints(train: Run) -> None:
    killed = [train(enough=3), train(enough=3)]
    assert [statuses(run) for run in killed] == [{"steps": "failed"}] * 2
    done = train(enough=3)
    assert statuses(done) == {"steps": "done"}
    assert (done.run_folder / "steps" / "model_run" / "checkpoint" / "steps.txt").read_text() == "3"
    assert reason(done, "steps").endswith(f"; goes on from {killed[1].run_folder.name}")
    assert statuses(train(enough=3)) == {"steps": "cached"}
    for other in (train(enough=4), train(enough=3, no_cache=True)):  # another training, and one that starts anew
        assert (other.run_folder / "steps" / "model_run" / "checkpoint" / "steps.txt").read_text() == "1"


@pytest.mark.slow
def test_what_a_killed_run_left_half_written_is_removed_after_a_day(run: Run, spec_path: Path, tmp_path: Path) -> None:
    mark = tmp_path / "sleeping"
    process = start(spec_path, tmp_path / "runs", count=6, mode=f"sleep:{mark}")
    wait_for(mark.exists)
    process.kill()
    process.wait(timeout=20)
    (stopped,) = record.earlier(tmp_path / "runs", "small")
    old, new, finished = (
        stopped.folder / task / "sum_of" / f".Split-{task}.{name}.tmp"
        for task, name in [("total", "1"), ("total", "2"), ("source", "3")]
    )
    for folder in (old, new, finished):
        folder.mkdir(parents=True)
        (folder / "rows.gz").write_text("half")
    for folder in (old, finished):
        os.utime(folder, (1, 1))
    run(count=6)
    assert not old.exists()
    assert new.exists(), "a run on another machine may write it"
    assert finished.exists(), "of a task that was not interrupted"


@pytest.mark.slow
def test_two_runs_at_once_in_one_folder_are_both_right(spec_path: Path, tmp_path: Path) -> None:
    root = tmp_path / "runs"
    processes = [start(spec_path, root, count=count) for count in (6, 7, 6)]
    assert [process.wait(timeout=60) for process in processes] == [0, 0, 0]
    sums = sorted((folder / "total" / "sum_of" / "sum.txt").read_text() for folder in root.glob("small-*"))
    assert sums == ["15", "15", "21"]


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
