"""The story of a model: why it was trained, on what, why blessed, who serves it, what its monitor says."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from penstock.components.alerter.decisions import Policy as AlertPolicy
from penstock.components.alerter.decisions import decide
from penstock.components.alerter.findings import read as read_windows
from penstock.components.alerter.state import ALERTS
from penstock.components.alerter.state import empty as no_alerts
from penstock.components.pusher import destinations
from penstock.components.retrainer import decisions
from penstock.components.retrainer.policy import Policy
from penstock.components.retrainer.state import RETRAININGS
from penstock.components.retrainer.state import empty as no_retrainings
from penstock.core.artifacts import ModelValidation
from penstock.core.artifacts.monitoring import MonitoredWindow, WindowRecord
from penstock.core.artifacts.window_history import WindowHistory
from penstock.core.services import retries
from penstock.core.state import open_folder
from penstock.pipelines.local.records.cache import Key
from penstock.pipelines.local.records.origin import Origin
from penstock.pipelines.local.records.record import Output, RunRecord, TaskRecord
from penstock.pipelines.local.story import story, text
from tests.components.latest_blessed_model.test_latest_blessed_model import save
from tests.components.retrainer.conftest import at, estimated, finding, observed, window


@pytest.fixture
def run(tmp_path: Path) -> RunRecord:
    """A run of a retraining that has pushed a blessed model."""
    root, serving = tmp_path / "runs", tmp_path / "serving"
    folder = root / "taxi-2026-06-01-00-00-00"
    made = decisions.decide(no_retrainings(), observed(0), Policy(), at(2))["retraining"]
    destination = json.dumps({"filesystem": {"base_directory": str(serving)}})
    run = RunRecord("taxi", folder, {"push_destination": destination}, "done", origin=Origin(retraining=made))
    save(folder / "trainer" / "model", "new")
    (place,) = destinations.read(destination)
    pushed = destinations.push(place, folder / "trainer" / "model" / "Format-Serving")
    reason = {
        "threshold": "at least 0.8",
        "metric": "auc",
        "slice": "overall",
        "passed": True,
        "value": 0.9,
        "sentence": "auc over all examples is 0.9 (required: at least 0.8)",
    }
    validation = ModelValidation(folder / "evaluator" / "validation").path
    validation.parent.mkdir(parents=True)
    validation.write_text(
        json.dumps({"blessed": True, "model": "model", "created": "", "baseline_model": None, "reasons": [reason]})
    )
    metadata: dict[str, dict[str, Any]] = {
        "examples": {
            "spans": "5 to 7",
            "input_fingerprint": "split:all,num_files:3",
            "origin": '{"database": "sqlite:///trips.db", "query": "SELECT 1\\nFROM x"}',
        },
        "validation": {},
        "pushed_model": {"pushed": 1, "pushed_destination": pushed.place, "pushed_version": pushed.version},
    }
    makers = {"examples": "csv_example_gen", "validation": "evaluator", "pushed_model": "pusher"}
    for output, function in makers.items():
        task = function.replace("_", "-")
        (folder / task / output).mkdir(parents=True, exist_ok=True)
        outputs = {output: Output(uri=str(folder / task / output), metadata=metadata[output])}
        key = Key(function, "", "", {}, {})
        run.tasks.append(TaskRecord(task, "done", key=key, outputs=outputs, counts={"rows": 1200}))
    run.write()
    return run


def of_run(run: RunRecord, hour: int, value: float) -> WindowRecord:
    """Returns a window that was compared with the run's model, as `penstock monitor` does it."""
    baseline = run.folder.parent / "monitoring" / "baselines" / f"{run.folder.name}-0123abcd"
    performance = [estimated("auc", 0.7, 0.65, 0.75, evaluation=0.9)]
    seen = window(hour, finding("miles", value), finding("late", 0.2, subject="prediction"), performance=performance)
    return {**seen, "baseline": str(baseline)}


def monitored(run: RunRecord) -> None:
    """Leaves what monitoring leaves: two windows, an alert, a retraining; and a window of another model."""
    root = run.folder.parent / "monitoring"
    history = WindowHistory(root / "history")
    for hour, value in ((10, 0.05), (11, 0.5)):
        history.add(of_run(run, hour, value))
    history.add({**window(12, finding("fare", 0.9)), "model": "other", "baseline": "elsewhere/baseline"})
    newest = of_run(run, 11, 0.5)
    MonitoredWindow(root / "windows" / "newest").write(newest)
    alerts, retrainings = no_alerts(), no_retrainings()
    newest_window, *_ = read_windows(root / "windows" / "newest")
    alerts["tracks"]["taxi"] = decide(None, newest_window, AlertPolicy())[0]
    observed_ = decisions.Observed("taxi", newest, observed().data, baseline=newest["baseline"])
    decisions.decide(retrainings, observed_, Policy(approval=True), at(13))
    for name, kind, state in (("alerts", ALERTS, alerts), ("retraining", RETRAININGS, retrainings)):
        folder: Any = open_folder(str(root / name), kind)  # type: ignore[misc, arg-type]
        with folder.held():
            folder.write(state)


def test_the_story_of_a_retrained_model(run: RunRecord) -> None:
    monitored(run)
    told = story.of(run)
    assert told["retraining"] == run.origin.retraining
    assert (told["rows"], told["spans"], told["fingerprint"]) == (1200, ["5 to 7"], "split:all,num_files:3")
    assert (told["blessed"], [reason["passed"] for reason in told["reasons"]]) == (True, [True])
    (served,) = told["serving"]
    assert (served["percent"], served["state"]) == (100, "serves")
    assert [one["end"] for one in told["windows"]] == [at(11).isoformat(), at(12).isoformat()]
    assert {alert["feature"] for alert in told["alerts"]} == {"miles", "prediction late"}
    assert [one["status"] for one in told["retrainings"]] == ["waiting"]
    lines = "\n".join(text.lines(told))
    assert lines.startswith("why        retraining: drift of 5 (at most 2): miles is 5 times its threshold away")
    for words in (
        "data       1,200 rows, spans 5 to 7\n           database: sqlite:///trips.db\n",
        "           query: SELECT 1 FROM x\n",
        "✓ auc over all examples is 0.9 (required: at least 0.8)",
        "serves, 100 % of the requests",
        "1 June 2026, 11:00 to 1 June 2026, 12:00 (UTC): 1,000 rows; miles; prediction: late moved",
        "auc most likely 0.7 (0.65 to 0.75), in the evaluation 0.9",
        "miles has moved.",
        ": waiting: drift of 5",
    ):
        assert words in lines


def test_a_short_window_without_requests(run: RunRecord) -> None:
    monitored(run)
    told = story.of(run)
    end = at(11) + timedelta(seconds=20)
    told["windows"] = [{**window(11), "begin": at(11).isoformat(), "end": end.isoformat(), "rows": 0}]
    assert (
        "monitored  1 June 2026, 11:00:00 to 1 June 2026, 11:00:20 (UTC): 0 rows; nothing was measured"
        in text.lines(told)
    )


def test_a_version_that_others_have_followed(run: RunRecord, tmp_path: Path) -> None:
    (place,) = destinations.read(run.arguments["push_destination"])
    states = []
    for content in ("second", "third"):
        save(tmp_path / content, content)
        destinations.push(place, tmp_path / content / "Format-Serving")
        states.append(story.of(run)["serving"][0]["state"])
    assert states == ["previous", "gone"]


def test_a_destination_that_does_not_answer_is_told(run: RunRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "PAUSE", 0.01)
    settings = {"project": "p", "api_endpoint": "http://127.0.0.1:9", "storage": "gs://models", "endpoint": "taxi"}
    run.arguments["push_destination"] = json.dumps({"vertex_ai": {**settings, "image": "europe-docker.pkg.dev/p/s:1"}})
    (served,) = story.of(run)["serving"]
    assert served["percent"] is None
    assert served["state"].startswith("not known: ")


def test_each_destination_says_itself_what_it_serves(run: RunRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both were given the same version; of one nobody knows what became of it."""
    monkeypatch.setattr(retries, "PAUSE", 0.01)
    settings = {"project": "p", "api_endpoint": "http://127.0.0.1:9", "storage": "gs://models", "endpoint": "taxi"}
    places = json.loads(run.arguments["push_destination"])
    places["vertex_ai"] = {**settings, "image": "europe-docker.pkg.dev/p/s:1"}
    run.arguments["push_destination"] = json.dumps(places)
    (first,) = run.pushed()
    metadata = run.tasks[-1].outputs["pushed_model"]["metadata"]
    metadata["pushed_destination"] = json.dumps([first.place, "projects/p/locations/l/endpoints/1"])
    metadata["pushed_version"] = json.dumps([first.version] * 2)
    served, unknown = story.of(run)["serving"]
    assert (served["state"], served["percent"], unknown["percent"]) == ("serves", 100, None)
    assert unknown["state"].startswith("not known: ")


def test_a_run_by_hand_without_anything_else(tmp_path: Path) -> None:
    run = RunRecord("taxi", tmp_path / "taxi-1", {}, "done")
    assert list(text.lines(story.of(run))) == ["why        `penstock run`: a person or a program has called it"]


def test_a_damaged_state_is_passed_over(run: RunRecord, capsys: pytest.CaptureFixture[str]) -> None:
    monitored(run)
    for name in ("alerts/alert_state.json", "retraining/retraining_state.json"):
        (run.folder.parent / "monitoring" / name).write_text("{}")
    told = story.of(run)
    assert (told["alerts"], told["retrainings"]) == ([], [])
    assert "is no state of alerts" in capsys.readouterr().err
