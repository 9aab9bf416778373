"""`penstock monitor`: which run is compared with, what is told, and what exit codes and JSON say."""

import contextlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from penstock.core import artifacts
from penstock.core.artifacts import Schema
from penstock.core.artifacts.monitoring import MonitoredWindow
from penstock.core.artifacts.retraining import RetrainingRecord
from penstock.core.examples import records
from penstock.core.services import retries
from penstock.pipelines.cli import main
from penstock.pipelines.cli import monitor as monitor_command
from penstock.pipelines.local.records import record
from penstock.pipelines.local.records.cache import Key
from penstock.pipelines.local.records.record import Output, RunRecord, TaskRecord
from tests.components.model_monitor.test_executor import columns, model, schema
from tests.components.monitoring.conftest import prediction, write_log
from tests.components.window_monitor.test_executor import lists
from tests.servers.loopback import Status
from tests.servers.webhooks import Webhooks

__all__ = ["model", "write_log"]
DAY = ("--end", "2026-10-31")
Monitor = Callable[..., tuple[int, str, str]]


@pytest.fixture
def project(
    tmp_path: Path, model: Path, write_log: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Path]:
    """Returns a function that makes the current folder a project, with a run and with rows in its request log."""

    def make(rows: dict[str, Any], **configuration: Any) -> Path:
        values = {"name": "taxi", "data": {"path": "data"}, "label": "late", **configuration}
        (tmp_path / "pipeline.yaml").write_text(json.dumps(values))
        (tmp_path / "data").mkdir()
        run = tmp_path / "runs" / "taxi" / "taxi-2026-11-01-00-00-00"
        for split, seed, count in (("train", 1, 4000), ("eval", 2, 1000)):
            path = artifacts.Examples(run / "csv-example-gen" / "examples").shard(split, 0, 1)
            records.write(path, records.encode(lists(columns(seed, count)), skip_nulls=True))
        Schema(run / "schema-gen" / "schema").write(schema())
        (run / "trainer").mkdir()
        (run / "trainer" / "model").symlink_to(model)
        made = {"csv_example_gen": "examples", "schema_gen": "schema", "trainer": "model"}
        tasks = []
        for function, output in made.items():
            task = function.replace("_", "-")
            outputs = {output: Output(uri=str(run / task / output), metadata={})}
            tasks.append(TaskRecord(task, "done", key=Key(function, "", "", {}, {}), outputs=outputs))
        RunRecord("taxi", run, {}, "done", tasks=tasks).write()
        features = {name: column for name, column in rows.items() if name != "late"}
        serialized = np.array(records.encode(lists(features), skip_nulls=True), object)
        write_log("parquet", [prediction({"examples": serialized}, 60)])
        (tmp_path / "log").rename(tmp_path / "requests")
        monkeypatch.chdir(tmp_path)
        return tmp_path

    return make


@pytest.fixture
def monitor(capfd: pytest.CaptureFixture[str]) -> Monitor:
    """Returns a function that runs the command in this process: its exit code, and what it wrote."""

    def call(*arguments: str) -> tuple[int, str, str]:
        code = main.main(["monitor", "--set", "engine=local:1", *arguments])
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    return call


def test_a_quiet_window_is_zero_and_the_baseline_is_made_once(project: Callable[..., Path], monitor: Monitor) -> None:
    folder = project(columns(5, 1500))
    environment = dict(os.environ)
    code, out, err = monitor(*DAY)
    assert code == 0, err
    assert dict(os.environ) == environment  # a retraining of this process finds in the cache what a run has left there
    assert out.startswith(
        "taxi: 30 October 2026, 00:00 to 31 October 2026, 00:00 (UTC): 1,500 rows in 1 request, version 3"
    )
    assert "\nnothing moved\n" in out
    (baseline,) = (folder / "runs" / "taxi" / "monitoring" / "baselines").iterdir()
    before = (baseline / "baseline.json").stat().st_mtime_ns
    assert monitor(*DAY)[0] == 0
    assert (baseline / "baseline.json").stat().st_mtime_ns == before
    window = MonitoredWindow(folder / "runs/taxi/monitoring/windows/20261030T000000Z_20261031T000000Z")
    assert window.read()["rows"] == 1500
    assert window.report.is_file()


def test_what_moved_is_one_in_text_and_in_json(project: Callable[..., Path], monitor: Monitor) -> None:
    rows = columns(6, 1500)
    rows["company"] = np.char.upper(rows["company"])
    folder = project(rows)
    code, out, err = monitor(*DAY, "--requests", "requests", "-o", "here")
    assert code == 1
    assert "Known values are written in another way" in out
    assert err.splitlines()[-1] == "penstock: 1 feature moved"
    code, out, _ = monitor(*DAY, "--json")
    document = json.loads(out)
    assert (code, document["exit_code"], document["error"]["type"]) == (1, 1, "Alert")
    result = document["result"]
    assert result["moved"] == 1
    assert result["window"]["findings"][0]["name"] == "company"
    assert (folder / "here" / "window.json").is_file()


def test_thresholds_of_the_configuration_count(project: Callable[..., Path], monitor: Monitor) -> None:
    rows = columns(6, 1500)
    rows["company"] = np.char.upper(rows["company"])
    project(rows, monitoring={"thresholds": {"company": None}, "window": "2d"})
    code, out, _ = monitor(*DAY)
    assert code == 0, out
    assert "29 October 2026, 00:00 to 31 October 2026" in out


@contextlib.contextmanager
def moved(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[dict[str, Any], Webhooks, dict[str, Any]]]:
    """Gives rows in which a feature has moved, a server of webhooks, and a section of alerts that names it."""
    monkeypatch.setattr(retries, "PAUSE", 0.01)
    rows = columns(6, 1500)
    rows["company"] = np.char.upper(rows["company"])
    with Webhooks() as server:
        yield rows, server, {"channels": {"hook": {"webhook": {"url": f"{server.url}/alerts"}}}}


def test_the_channels_of_the_configuration_are_told_once(
    project: Callable[..., Path], monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    with moved(monkeypatch) as (rows, server, section):
        folder = project(rows, monitoring={"alerts": section})
        assert monitor(*DAY, "--no-alerts")[0] == 1
        assert server.requests == []
        server.fail("POST", "/alerts", *[Status(503, "maintenance")] * 3)
        code, out, err = monitor(*DAY)
        assert code == 1
        assert "Known values are written in another way" in out  # what was found is told nevertheless
        assert re.search(r"^alerts     (\d) opened; \1 open; \1 messages? waits?$", out, re.MULTILINE)
        assert err.splitlines()[-1].startswith(
            "penstock: messages that were not taken are kept for the next run: hook ("
        )
        code, out, err = monitor(*DAY, "--json")
        alerts = json.loads(out)["result"]["alerts"]
        assert (code, alerts["waiting"]) == (1, {})
        assert {event["alert"]["feature"] for event in alerts["events"]} == {"company"}
        assert len(server.taken) == len(alerts["open"])
        assert server.taken[0]["events"][0]["alert"]["report"].startswith(f"file://{folder}/runs/taxi/monitoring/")
        code, out, err = monitor(*DAY)
        assert f"alerts     {len(alerts['open'])} opened; {len(alerts['open'])} open" in out
        assert len(server.taken) == len(alerts["open"])


def test_what_a_channel_takes_later_in_the_run_does_not_wait(
    project: Callable[..., Path], monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    with moved(monkeypatch) as (rows, server, section):
        folder = project(rows, monitoring={"alerts": section, "retraining": {"approval": True}})
        (folder / "data" / "rows.csv").write_text("late\n1\n")
        server.fail("POST", "/alerts", *[Status(503, "maintenance")] * 3)
        code, out, err = monitor(*DAY)
        assert (code, re.search(r"^alerts     (\d) opened; \1 open$", out, re.MULTILINE) is not None) == (1, True)
        assert err.splitlines()[-1] == "penstock: 1 feature moved"
        assert [one["kind"] for one in server.taken][-1] == "retraining"


def test_a_log_of_nothing_yet_is_the_models(
    project: Callable[..., Path], monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    with moved(monkeypatch) as (rows, server, section):
        folder = project(rows, monitoring={"alerts": section})
        server.fail("POST", "/alerts", *[Status(503, "maintenance")] * 3)
        monitor(*DAY)
        assert server.taken == []
        (folder / "new_log").mkdir()
        code, out, err = monitor("--requests", "new_log")
        assert (code, out.split(": ")[0]) == (0, "taxi"), err
        assert {event["kind"] for message in server.taken for event in message["events"]} == {"opened"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--window", "soon"], "window: expected a number and a unit, such as 30m, 6h, 1d or 2w, received 'soon'"),
        (["--requests", "nowhere"], "requests: there is no folder"),
        (["--model", "taxy"], "model 'taxy' is not in"),
        (["--run", "taxi-1"], "taxi-1: no such run"),
        (["--baseline", "data"], "expected a baseline, with baseline.json in it"),
        (["--baseline", "data", "--run", "x"], "expected either --run or --baseline, received both"),
    ],
)
def test_what_cannot_be_is_two(
    project: Callable[..., Path], monitor: Monitor, arguments: list[str], words: str
) -> None:
    project(columns(5, 100))
    code, _, err = monitor(*DAY, *arguments)
    assert code == 2, err
    assert words in err


def test_without_a_run_it_is_said(project: Callable[..., Path], monitor: Monitor) -> None:
    folder = project(columns(5, 100))
    (folder / "runs" / "taxi" / "taxi-2026-11-01-00-00-00" / "run.json").unlink()
    code, _, err = monitor(*DAY)
    assert (code, err.strip()) == (
        2,
        "penstock: no model of taxi yet: `penstock run` trains one, and makes what is compared with",
    )


def test_the_monitoring_pipeline_compiles(project: Callable[..., Path], capfd: pytest.CaptureFixture[str]) -> None:
    project(columns(6, 10))
    assert main.main(["compile", "--pipeline", "monitoring", "-o", "monitoring.yaml"]) == 0
    assert capfd.readouterr().out == "monitoring.yaml: taxi-monitoring for target local\n"


def push(run: Path, version: str) -> None:
    """Adds to a run's record that it has pushed its model."""
    known = record.read(run)
    (run / "pusher" / "pushed_model").mkdir(parents=True)
    metadata = {"pushed": 1, "pushed_version": version, "pushed_destination": "filesystem"}
    outputs = {"pushed_model": Output(uri=str(run / "pusher" / "pushed_model"), metadata=metadata)}
    known.tasks.append(TaskRecord("pusher", "done", key=Key("pusher", "", "", {}, {}), outputs=outputs))
    known.write()


def test_the_run_that_serves_is_compared_with(project: Callable[..., Path], monitor: Monitor) -> None:
    """Not the newest one: what answers is version 3, which an earlier run has pushed."""
    folder = project(columns(5, 1500))
    runs = folder / "runs" / "taxi"
    older, newer = runs / "taxi-2026-11-01-00-00-00", runs / "taxi-2026-11-02-00-00-00"
    shutil.copytree(older, newer, symlinks=True)
    push(older, "3")
    push(newer, "4")
    assert f"{runs}/monitoring/baselines/{older.name}-" in monitor(*DAY)[1]
    for arguments in (["--model", "taxi"], ["--version", "3"]):
        assert f"{runs}/monitoring/baselines/{older.name}-" in monitor(*DAY, *arguments)[1]
    (folder / "requests" / "taxi").rename(folder / "requests" / "cabs")  # the only model, by another name
    assert f"{runs}/monitoring/baselines/{older.name}-" in monitor(*DAY)[1]


def test_a_version_on_trial_is_not_what_is_compared_with(project: Callable[..., Path], monitor: Monitor) -> None:
    folder = project(columns(5, 300), push={"directory": "serving"})
    runs = folder / "runs" / "taxi"
    older, newer = runs / "taxi-2026-11-01-00-00-00", runs / "taxi-2026-11-02-00-00-00"
    shutil.copytree(older, newer, symlinks=True)
    for run, version in ((older, "3"), (newer, "4")):
        push(run, version)
        (folder / "serving" / version).mkdir(parents=True)
        (folder / "serving" / version / "saved_model.pb").touch()
    shutil.copytree(folder / "requests" / "taxi" / "3", folder / "requests" / "taxi" / "4")
    _, out, err = monitor(*DAY)
    assert f"{runs}/monitoring/baselines/{newer.name}-" in out
    assert "several versions have answered: 3 (300 rows), 4 (300 rows): " in err
    (folder / "serving" / "traffic.json").write_text('{"stable": 3, "canary": 4, "percent": 10}')
    assert f"{runs}/monitoring/baselines/{older.name}-" in monitor(*DAY)[1]
    assert f"{runs}/monitoring/baselines/{newer.name}-" in monitor(*DAY, "--version", "4")[1]


@pytest.mark.parametrize(
    "arguments",
    [["-o", "gs://bucket/window"], ["--baseline", "gs://bucket/baseline"], ["--metrics", "gs://bucket/m.prom"]],
)
def test_a_bucket_that_is_not_mounted_is_no_folder(
    project: Callable[..., Path], monitor: Monitor, arguments: list[str]
) -> None:
    folder = project(columns(5, 100))
    code, _, err = monitor(*DAY, *arguments)
    assert (code, "expected a local folder, or a bucket that is mounted, received 'gs://" in err) == (2, True)
    assert not (folder / "gs:").exists()


def test_a_policy_decides_on_a_retraining(
    project: Callable[..., Path], monitor: Monitor, capfd: pytest.CaptureFixture[str]
) -> None:
    rows = columns(6, 1500)
    rows["company"] = np.char.upper(rows["company"])
    alerts = {"channels": {"file": {"log": {"path": "told.jsonl"}, "severity": "warning"}}}
    folder = project(rows, monitoring={"retraining": {"approval": True}, "alerts": alerts})
    (folder / "data" / "rows.csv").write_text("late\n1\n")
    code, out, _ = monitor(*DAY, "--no-retraining", "--no-alerts")
    assert "retraining" not in out
    code, out, _ = monitor(*DAY)
    assert code == 1
    assert "retraining waits for approval\n  because: drift of " in out
    code, out, _ = monitor(*DAY, "--json")
    decision = json.loads(out)["result"]["retraining"]
    assert decision["outcome"] == "waiting"
    name = decision["retraining"]["id"]
    assert RetrainingRecord(Path(json.loads(out)["result"]["folder"])).read() == decision
    told = [json.loads(line) for line in (folder / "told.jsonl").read_text().splitlines()]
    (waits,) = (one for one in told if one["kind"] == "retraining")  # of two windows
    assert f"To approve: penstock retrain --approve {name}" in waits["text"]

    assert main.main(["retrain"]) == 0
    assert f"{name}  waiting  " in capfd.readouterr().out
    assert main.main(["retrain", "--reject", name, "--json"]) == 0
    result = json.loads(capfd.readouterr().out)["result"]
    assert (result["retraining"], [one["status"] for one in result["retrainings"]]) == (name, ["rejected"])
    assert main.main(["retrain", "--approve", name]) == 2
    assert f"{name}: expected a retraining that waits for approval; it is rejected" in capfd.readouterr().err
    assert "retraining held back\n" in monitor(*DAY)[1]


def test_a_decision_that_cannot_be_made_loses_no_answer(project: Callable[..., Path], monitor: Monitor) -> None:
    folder = project(columns(5, 300), monitoring={"retraining": {}})
    state = folder / "runs/taxi/monitoring/retraining/retraining_state.json"
    state.parent.mkdir(parents=True)
    state.write_text("{}")
    (folder / "data" / "rows.csv").write_text("late\n1\n")
    code, out, err = monitor(*DAY)
    assert code == 2
    assert "\nnothing moved\n" in out
    assert "is no state of retrainings" in err


def test_labels_that_have_come_are_told(project: Callable[..., Path], monitor: Monitor) -> None:
    """The run of this project was not evaluated, which is said; what is told of metrics is looked at by itself."""
    folder = project(columns(5, 300))
    (folder / "labels.csv").write_text("request_id,row,late\nid-0,0,yes\n")
    code, _, err = monitor(*DAY, "--labels", "labels.csv")
    assert code == 0
    assert "the baseline knows no evaluation of the model" in err
    window = MonitoredWindow(next((folder / "runs/taxi/monitoring/windows").iterdir())).read()
    metric = {"metric": "auc", "slice": "overall", "value": 0.5, "low": 0.4, "high": 0.6, "evaluation": 0.8, "rows": 30}
    again = {"begin": window["begin"], "end": window["end"], "rows": 9, "labelled": 7, "labelled_before": 2}
    window.update(realised=[metric, metric | {"slice": "company=red"}], measured_again=[again | {"alerts": ["bad."]}])  # type: ignore[typeddict-item]
    lines = list(monitor_command._realised(window))
    assert lines == [
        "auc 0.5 (0.4 to 0.6) of 30 labelled rows (10%); in the evaluation 0.8",
        "measured again: 30 October 2026, 00:00 to 31 October 2026, 00:00: rows with a label: 7 of 9, before 2",
        "  bad.",
    ]
    performance = {"subject": "performance", "name": "auc", "alerts": True}
    feature = {"subject": "feature", "name": "miles", "alerts": True}
    counted = monitor_command._counted([performance, feature], 1)  # type: ignore[list-item]
    assert counted == "1 feature moved, 2 metrics are beyond their limit"
