"""What containers are given of this machine, read from configurations."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.core.errors import ConfigError
from penstock.core.files import atomic
from penstock.pipelines.config.training_pipeline import Config
from penstock.pipelines.local.docker import mounts
from penstock.pipelines.local.docker.mounts import PACKAGES, Mount
from tests.conftest import package_folder

Load = Callable[..., Config]


def test_data_to_read_and_the_push_directory_to_write(load: Load, project: Path) -> None:
    found = mounts.needed(load())
    assert found == [
        Mount(str(project), str(project)),  # data.csv is in it, and a file's folder is what patterns are relative to
        Mount(str(project / "serving"), str(project / "serving"), writable=True),
    ]
    assert (project / "serving").is_dir(), "Docker mounts no folder that is not there"


def test_what_else_is_read(load: Load, project: Path, tmp_path: Path) -> None:
    for name in ("previous", "serving-statistics", "cache", "model"):
        (tmp_path / name).mkdir()
    keys = {
        "validation.previous_statistics": "previous",
        "validation.serving_statistics": "serving-statistics",
        "transform.analyzer_cache": "cache",
        "training.base_model": "model",
    }
    found = mounts.needed(load([f"{key}={tmp_path / name}" for key, name in keys.items()]))
    assert {Mount(str(tmp_path / name), str(tmp_path / name)) for name in keys.values()} <= set(found)


def test_what_is_in_the_pipeline_root_is_there_already(load: Load, project: Path) -> None:
    assignments = [f"pipeline_root={project}", "push.directory=serving"]
    assert mounts.needed(load(assignments)) == []


def test_a_pipeline_root_behind_a_link_is_at_both_its_paths(load: Load, project: Path, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    found = mounts.needed(load([f"pipeline_root={tmp_path}/link/runs"]))
    assert found[0] == Mount(f"{tmp_path}/real/runs", f"{tmp_path}/link/runs", writable=True)


def test_packages(load: Load, values: dict[str, Any]) -> None:
    """Data inside a package is the image's; the package of a module_path is put where Python finds it."""
    values["data"] = {"path": "package:tfx/examples/chicago_taxi_pipeline/data/simple"}
    del values["module_file"]
    values["module_path"] = "tfx.examples.chicago_taxi_pipeline.taxi_utils"
    serving, *packages = mounts.needed(load())
    assert serving.writable
    assert packages == [Mount(str(package_folder("tfx")), f"{PACKAGES}/tfx")]


@pytest.mark.parametrize("key", ["data.path", "push.directory"])
def test_object_stores_cannot_be_reached(load: Load, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(atomic._MOUNTS, "gs", tmp_path / "nowhere")  # a machine may have /gcs
    with pytest.raises(ConfigError, match=f"{key}: expected a local path, since containers have no network"):
        mounts.needed(load([f"{key}=gs://bucket/folder"]))
