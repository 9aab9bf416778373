"""Of the blessed models the one that serves."""

import json
import shutil
from pathlib import Path

import pytest

from penstock.components.latest_blessed_model import executor
from penstock.components.pusher import destinations
from penstock.core.artifacts import Model
from penstock.core.services import retries
from tests.components.latest_blessed_model.test_latest_blessed_model import Run, candidate, root, run

__all__ = ["candidate", "root", "run"]


def test_the_one_that_serves_goes_before_newer_ones(run: Run, candidate: Path, root: Path, tmp_path: Path) -> None:
    serving = tmp_path / "serving"
    destination = json.dumps({"filesystem": {"base_directory": str(serving)}})

    def search() -> str | None:
        arguments = {"candidate": str(candidate), "pipeline_root": str(root), "model": str(root / "found")}
        return executor.run(**arguments, push_destination=destination).uri

    first, second = run("taxi-1", 1), run("taxi-2", 3)
    (folder,) = destinations.read(destination)
    assert search() == str(second)  # nothing serves yet
    for model in (first, second):
        destinations.push(folder, Model(model).serving)
    assert search() == str(second)
    destinations.rollback(folder)
    assert search() == str(first)
    shutil.rmtree(first)
    assert search() == str(second)
    destinations.push(folder, Model(candidate).serving)  # which is no baseline of itself
    assert search() == str(second)


def test_a_destination_that_cannot_be_asked_costs_nothing(
    run: Run, candidate: Path, root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(retries, "PAUSE", 0.01)
    model = run("taxi-1", 1)
    place = {"project": "p", "api_endpoint": "http://127.0.0.1:9", "storage": "gs://models", "endpoint": "taxi"} | {
        "image": "europe-docker.pkg.dev/p/serving:1"
    }
    result = executor.run(
        candidate=str(candidate),
        pipeline_root=str(root),
        model=str(root / "found"),
        push_destination=json.dumps({"vertex_ai": place}),
    )
    assert result.uri == str(model)
    assert "cannot be asked which model serves" in caplog.text
