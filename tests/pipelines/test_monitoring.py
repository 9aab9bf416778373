"""The monitoring pipeline, compiled and run on this machine: a window against a baseline, and who is told."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from penstock.core.artifacts.alerts import Alerts
from penstock.core.artifacts.monitoring import MonitoredWindow
from penstock.core.artifacts.retraining import RetrainingRecord
from penstock.core.examples import records
from penstock.pipelines import local
from penstock.pipelines.compiling.compile import compile_monitoring
from penstock.pipelines.config import training_pipeline as configs
from penstock.pipelines.targets import target as targets
from tests.components.model_monitor.test_executor import columns, model
from tests.components.monitoring.conftest import prediction, write_log
from tests.components.window_monitor.test_executor import baseline, lists

__all__ = ["baseline", "model", "write_log"]


@pytest.mark.slow
@pytest.mark.usefixtures("forks")
def test_a_window_runs_as_a_pipeline_and_tells_who_is_to_be_told(
    tmp_path: Path, baseline: Path, write_log: Callable[..., Path]
) -> None:
    rows = columns(31, 1500)
    rows["company"] = np.char.upper(rows["company"])
    rows.pop("late")
    write_log("parquet", [prediction({"examples": np.array(records.encode(lists(rows), skip_nulls=True), object)})])
    told = tmp_path / "told.jsonl"
    (tmp_path / "data.csv").write_text("miles,late\n1.5,yes\n")
    (tmp_path / "pipeline.yaml").write_text(
        json.dumps(
            {
                "name": "taxi",
                "data": {"path": "data.csv"},
                "label": "late",
                "monitoring": {
                    "requests": "log",
                    "baseline": str(baseline),
                    "alerts": {"channels": {"file": {"log": {"path": str(told)}}}},
                    "retraining": {"approval": True, "drift": 1},
                },
            }
        )
    )
    config = configs.load(tmp_path / "pipeline.yaml")
    name = compile_monitoring(config, targets.LOCAL, tmp_path / "monitoring.yaml")
    assert name == "taxi-monitoring"
    summary = local.run(
        tmp_path / "monitoring.yaml",
        name=name,
        pipeline_root=tmp_path / "runs",
        arguments={"end": "2026-10-31"},
        sources={},
    )
    assert {task.name: task.status for task in summary.tasks} == dict.fromkeys(
        ("serving-baseline", "window-monitor", "alerter", "retrainer"), "done"
    )
    window = MonitoredWindow(summary.run_folder / "window-monitor" / "window").read()
    assert {one["name"] for one in window["findings"] if one["alerts"]} == {"company"}
    alerts = Alerts(summary.run_folder / "alerter" / "alerts").read()
    assert {alert["feature"] for alert in alerts["open"]} == {"company"}
    assert "Known values are written in another way" in told.read_text()
    decision = RetrainingRecord(summary.run_folder / "retrainer" / "retraining").read()
    assert (decision["outcome"], decision["signals"][0]["name"]) == ("waiting", "company")
    assert decision["retraining"]
    messages = map(json.loads, told.read_text().splitlines())  # alerts and retrainings are told by two tasks at once
    (notice,) = (notice for message in messages for notice in message["retrainings"])
    assert notice["retraining"] == decision["retraining"]["id"]
