"""The report of a run: what a browser is given."""

import json
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from penstock.core import page
from penstock.pipelines.local.records.record import RunRecord, TaskRecord
from penstock.pipelines.local.report import run_page

ANOMALIES = "<!DOCTYPE html>\n<html><body><h1>Anomalies</h1><p>\"AA\" & 'BB'</p></body></html>\n"


class _Page(HTMLParser):
    """The targets of the links and the pages in frames."""

    def __init__(self, text: str):
        super().__init__()
        self.links: list[str] = []
        self.frames: list[str] = []
        self.anchors: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.anchors += filter(None, [values.get("id")])
        if tag == "a":
            self.links.append(values["href"] or "")
        if tag == "iframe":
            self.frames.append(values["srcdoc"] or "")


def _report(folder: Path, outputs: dict[str, Path], metadata: dict[str, Any] | None = None) -> str:
    described = {name: {"uri": str(path), "metadata": metadata or {}} for name, path in outputs.items()}
    run_page.write(RunRecord("taxi", folder, {}, "done", tasks=[TaskRecord("check", "done", outputs=described)]))
    return (folder / page.FILE).read_text()


def test_a_page_that_a_task_wrote_is_shown_as_a_page(tmp_path: Path) -> None:
    (tmp_path / "check").mkdir()
    report, schema = tmp_path / "check" / "report", tmp_path / "check" / "schema"
    report.write_text(ANOMALIES)
    schema.write_text("feature {}")
    shown = _Page(_report(tmp_path, {"report": report, "schema": schema}))
    assert shown.frames == [ANOMALIES]
    assert shown.links == ["#page-check-report", "check/schema"], "its file has no ending that a browser knows"
    assert "page-check-report" in shown.anchors


def test_what_came_last_is_shown_first_and_no_anomalies_are_folded(tmp_path: Path) -> None:
    tasks = []
    for name, counts in (("checked", {"anomalies": 0}), ("doubtful", {"anomalies": 2}), ("search", {"trials": 3})):
        (tmp_path / name).mkdir()
        (tmp_path / name / "report").write_text(ANOMALIES)
        outputs = {"report": {"uri": str(tmp_path / name / "report"), "metadata": {}}}
        tasks.append(TaskRecord(name, "done", counts=counts, outputs=outputs))
    run_page.write(RunRecord("taxi", tmp_path, {}, "done", tasks=tasks))
    text = (tmp_path / page.FILE).read_text()
    assert re.findall(r'<details( open)?><summary id="[^"]+">(.*?)</summary>', text) == [
        (" open", "search: report"),
        (" open", "doubtful: report"),
        ("", "checked: no anomalies"),
    ]
    assert text.index("<iframe") < text.index("<h2>Tasks</h2>") < text.index("<h2>Artifacts</h2>")


def test_every_link_leads_to_what_is_there(tmp_path: Path) -> None:
    artifact, outside = tmp_path / "run" / "check" / "50% #1?", tmp_path / "elsewhere" / "model"
    artifact.mkdir(parents=True)
    outside.mkdir(parents=True)
    (tmp_path / "run" / "check" / "log.txt").write_text("started")
    text = _report(tmp_path / "run", {"examples": artifact, "model": outside})
    assert [tmp_path / "run" / unquote(link) for link in _Page(text).links] == [artifact.parent / "log.txt", artifact]
    assert f"model ({outside})" in text, "what is outside of the run is named, not linked"


def test_what_the_data_says_is_text(tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>"
    text = _report(tmp_path, {}) + _report(tmp_path, {"examples": tmp_path / hostile}, {hostile: hostile})
    assert not re.search("<script", text)
    assert hostile in unescape(text)


@pytest.mark.slow
def test_the_epochs_of_a_training_are_a_table(tmp_path: Path, penguins_csv: Path) -> None:
    """The loop's own history.json, and a user's file of that name."""
    from penstock.trainer.hardware.devices import Device
    from penstock.trainer.loop import fitting
    from tests.trainer import penguin_training

    trained, other = tmp_path / "trained", tmp_path / "other"
    settings = fitting.Settings(batch_size=32, epochs=2)
    device = Device("cpu", "the <processor>", 1, "float32")
    data = penguin_training.data(penguins_csv)
    fitted = fitting.fit(penguin_training.build, *data, settings, trained, device=device)
    text = _report(tmp_path, {"model_run": trained})
    assert '<p class="muted">the &lt;processor&gt;, float32, tensorflow</p>' in text
    assert "<summary>2 epochs</summary>" in text
    assert f"{fitted.history[0]['examples_per_second']:,}</td>" in text
    assert f"best epoch 2 of {len(fitted.history)}: val_loss {fitted.history[1]['val_loss']:.4g}" in text
    assert f'<td class="number good">{fitted.history[1]["val_loss"]:.4f}</td>' in text
    other.mkdir()
    (other / "history.json").write_text('{"epochs": [1, 2]}')
    assert "<h2>Training</h2>" not in _report(tmp_path, {"model_run": other})


def test_properties_are_short(tmp_path: Path) -> None:
    """JSON of all columns would fill the page; KFP makes doubles of all numbers."""
    metadata: dict[str, Any] = {"span": 3.0, "column_types": json.dumps({f"column{i}": "int64" for i in range(99)})}
    text = _report(tmp_path, {"examples": tmp_path / "examples"}, metadata)
    assert "span: 3, column_types: {&quot;column0&quot;: &quot;int64&quot;" in text
    assert "column50" not in text
