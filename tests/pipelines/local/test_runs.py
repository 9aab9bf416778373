"""What is told of a run: at its end, by explain, and in its report."""

import json
from pathlib import Path

import pytest

from penstock.components.example_gen import executor
from penstock.components.example_gen.inputs import spans
from penstock.core import page
from penstock.core.artifacts import Metadata
from penstock.pipelines.local import results, runs
from penstock.pipelines.local.records import record
from penstock.pipelines.local.records.cache import Key
from penstock.pipelines.local.records.record import RunRecord, TaskRecord
from penstock.pipelines.local.report import run_page

ROWS = "x,y\n" + "".join(f"{row},{'ab'[row % 2]}\n" for row in range(30))


def _read(data: Path, examples: Path, pattern: str, num_spans: int) -> Metadata:
    """Reads data as the two tasks of a pipeline do; returns the metadata of the examples."""
    found = spans.resolve(
        input_base=str(data),
        input_config=json.dumps({"splits": [{"name": "all", "pattern": pattern}]}),
        range_config=json.dumps({"rolling_range": {"num_spans": num_spans}}),
    )
    return executor.run(examples=str(examples), input_base=str(data), engine="local:1", **found._asdict()).metadata[
        "examples"
    ]


def _told(folder: Path, metadata: Metadata) -> tuple[str, str, str]:
    """Returns a run's explanation, its summary and its page."""
    task = TaskRecord("csv-example-gen", "done", "first run of this task", Key("csv_example_gen", "", "", {}, {}))
    task.outputs = {"examples": {"uri": str(folder / "csv-example-gen" / "examples"), "metadata": dict(metadata)}}
    run = RunRecord("flights", folder, {}, "done", tasks=[task, TaskRecord("trainer", "skipped", "the run ended")])
    run.write()
    run_page.write(run)
    summary = runs.summary_text(run)
    return runs.explanation_text(results.tasks(run)), summary, (folder / page.FILE).read_text()


@pytest.mark.parametrize(
    ("names", "pattern", "expected"),
    [
        (
            [f"2026-01-{day}/v{version}.csv" for day, version in [(29, 1), (29, 2), (30, 2), (31, 2)]],
            "{YYYY}-{MM}-{DD}/v{VERSION}.csv",
            "2026-01-29 to 2026-01-31 (version 2)",
        ),
        (["s-1.csv", "s-3.csv"], "s-{SPAN}.csv", "1, 3"),
    ],
)
def test_the_spans_that_were_read_are_told(tmp_path: Path, names: list[str], pattern: str, expected: str) -> None:
    for name in names:
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).write_text(ROWS)
    run = tmp_path / "run"
    metadata = _read(tmp_path / "data", run / "csv-example-gen" / "examples", pattern, 7)
    explanation, summary, report = _told(run, metadata)
    assert explanation.splitlines() == [
        f"csv-example-gen  done     first run of this task; spans read: {expected}",
        "trainer          skipped  the run ended",
    ]
    run_record = record.read(run)
    run_record.tasks[0].reason = f"spans read 7 -> {expected}"
    run_record.write()
    assert (
        runs.explanation_text(results.tasks(run_record)).splitlines()[0]
        == f"csv-example-gen  done     spans read 7 -> {expected}"
    ), "not twice"
    assert f"\nspans read {expected}\nrun        {run}\n" in summary
    assert f"Spans read by csv-example-gen: {expected}</p>" in report


def test_data_that_comes_in_no_spans_has_none(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text(ROWS)
    found = spans.resolve(input_base=str(tmp_path / "data"))
    examples = tmp_path / "run" / "csv-example-gen" / "examples"
    result = executor.run(
        examples=str(examples), input_base=str(tmp_path / "data"), engine="local:1", **found._asdict()
    )
    assert not any("spans" in told.lower() for told in _told(tmp_path / "run", result.metadata["examples"]))
