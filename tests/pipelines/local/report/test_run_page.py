"""The report of a run: what a browser is given."""

import json
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from penstock.core import page
from penstock.pipelines.local.records.cache import Key
from penstock.pipelines.local.records.origin import Origin
from penstock.pipelines.local.records.record import RunRecord, TaskRecord
from penstock.pipelines.local.report import run_page

ANOMALIES = "<!DOCTYPE html>\n<html><body><h1>Anomalies</h1><p>\"AA\" & 'BB'</p></body></html>\n"


class _Page(HTMLParser):
    """The targets of the links, but for those to the page's sections, and the pages in frames."""

    def __init__(self, text: str):
        super().__init__()
        self.links: list[str] = []
        self.frames: list[str] = []
        self.anchors: list[str] = []
        self.listing = False  # whether this is the list of the page's sections
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.anchors += filter(None, [values.get("id")])
        self.listing = tag == "nav" or (self.listing and tag == "a")
        if tag == "a" and not self.listing:
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


def test_pages_of_ours_are_parts_in_the_order_of_a_persons_questions(tmp_path: Path) -> None:
    tasks = []
    written: list[tuple[str, str, page.Part | None, dict[str, int | float]]] = [
        ("data-check", "Anomalies", "anomalies", {"anomalies": 0}),
        ("tuner", "Search", "search", {}),
        ("evaluator", "Evaluation", "evaluation", {}),
        ("evaluator-2", "Second evaluation", "evaluation", {}),
        ("of-others", "Nothing of ours", None, {}),
    ]
    for name, title, part, counts in written:
        (tmp_path / name).mkdir()
        page.write(tmp_path / name / "page", title, f'<h1 id="top">{title}</h1>', part)
        outputs = {"page": {"uri": str(tmp_path / name / "page"), "metadata": {}}}
        tasks.append(TaskRecord(name, "done", counts=counts, outputs=outputs))
    run_page.write(RunRecord("taxi", tmp_path, {}, "done", tasks=tasks))
    text = (tmp_path / page.FILE).read_text()
    assert re.findall(r"<h2[^>]*>([^<]*)</h2>", text) == [
        *("Evaluation", "Second evaluation", "Anomalies", "Search"),
        *("Pages", "Tasks", "Configuration", "Artifacts"),
    ]
    assert "<details><summary>No anomalies</summary><h2 id=" in text, "good news is folded"
    shown = _Page(text)
    assert len(shown.frames) == 1
    assert len(shown.anchors) == len(set(shown.anchors))
    assert {link[1:] for link in shown.links if link[0] == "#"} <= set(shown.anchors)


def test_the_anchor_of_a_page_of_two_parts_is_at_the_first(tmp_path: Path) -> None:
    (tmp_path / "check").mkdir()
    body = f"<h1>Training</h1>{page.next_part('data')}<h1>Columns</h1>"
    page.write(tmp_path / "check" / "report", "Training", body, "training")
    text = _report(tmp_path, {"report": tmp_path / "check" / "report"})
    assert len(_Page(text).anchors) == len(set(_Page(text).anchors))
    assert '<section id="page-check-report"><h2>Training</h2>' in text
    assert "<section><h2>Columns</h2></section>" in text


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


def test_when_tasks_ran_is_a_bar(tmp_path: Path) -> None:
    tasks = [
        TaskRecord("first", "done", seconds=2.0, waited=3.0, started=100.0),
        TaskRecord("second", "cached", seconds=0.001, started=105.0),
    ]
    run_page.write(RunRecord("taxi", tmp_path, {}, "done", started=100.0, seconds=10.0, tasks=tasks))
    text = (tmp_path / page.FILE).read_text()
    assert re.findall(r'class="(bar[^"]*)" style="([^"]*)"', text) == [
        *(("bar waited", "margin-left:0.0%;width:30.0%"), ("bar", "width:20.0%")),
        *(("bar waited", "margin-left:50.0%;width:0.0%"), ("bar cached", "width:0.4%")),
    ]
    assert "1 of 2 tasks came from the cache. Libraries took 3.0 s to import" in text


def test_what_decides_the_result_is_told(tmp_path: Path) -> None:
    key = Key("csv_example_gen", "", "0.1", {}, {})
    (tmp_path / "read" / "examples").mkdir(parents=True)
    examples = {"uri": str(tmp_path / "read" / "examples"), "metadata": {"input_fingerprint": "sha256:12"}}
    examples["metadata"]["origin"] = '{"database": "sqlite:///trips.db"}'
    task = TaskRecord("read", "done", key=key, outputs={"examples": examples})
    origin = Origin({"push": {"password": "secret"}}, {"copy.py": "my.py"}, {"numpy": "2.1"}, "abc", edited=True)
    arguments = {"steps": 3, "module_file": ""}
    run_page.write(RunRecord("taxi", tmp_path, arguments, "done", tasks=[task], origin=origin))
    text = (tmp_path / page.FILE).read_text()
    configuration = text[text.index("<h2>Configuration</h2>") : text.index("<h2>Artifacts</h2>")]
    cells = [unescape(cell) for cell in re.findall(r"<td[^>]*>(?:<code>)?(.*?)(?:</code>)?</td>", configuration)]
    assert cells == [
        *("Git commit", "abc, and files edited since", "data of read", "sha256:12"),
        *("rows of read: database", "sqlite:///trips.db", "your file", "my.py"),
        *("steps", "3", "penstock", "0.1", "numpy", "2.1"),
    ]
    assert [unescape(one) for one in re.findall(r"<pre>(.*?)</pre>", configuration, re.DOTALL)] == [
        "push:\n  password: '***'\n"
    ]


def test_properties_are_short(tmp_path: Path) -> None:
    """JSON of all columns would fill the page; KFP makes doubles of all numbers."""
    metadata: dict[str, Any] = {"span": 3.0, "column_types": json.dumps({f"column{i}": "int64" for i in range(99)})}
    text = _report(tmp_path, {"examples": tmp_path / "examples"}, metadata)
    assert "span: 3, column_types: {&quot;column0&quot;: &quot;int64&quot;" in text
    assert "column50" not in text
