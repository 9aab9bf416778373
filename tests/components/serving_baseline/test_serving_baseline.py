"""Of the baselines that earlier runs have made, the one of the model that serves."""

import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from penstock.components.pusher import destinations
from penstock.components.serving_baseline import executor
from penstock.core.artifacts import Model
from penstock.core.artifacts.monitoring import MonitoringBaseline
from penstock.core.errors import ConfigError, DataError
from tests.components.latest_blessed_model.test_latest_blessed_model import save
from tests.servers.object_stores import ObjectStore

type Run = Callable[[str, int], Path]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture
def run(root: Path) -> Run:
    """Returns a function that leaves a run's folder with a model and its baseline, and returns the latter."""

    def leave(name: str, day: int) -> Path:
        model, baseline = root / name / "trainer" / "model", root / name / "model-monitor" / "baseline"
        save(model, name)
        baseline.mkdir(parents=True)
        record = {"model": str(model), "created": f"2026-11-{day:02d}T10:00:00+00:00"}
        MonitoringBaseline(baseline).path.write_text(json.dumps(record))
        return baseline

    return leave


def find(root: Path | str, current: Path, **arguments: str) -> executor.Found:
    return executor.run(current=str(current), pipeline_root=str(root), **arguments)


def test_the_model_that_serves_decides_and_not_the_newest(run: Run, root: Path, tmp_path: Path) -> None:
    serving = tmp_path / "serving"
    destination = json.dumps({"filesystem": {"base_directory": str(serving)}})
    first, second = run("taxi-1", 1), run("taxi-2", 3)
    (folder,) = destinations.read(destination)
    assert find(root, tmp_path / "x", push_destination=destination).uri == str(second)  # nothing serves yet
    for name in ("taxi-1", "taxi-2"):
        destinations.push(folder, Model(root / name / "trainer" / "model").serving)
    assert find(root, tmp_path / "x", push_destination=destination).uri == str(second)
    destinations.rollback(folder)
    found = find(root, tmp_path / "x", push_destination=destination)
    assert (found.uri, found.metadata["current"]["baseline"]) == (str(first), str(first))
    assert find(root, tmp_path / "x").uri == str(second)  # nothing is pushed: the newest
    assert find(root, tmp_path / "x", push_destination=destination, baseline=str(second)).uri == str(second)


def test_what_is_no_baseline_is_passed_over(
    run: Run, root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = run("taxi-1", 1)
    MonitoringBaseline(run("taxi-2", 3)).path.write_text('{"model": ""}')
    with caplog.at_level(logging.WARNING):
        assert find(root, tmp_path / "x").uri == str(first)
    assert "passed over" in caplog.text
    assert "taxi-2" in caplog.text


def test_without_a_baseline_it_says_what_to_do(root: Path, tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"expected a run with a baseline of ModelMonitor.* run the training pipeline first"
    ):
        find(root, tmp_path / "x")
    with pytest.raises(ConfigError, match="pipeline_root: expected an existing folder"):
        find(root / "none", tmp_path / "x")


def test_in_a_bucket_it_is_copied_and_says_whose_it_is(
    run: Run, root: Path, tmp_path: Path, object_store: ObjectStore
) -> None:
    first = run("taxi-1", 1)
    uri = object_store.uri("runs", "taxi")
    files = [path for path in root.rglob("*") if path.is_file()]
    object_store.write({path.relative_to(root).as_posix(): path.read_bytes() for path in files}, "runs", "taxi")
    current = tmp_path / "current"
    found = find(uri, current, current_uri=f"{uri}/monitoring/current")
    original = f"{uri}/taxi-1/model-monitor/baseline"
    assert (found.uri, found.metadata["current"]["baseline"]) == (None, original)
    assert MonitoringBaseline(current).path.read_bytes() == MonitoringBaseline(first).path.read_bytes()
    with pytest.raises(DataError, match=r"elsewhere: expected a baseline, with baseline\.json in it"):
        find(uri, current, current_uri=f"{uri}/monitoring/current", baseline=f"{uri}/elsewhere")
    with pytest.raises(DataError, match=r"nowhere: expected a baseline, with baseline\.json in it"):
        find(uri, current, current_uri=f"{uri}/monitoring/current", baseline=str(tmp_path / "nowhere"))
