"""The task: artifacts in, a decision and a run out."""

from pathlib import Path
from typing import Any

import pytest

from penstock.components.retrainer import executor
from penstock.components.retrainer.state import RETRAININGS
from penstock.core.artifacts.monitoring import BaselineRecord, MonitoredWindow, MonitoringBaseline, TrainedOn
from penstock.core.artifacts.retraining import RetrainingRecord
from penstock.core.errors import DataError, ServerUnavailable, SystemFailure
from penstock.core.services import retries
from penstock.core.state import open_folder
from tests.components.retrainer.conftest import finding, window
from tests.components.retrainer.servers.conftest import compiled
from tests.servers.kubeflow_pipelines import KubeflowPipelines
from tests.servers.loopback import Status
from tests.servers.webhooks import Webhooks

__all__ = ["compiled"]


def baseline(trained_on: TrainedOn) -> BaselineRecord:
    return BaselineRecord(
        model="model",
        label=None,
        label_name="",
        rows={"train": 10, "eval": 5},
        features={},
        predictions=None,
        false_alarm_rate=0.02,
        configured={},
        fixed={},
        sources={},
        window_rows=1000,
        thresholds=[],
        importance={},
        notes=[],
        trained_on=trained_on,
    )


@pytest.fixture
def arguments(tmp_path: Path, compiled: Path) -> dict[str, Any]:
    """Arguments of a task whose window has drift that matters, and whose data has grown since training."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text("a\n1\n2\n3\n")
    old = TrainedOn(fingerprint="split:all,num_files:1,total_bytes:4,sha256:0", span=0, spans="", rows=1)
    MonitoringBaseline(tmp_path / "baseline").write(baseline(old))
    MonitoredWindow(tmp_path / "window").write(window(0, finding("miles", 0.5)))
    return {
        "retraining": str(tmp_path / "retraining"),
        "window": str(tmp_path / "window"),
        "baseline": str(tmp_path / "baseline"),
        "state": str(tmp_path / "state"),
        "pipeline": str(compiled),
        "input_base": str(tmp_path / "data"),
        "report_uri": "gs://runs/report.html",
    }


def server_of(server: KubeflowPipelines) -> str:
    return f'{{"kubeflow": {{"host": "{server.url}"}}}}'


def alerts(folder: Path, people: Webhooks) -> dict[str, str]:
    """Returns arguments by which people are told."""
    settings = f'{{"channels": {{"hook": {{"webhook": {{"url": "{people.url}/alerts"}}}}}}}}'
    return {"alert_state": str(folder / "alerts"), "alert_settings": settings}


def test_a_task_decides_and_starts_the_run(arguments: dict[str, Any]) -> None:
    with KubeflowPipelines() as server:
        metadata = executor.run(**arguments, server=server_of(server)).metadata["retraining"]
        decision = RetrainingRecord(Path(arguments["retraining"])).read()
        assert decision["retraining"]
        assert server.names("runs") == [metadata["retraining"]] == [decision["retraining"]["id"]]
        assert (metadata["outcome"], decision["retraining"]["status"]) == ("retrains", "running")
        assert decision["retraining"]["report"] == "gs://runs/report.html"
        assert executor.run(**arguments, server=server_of(server)).metadata["retraining"] == metadata  # tried again
        assert len(server.names("runs")) == 1


def test_a_task_whose_server_is_away_fails_with_its_decision_kept(
    arguments: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "PAUSE", 0.01)
    with KubeflowPipelines() as server, Webhooks() as people:
        arguments |= {"server": server_of(server), **alerts(tmp_path, people)}
        server.fail("POST", "/runs", *[Status(503, "later")] * 3)
        with pytest.raises(ServerUnavailable, match="503"):
            executor.run(**arguments)
        assert RetrainingRecord(Path(arguments["retraining"])).read()["outcome"] == "retrains"
        executor.run(**arguments)
        assert len(server.names("runs")) == 1
        not_started, started = (body["retrainings"][0] for body in people.taken)
        assert (not_started["kind"], "503" in not_started["error"]) == ("not_started", True)
        assert (started["kind"], started["link"].startswith(server.url)) == ("started", True)


def test_a_channel_that_is_down_holds_up_no_run_and_the_task_fails(
    arguments: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "PAUSE", 0.01)
    with KubeflowPipelines() as server, Webhooks() as people:
        people.fail("POST", "/alerts", *[Status(503)] * 3)
        arguments |= {"server": server_of(server), **alerts(tmp_path, people)}
        with pytest.raises(SystemFailure, match=r"kept for the next run: hook \(1\): "):
            executor.run(**arguments)
        assert (len(server.names("runs")), people.taken) == (1, [])
        executor.run(**arguments)
        assert (len(server.names("runs")), len(people.taken)) == (1, 1)


def test_without_a_server_a_retraining_is_due_and_no_more(arguments: dict[str, Any]) -> None:
    metadata = executor.run(**arguments, policy='{"drift": 1}').metadata["retraining"]
    (one,) = open_folder(arguments["state"], RETRAININGS).read()["retrainings"]
    assert (one["id"], one["status"]) == (metadata["retraining"], "due")
    assert one["fingerprint"].startswith("split:")


def test_what_is_no_window_is_told(arguments: dict[str, Any]) -> None:
    MonitoredWindow(Path(arguments["window"])).path.write_text("{}")
    with pytest.raises(DataError, match="expected a window from WindowMonitor"):
        executor.run(**arguments)
