"""Small projects: a configuration, data and a module, written anew for each test; and the servers they are sent to."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from penstock.core import artifacts
from penstock.core.artifacts.evaluation_summary import EvaluationSummary, Measure
from penstock.core.services import kubeflow as client
from penstock.core.services import retries
from penstock.pipelines.cli import main
from penstock.pipelines.config import training_pipeline as configs
from penstock.pipelines.config.training_pipeline import Config
from penstock.pipelines.local.records.cache import Key
from penstock.pipelines.local.records.record import Output, RunRecord, TaskRecord
from tests.servers.kubeflow_pipelines import KubeflowPipelines

MODULE = "def preprocessing_fn(inputs):\n    return inputs\n\n\ndef run_fn(fn_args):\n    pass\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with `data.csv` and `module.py`."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "data.csv").write_text("a,label\n1,0\n2,1\n")
    (folder / "module.py").write_text(MODULE)
    return folder


@pytest.fixture
def values(tmp_path: Path) -> dict[str, Any]:
    """A configuration with every component in it, whose paths a cluster would have as well."""
    return {
        "name": "small",
        "data": {"path": "data.csv"},
        "label": "label",
        "module_file": "module.py",
        "training": {"train_steps": 10, "eval_steps": 2},
        "evaluation": {"metrics": ["auc"], "thresholds": {"auc": {"min": 0.5}}},
        "push": {"directory": "serving"},
        "image": "registry.example.com/penstock-python:1",
        "kubeflow": {"shared_folders": [str(tmp_path)]},
    }


@pytest.fixture
def load(project: Path, values: dict[str, Any]) -> Callable[..., Config]:
    """Returns a function that writes the configuration and reads it, with overrides."""

    def load(assignments: Sequence[str] = (), text: str | None = None) -> Config:
        path = project / "pipeline.yaml"
        path.write_text(yaml.safe_dump(values, sort_keys=False) if text is None else text)
        return configs.load(path, assignments)

    return load


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[KubeflowPipelines]:
    """A Kubeflow Pipelines server; what is tried again there is tried at once.

    A cluster that the developer has is not asked.
    """
    monkeypatch.setattr(retries, "PAUSE", 0.01)
    monkeypatch.setenv("KUBECONFIG", "/nowhere/kubeconfig")
    monkeypatch.delenv(client.HOST_VARIABLE, raising=False)
    with KubeflowPipelines() as running:
        yield running


@pytest.fixture
def config(project: Path, values: dict[str, Any]) -> Path:
    path = project / "pipeline.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return path


@pytest.fixture
def compiled(config: Path) -> Path:
    path = config.parent / "compiled.yaml"
    assert main.main(["compile", str(config), "--target", "kubeflow", "-o", str(path)]) == 0
    return path


@pytest.fixture
def submit(compiled: Path, server: KubeflowPipelines) -> Callable[..., int]:
    """Returns a function that submits the compiled pipeline with more arguments."""

    def submit(*arguments: str) -> int:
        return main.main(["submit", str(compiled), "--host", server.url, *arguments])

    return submit


@pytest.fixture
def recorded(project: Path) -> Callable[..., RunRecord]:
    """Returns a function that writes a run of the pipeline `small`: its record, and what it learnt and evaluated."""

    def write(
        number: int,
        auc: float | None = 0.9,
        arguments: dict[str, Any] | None = None,
        losses: Sequence[float] = (0.7, 0.5),
        columns: Sequence[str] = ("a", "label"),
        **facts: Any,
    ) -> RunRecord:
        folder = project / "runs" / "small" / f"small-2026-01-0{number}"
        run = RunRecord("small", folder, arguments or {}, "done", started=1767225600.0 + number, seconds=61.5, **facts)
        outputs = {
            "csv_example_gen": ["examples"],
            "schema_gen": ["schema"],
            "trainer": ["model_run"],
            "evaluator": ["evaluation"],
        }
        for function, names in outputs.items():
            task = function.replace("_", "-")
            for name in names:
                (folder / task / name).mkdir(parents=True)
            made = {name: Output(uri=str(folder / task / name), metadata={}) for name in names}
            key = Key(function, "", "", {}, {})
            run.tasks.append(TaskRecord(task, "done", "first run of this task", key, seconds=1.5, outputs=made))
        run.tasks[0].counts = {"rows": 1000 + number}
        features = "".join(f'feature {{ name: "{column}" type: INT }}\n' for column in columns)
        artifacts.Schema(folder / "schema-gen" / "schema").path.write_text(features)
        epochs = [
            {"epoch": epoch, "loss": loss, "val_loss": loss + 0.1, **_MACHINE} for epoch, loss in enumerate(losses, 1)
        ]
        history = {"best_epoch": len(epochs), "epochs": epochs}
        artifacts.ModelRun(folder / "trainer" / "model_run").history.write_text(json.dumps(history))
        artifacts.ModelEvaluation(folder / "evaluator" / "evaluation").write_summary(_summary(auc))
        run.write()
        return run

    return write


_MACHINE = {"batch_size": 32, "examples_per_second": 1000, "seconds": 0.5, "utilisation": {}}


def _summary(auc: float | None) -> EvaluationSummary:
    metrics: dict[str, Measure] = {
        "example_count": {"value": 400.0},
        "loss": {"value": None},
        "auc": {"value": auc},
    }
    return EvaluationSummary(
        problem="binary",
        label="label",
        classes=["0", "1"],
        main_metric="auc",
        lower_is_better=["loss"],
        splits=["eval"],
        numbers=[{"model": "candidate", "split": "eval", "examples": 400, "metrics": metrics}],
        slices=[{"features": [], "examples": 400, "metrics": metrics, "baseline": {}}],
        importance=[],
        effects=[],
        sampled_rows=0,
    )
