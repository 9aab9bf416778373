"""No task of a local run imports what is slow to import: its worker has done so before the task begins."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from kfp import compiler, dsl

from penstock.components.wrapper import component
from penstock.pipelines import local
from penstock.pipelines.cli import main

SLOW = {
    "apache_beam",
    "keras",
    "keras_tuner",
    "tensorflow",
    "tensorflow_data_validation",
    "tensorflow_model_analysis",
    "tensorflow_transform",
    "tfx",
}
# Python runs this at its start, in workers and in whatever a task starts. Who has the variable is a task's process.
RECORDER = """
import os, pathlib, sys

class Recorder:
    def find_spec(self, name, path=None, target=None):
        progress = os.environ.get("PENSTOCK_PROGRESS")
        if progress and name in {slow!r}:
            with open({log!r}, "a") as file:
                file.write(f"{{pathlib.Path(progress).parent.name}} {{name}}\\n")

sys.meta_path.insert(0, Recorder())
"""


@pytest.fixture
def late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], set[str]]:
    """Returns a function that returns which tasks have imported what, as `task module`."""
    log, folder = tmp_path / "imports.log", tmp_path / "recorder"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(RECORDER.format(slow=SLOW, log=str(log)))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")])))
    return lambda: set(log.read_text().splitlines()) if log.exists() else set()


@pytest.mark.slow
def test_every_component_finds_its_imports_done(
    late: Callable[[], set[str]], penguins_csv: Path, tmp_path: Path
) -> None:
    """So do the worker processes of the Tuner, one for each core."""
    config: dict[str, Any] = {
        "name": "penguins",
        "data": {"path": str(penguins_csv), "csv": {"null_values": ["NA"]}},
        "label": "species",
        "pipeline_root": str(tmp_path / "runs"),
        "training": {"epochs": 1},
        "tuning": {"parameters": {"learning_rate": {"min": 1e-4, "max": 1e-1}}, "trials": 2},
        "evaluation": {"thresholds": {"sparse_categorical_accuracy": {"min": 0.01}}},
        "push": {"directory": str(tmp_path / "serving")},
    }
    path = tmp_path / "pipeline.yaml"
    path.write_text(yaml.safe_dump(config))
    assert main.main(["run", str(path)]) == 0
    (record,) = (tmp_path / "runs").glob("penguins-*/run.json")
    statuses = {task["name"]: task["status"] for task in json.loads(record.read_text())["tasks"]}
    assert {"statistics-gen", "schema-gen", "transform", "tuner", "trainer", "evaluator", "pusher"} <= set(statuses)
    assert set(statuses.values()) == {"done"}
    assert late() == set()


@component(imports=[])
def wrongly_declared() -> None:
    import importlib

    importlib.import_module("tfx")


@dsl.component(base_image="python", install_kfp_package=False)
def ones_own() -> None:
    import tfx

    print(tfx.__name__)


@dsl.pipeline(name="by-hand")
def by_hand() -> None:
    ones_own()
    wrongly_declared()


def test_ones_own_component_finds_what_its_body_imports(late: Callable[[], set[str]], tmp_path: Path) -> None:
    spec = tmp_path / "by_hand.yaml"
    compiler.Compiler().compile(by_hand, str(spec))
    summary = local.run(spec, name="by-hand", pipeline_root=tmp_path / "runs", arguments={}, sources={})
    assert [task.status for task in summary.tasks] == ["done", "done"]
    assert late() == {"wrongly-declared tfx"}
