"""Damaged records of runs, and what else a run reads of earlier ones: passed over with a word, whatever they hold."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.core.errors import UserError
from penstock.pipelines.config.training_pipeline import Config
from penstock.pipelines.local import runs
from penstock.pipelines.local.records import reading, record
from penstock.pipelines.local.report import run_page

Edit = Callable[[Any], Any]


@pytest.fixture(autouse=True)
def nothing_told_yet() -> None:
    reading.tell_passed_over.cache_clear()


def task(key: str, value: Any) -> Edit:
    return lambda document: document["tasks"][0].update({key: value})


def top(key: str, value: Any) -> Edit:
    return lambda document: document.update({key: value})


RECORDS: dict[str, Edit | bytes] = {
    "no JSON": b"{",
    "nothing": b"",
    "no UTF-8": b'{"name": "\xff"}',
    "a lone surrogate": b'{"name": "\\ud800"}',
    "depth": b"[" * 100_000,
    "a list": b"[]",
    "a number": b"3",
    "tasks in a map": top("tasks", {"a": 1}),
    "no tasks": top("tasks", None),
    "tasks of text": top("tasks", ["a"]),
    "a name that is a list": top("name", []),
    "started in words": top("started", "yesterday"),
    "started in the far future": top("started", 1e300),
    "started before time": top("started", -1e300),
    "started at a huge number": top("started", 10**400),
    "endless": top("seconds", float("inf")),
    "an endless task": task("seconds", float("nan")),
    "a process beyond numbers": top("process", 10**30),
    "a process that is none": top("process", -9),
    "arguments in a list": top("arguments", ["a"]),
    "an unknown status": top("status", "wonderful"),
    "a task's unknown status": task("status", 3),
    "a task without a name": task("name", None),
    "a task outside": task("name", "../../elsewhere"),
    "a task at the root": task("name", "/"),
    "a task with a NUL": task("name", "a\0b"),
    "huge counts": task("counts", {"rows": 10**400}),
    "counts in words": task("counts", {"rows": "many"}),
    "counts in a list": task("counts", [1]),
    "a key in a list": task("key", ["a"]),
    "a key without parts": task("key", {"component": "a"}),
    "a key of numbers": task("key", {"component": 1, "source": 2, "version": 3, "parameters": {}, "inputs": {}}),
    "a failure in words": task("failure", "it failed"),
    "outputs in a list": task("outputs", ["model"]),
    "an output without a place": task("outputs", {"model": {}}),
    "inputs of numbers": task("inputs", {"model": [3]}),
}


def damage(path: Path, how: Edit | bytes) -> None:
    if isinstance(how, bytes):
        path.write_bytes(how)
        return
    document = json.loads(path.read_text())
    how(document)
    path.write_text(json.dumps(document))


@pytest.mark.parametrize("how", RECORDS.values(), ids=list(RECORDS))
def test_a_damaged_record_is_passed_over_with_a_word(
    tmp_path: Path, how: Edit | bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = tmp_path / "runs" / "small-1"
    for name in ("small-1", "small-2"):
        written = record.RunRecord("small", tmp_path / "runs" / name, {"count": 1}, "done", seconds=1.0)
        written.tasks = [record.TaskRecord("source", "done", seconds=0.5, counts={"rows": 6})]
        written.write()
    path = tmp_path / "runs" / "small-2" / record.FILE
    damage(path, how)
    config = Config.model_construct(name="small", pipeline_root=str(tmp_path / "runs"))
    assert [run["run"] for run in runs.listing(config)] == ["small-1"]
    assert runs.newest(config).folder == whole
    assert record.last_keys(tmp_path / "runs", "small") == {}
    record.remove_leftovers(tmp_path / "runs", "small")
    sentences = capsys.readouterr().err.splitlines()
    assert len(sentences) == 1, "once"
    assert sentences[0].startswith(f"penstock: {path} is damaged and passed over: ")
    with pytest.raises(UserError, match="expected the record of a run, which `penstock run` writes: "):
        record.require(path.parent)


def test_a_record_that_is_no_file_is_passed_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.makedirs(tmp_path / "small-1" / record.FILE)
    (tmp_path / "small-2").mkdir()
    os.mkfifo(tmp_path / "small-2" / record.FILE)
    assert list(record.earlier(tmp_path, "small")) == []
    assert capsys.readouterr().err.count("is damaged and passed over: ") == 2


def test_a_newer_versions_keys_are_left_out(tmp_path: Path) -> None:
    written = record.RunRecord("small", tmp_path / "small-1", {}, "done")
    written.tasks = [record.TaskRecord("source", "done", counts={"share": 0.5})]
    written.write()
    damage(tmp_path / "small-1" / record.FILE, lambda document: (top("new", 1)(document), task("new", 2)(document)))
    assert record.read(tmp_path / "small-1") == written


def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    """Also a path that is not UTF-8, and metadata that JSON has no numbers for."""
    written = record.RunRecord("small", tmp_path / "small-1", {"data": os.fsdecode(b"/d\xffta"), "ü": "€"}, "done")
    metadata = {"loss": float("nan"), "top": float("inf")}
    written.tasks = [record.TaskRecord("a/b", "done", outputs={"model": {"uri": "/m", "metadata": metadata}})]
    written.write()
    read = record.read(tmp_path / "small-1")
    assert read.arguments == {"data": "/d?ta", "ü": "€"}
    assert read.tasks[0].outputs["model"]["metadata"]["top"] == float("inf")


VERDICTS = [b"{", b"", b"[]", b'{"blessed": true}', b'{"blessed": 3, "reasons": {}}', b"[" * 100_000]


@pytest.mark.parametrize("content", VERDICTS)
def test_a_damaged_verdict_is_passed_over_with_a_word(
    tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "small-1" / "evaluator" / "validation"
    folder.mkdir(parents=True)
    (folder / "validation.json").write_bytes(content)
    key = record.Key("evaluator", "", "", {}, {})
    evaluated = record.TaskRecord("evaluator", "done", key=key)
    evaluated.outputs = {"validation": {"uri": str(folder), "metadata": {}}}
    record.RunRecord("small", tmp_path / "small-1", {}, "done", tasks=[evaluated]).write()
    config = Config.model_construct(name="small", pipeline_root=str(tmp_path))
    assert runs.listing(config)[0]["run"] == "small-1"
    assert f"penstock: {folder}/validation.json is damaged and passed over: " in capsys.readouterr().err


@pytest.mark.parametrize("name", ["plan.json", "history.json"])
@pytest.mark.parametrize(
    "content",
    [
        *(b"{", b"[]", b'"x"', b"\xff", b"[" * 100_000, b'{"epochs": []}', b'{"epochs": {"a": 1}, "best_epoch": 1}'),
        b'{"epochs": [{"epoch": 1, "val_loss": "low"}], "best_epoch": 1}',
        b'{"epochs": [{"epoch": 1, "val_loss": 1}], "best_epoch": 7}',
        b'{"features": 3, "label": [], "ignored": [1], "notes": null}',
        b'{"features": [{"name": 1}], "label": {"name": "x"}, "ignored": {}, "notes": {}}',
    ],
)
def test_a_users_own_file_of_a_trainings_name_ends_no_run(tmp_path: Path, name: str, content: bytes) -> None:
    folder = tmp_path / "small-1" / "trainer" / "model_run"
    folder.mkdir(parents=True)
    (folder / name).write_bytes(content)
    trained = record.TaskRecord("trainer", "done", outputs={"model_run": {"uri": str(folder), "metadata": {}}})
    run = record.RunRecord("small", tmp_path / "small-1", {}, "done", seconds=1.0, tasks=[trained])
    run.write()
    assert "done in 1.0 s" in runs.summary_text(run)
    run_page.write(run)
