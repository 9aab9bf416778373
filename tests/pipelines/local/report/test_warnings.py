"""What a run's end and its report tell of the tasks' warnings."""

from pathlib import Path

from penstock.core import page
from penstock.pipelines.local.records.record import RunRecord, TaskRecord
from penstock.pipelines.local.report import run_page, warnings

LOG = """2026-11-25 16:12:11,123 INFO penstock.trainer.plan.plan: label late: binary
2026-11-25 16:12:11,124 WARNING penstock.trainer.plan.leaks: feature <copy> gives the label away
2026-11-25 16:12:11,125 WARNING absl: a library's
WARNING penstock.trainer.plan.leaks: no line of the log's
2026-11-25 16:12:11,126 WARNING penstock.trainer.plan.leaks: feature <copy> gives the label away
"""


def _run(folder: Path, log: str) -> RunRecord:
    (folder / "trainer").mkdir()
    (folder / "trainer" / "log.txt").write_text(log)
    return RunRecord(
        "flights", folder, {}, "done", tasks=[TaskRecord("trainer", "done"), TaskRecord("pusher", "skipped")]
    )


def test_our_own_warnings_are_told_once(tmp_path: Path) -> None:
    run = _run(tmp_path, LOG)
    assert list(warnings.lines(run)) == ["warning: trainer: feature <copy> gives the label away"]
    run_page.write(run)
    text = (tmp_path / page.FILE).read_text()
    assert text.count("feature &lt;copy&gt; gives the label away") == 1
    assert "a library's" not in text


def test_a_flood_is_counted(tmp_path: Path) -> None:
    log = "".join(f"2026-11-25 16:12:11,123 WARNING penstock.trainer.plan.leaks: number {n}\n" for n in range(13))
    lines = list(warnings.lines(_run(tmp_path, log)))
    assert (len(lines), lines[-1]) == (11, "and 3 more warnings, in the report")


def test_no_warnings_no_heading(tmp_path: Path) -> None:
    run = _run(tmp_path, LOG.splitlines()[0])
    run_page.write(run)
    assert "Warnings" not in (tmp_path / page.FILE).read_text()
