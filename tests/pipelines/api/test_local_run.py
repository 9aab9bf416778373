"""Runs as the Python API gives them: their parts, and what is said where there is none."""

from collections.abc import Callable
from pathlib import Path

import pytest

import penstock
from penstock.core import artifacts
from penstock.core.errors import UserError
from penstock.pipelines.local.records.cache import Key
from penstock.pipelines.local.records.record import Output, RunRecord, TaskRecord

Recorded = Callable[..., RunRecord]


def test_the_runs_of_a_pipeline(recorded: Recorded, config: Path) -> None:
    assert penstock.runs(config) == []
    first, second = recorded(1, auc=0.91234), recorded(2)
    newest, oldest = penstock.runs(config.parent)
    assert (newest.folder, oldest.folder) == (second.folder, first.folder)
    assert oldest.metrics == {"auc": 0.91234, "example_count": 400.0, "loss": None}
    assert next(iter(oldest.metrics)) == "auc"
    assert repr(oldest) == "<Run small-2026-01-01: auc 0.912, loss ->"
    assert oldest.result["rows"] == 1001
    assert [task["task"] for task in oldest.tasks] == ["csv-example-gen", "schema-gen", "trainer", "evaluator"]
    assert oldest.evaluation["problem"] == "binary"


def test_artifacts(recorded: Recorded) -> None:
    run = penstock.Run(recorded(1).folder)
    assert [feature.name for feature in run.artifact("schema").feature] == ["a", "label"]
    assert run.artifact("model_run") == run.folder / "trainer" / "model_run"
    assert run.path("schema", "schema-gen") == run.folder / "schema-gen" / "schema"
    for name, task, told in [
        ("schemas", "", "has no output 'schemas'; did you mean 'schema'"),
        ("schema", "trainer", "has no output 'schema' of trainer"),
    ]:
        with pytest.raises(UserError, match=told):
            run.artifact(name, task)
    with pytest.raises(UserError, match="small-2026-01-01 has no split 'evil'"):
        run.examples("evil")


def test_two_outputs_of_a_name(recorded: Recorded) -> None:
    record = recorded(1)
    for task in record.tasks[1:3]:
        task.outputs["report"] = record.tasks[1].outputs["schema"]
    record.write()
    with pytest.raises(UserError, match="expected the task, one of schema-gen, trainer"):
        penstock.Run(record.folder).path("report")


def test_the_model_is_the_trained_one_beside_a_baseline(recorded: Recorded) -> None:
    record = recorded(1)
    trained, baseline = record.tasks[2], TaskRecord("latest-blessed-model", "done")
    baseline.key = Key("latest_blessed_model", "", "", {}, {})
    record.tasks.append(baseline)
    for task in (trained, baseline):
        place = record.folder / task.name / "model"
        place.mkdir(parents=True)
        task.outputs["model"] = Output(uri=str(place), metadata={})
    record.write()
    run = penstock.Run(record.folder)
    assert run.path("model") == record.folder / "trainer" / "model"
    assert run.path("model", "latest-blessed-model") == record.folder / "latest-blessed-model" / "model"


def test_the_report_is_in_a_frame_of_its_own(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    run = penstock.Run(recorded(1).folder)
    run.report.path.write_text('<!DOCTYPE html><p title="a">1 < 2</p>')
    shown = run.report._repr_html_()
    assert 'srcdoc="&lt;!DOCTYPE html&gt;&lt;p title=&quot;a&quot;&gt;1 &lt; 2&lt;/p&gt;"' in shown
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    run.report.open()
    assert opened == [run.report.path.as_uri()]


def test_what_is_no_run(tmp_path: Path, recorded: Recorded) -> None:
    with pytest.raises(UserError, match="expected a run's folder, with"):
        penstock.Run(tmp_path)
    run = recorded(1)
    artifacts.ModelEvaluation(run.folder / "evaluator" / "evaluation").summary.unlink()
    with pytest.raises(UserError, match="small-2026-01-01 has evaluated no model"):
        penstock.Run(run.folder).evaluation  # noqa: B018
    assert penstock.Run(run.folder).metrics == {}
