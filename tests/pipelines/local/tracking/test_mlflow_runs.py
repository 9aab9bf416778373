"""Runs in MLflow: a real server is told of them, and asked what it knows."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from penstock.core import artifacts, page
from penstock.pipelines import local
from penstock.pipelines.local.records.origin import Origin
from penstock.pipelines.local.records.record import Output, RunRecord
from penstock.pipelines.local.tracking import mlflow_runs
from tests.servers import ports

if TYPE_CHECKING:
    from mlflow import MlflowClient  # which takes seconds to import, in every process that collects tests
    from mlflow.entities import Run

pytestmark = pytest.mark.usefixtures("forks")
_INTERPRETER = sys.executable
_LIMIT = 60.0  # seconds that the server may take to start


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("mlflow")
    url = f"http://127.0.0.1:{ports.reserve()}"
    options = ["--host", "127.0.0.1", "--port", url.rpartition(":")[2], "--workers", "1"]
    stores = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "files")]
    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen(
            [_INTERPRETER, "-m", "mlflow", "server", *options, *stores],
            stdout=log,
            stderr=log,
            env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
            start_new_session=True,
        )
    end = time.monotonic() + _LIMIT
    while not _is_ready(url):
        assert process.poll() is None, (folder / "log.txt").read_text()
        assert time.monotonic() < end, (folder / "log.txt").read_text()
        time.sleep(0.1)
    yield url
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.fixture
def server(address: str, monkeypatch: pytest.MonkeyPatch) -> "MlflowClient":
    """The server, which runs are logged to."""
    from mlflow import MlflowClient

    monkeypatch.setenv(mlflow_runs.VARIABLE, address)
    return MlflowClient(address)


def logged(server: "MlflowClient", experiment: str, name: str) -> "Run":
    found = server.get_experiment_by_name(experiment)
    assert found is not None
    (run,) = [one for one in server.search_runs([found.experiment_id]) if one.info.run_name == name]
    return run


def test_a_run_is_logged_with_all_that_it_measured(
    server: "MlflowClient",
    recorded: Callable[..., RunRecord],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "of the team")
    many = {f"column_{number}": "text" for number in range(150)}  # more than MLflow takes at once
    configuration = {"training": {"epochs": 3, "optimizer": "ä" * 7000}, "features": many, "slices": ["a", "b"]}
    origin = Origin(configuration, commit="0123abc", edited=True)
    run = recorded(1, auc=0.9, arguments={"train_steps": 5}, origin=origin)
    model = artifacts.Model(run.folder / "trainer" / "model")
    (model.serving / "variables").mkdir(parents=True)
    artifacts.SavedModel(model.serving).path.write_bytes(b"graph")
    (model.serving / "variables" / "variables.index").write_bytes(b"numbers")
    run.tasks[2].outputs["model"] = Output(uri=str(model.root), metadata={})
    (run.folder / page.FILE).write_text("<p>the report</p>")
    run.write()

    mlflow_runs.log(run)

    found = logged(server, "of the team", "small-2026-01-01")
    assert found.info.run_id in capsys.readouterr().err
    assert (found.info.status, found.info.end_time - found.info.start_time) == ("FINISHED", 61500)
    assert len(found.data.params) == 154
    assert found.data.params["training.epochs"] == "3"
    assert found.data.params["training.optimizer"] == "ä" * 6000
    assert found.data.params["slices"] == '["a", "b"]'
    assert found.data.params["parameters.train_steps"] == "5"
    metrics = {"auc": 0.9, "example_count": 400, "eval/auc": 0.9, "rows": 1001, "seconds": 61.5}
    assert {name: found.data.metrics[name] for name in metrics} == metrics
    assert "loss" not in found.data.metrics, "it was not defined"
    history = server.get_metric_history(found.info.run_id, "trainer/val_loss")
    assert [(one.step, round(one.value, 3)) for one in history] == [(1, 0.8), (2, 0.6)]
    assert found.data.tags["mlflow.source.git.commit"] == "0123abc"
    assert found.data.tags["penstock.git.edited"] == "true"
    assert found.data.tags["penstock.main_metric"] == "auc"
    assert found.data.tags["penstock.cache"] == "0 of 4 cacheable tasks came from the cache"

    files = Path(server.download_artifacts(found.info.run_id, "", str(tmp_path)))
    assert (files / page.FILE).read_text() == "<p>the report</p>"
    assert "epochs: 3" in (files / "configuration.yaml").read_text()
    from mlflow.models import Model

    described = Model.load(str(files / "model" / "MLmodel"))
    saved = files / "model" / described.flavors["tensorflow"]["saved_model_dir"]
    assert artifacts.SavedModel(saved).path.read_bytes() == b"graph"
    assert (saved / "variables" / "variables.index").read_bytes() == b"numbers"


def test_a_run_from_the_cache_says_so_and_a_failed_one_too(
    server: "MlflowClient", address: str, run: Callable[..., local.RunSummary], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third task is never cached."""
    password = "mysql://reader:geheim1234@db/flights"
    monkeypatch.delenv(mlflow_runs.VARIABLE)
    run(count=6)
    monkeypatch.setenv(mlflow_runs.VARIABLE, address)
    names = [one.run_folder.name for one in (run(count=6), run(count=6, mode=password))]
    cached, failed = [logged(server, "small", name) for name in names]
    assert failed.data.tags["penstock.cache"] == "1 of 2 cacheable tasks came from the cache"
    assert cached.data.tags["penstock.cache"] == "all 2 cacheable tasks came from the cache"
    assert (cached.info.status, failed.info.status) == ("FINISHED", "FAILED")
    assert failed.data.params["parameters.mode"] == "mysql://reader:***@db/flights"


def test_a_server_that_is_away_or_silent_costs_a_warning(
    run: Callable[..., local.RunSummary], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        places = {
            f"http://ops:geheim1234@127.0.0.1:{ports.reserve()}": "Connection refused",
            f"http://127.0.0.1:{silent.getsockname()[1]}": "imed out",
        }
        for place, why in places.items():
            monkeypatch.setenv(mlflow_runs.VARIABLE, place)
            summary = run(count=3)
            assert (summary.status, summary.exit_code) == ("done", 0)
            told = capsys.readouterr().err
            assert "warning: the run is not in MLflow, or not all of it: " in told
            assert why in told
            assert "geheim1234" not in told


def test_without_the_library_one_sentence_names_the_extra(
    recorded: Callable[..., RunRecord], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(mlflow_runs.VARIABLE, "http://127.0.0.1:1")
    hidden: dict[str, Any] = {"mlflow": None}
    monkeypatch.setattr("importlib.util.find_spec", hidden.get)
    mlflow_runs.log(recorded(1))
    said = "warning: MLFLOW_TRACKING_URI is set, but its library is not installed: pip install 'penstock[mlflow]'\n"
    assert capsys.readouterr().err == said
