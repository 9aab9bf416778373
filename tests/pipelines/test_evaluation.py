"""A module whose preprocessing_fn keeps the label's name is evaluated against what it makes of the label."""

import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from penstock.core.artifacts import ModelEvaluation, ModelValidation

pytestmark = pytest.mark.slow
MODULE = Path(__file__).with_name("same_label_module.py")
CONFIG = """
data: {path: data.csv}
label: churn
module_file: same_label_module.py
training: {train_steps: 20, eval_steps: 1}
"""
EVAL_CONFIG = (
    "{model_specs: [{label_key: churn}], metrics_specs: [{metrics: [{class_name: AUC, threshold: {value_threshold: "
    "{lower_bound: 0.7}}}]}]}"
)


@pytest.fixture
def run(python: str, tmp_path: Path) -> Callable[..., Path]:
    """Returns a function that runs the pipeline with overrides, and returns the run's folder."""
    draw = random.Random(4)
    rows = [(age, "Yes" if draw.gauss(age, 8) > 40 else "No") for age in (draw.randrange(18, 65) for _ in range(400))]
    (tmp_path / "data.csv").write_text("\n".join(["age,churn", *(f"{age},{churn}" for age, churn in rows), ""]))
    (tmp_path / "pipeline.yaml").write_text(CONFIG)
    shutil.copy(MODULE, tmp_path)

    def run(*assignments: str) -> Path:
        command = [python, "-m", "penstock.pipelines.cli.main", "run"]
        command += [word for assignment in assignments for word in ("--set", assignment)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stderr
        return max(tmp_path.glob("runs/*/*/run.json")).parent

    return run


def test_a_label_that_keeps_its_name_is_taken_transformed(run: Callable[..., Path]) -> None:
    folder = run() / "evaluator"
    summary = ModelEvaluation(folder / "evaluation").read_summary()
    measured = summary["slices"][0]["metrics"]["auc"]["value"]
    assert measured is not None
    assert measured > 0.7
    for assignment in (
        f"evaluation.eval_config={EVAL_CONFIG}",
        "evaluation.thresholds={auc: {better_than_trivial: 0.2}}",
    ):
        folder = run(assignment) / "evaluator"
        verdict = ModelValidation(folder / "validation").read()
        assert verdict["blessed"], verdict["reasons"]
        assert verdict["reasons"][0]["value"] == pytest.approx(measured, abs=1e-6)
