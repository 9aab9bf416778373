"""The Evaluator on models made without code: what it says is what NumPy says of the served predictions."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from penstock.components.evaluator import executor
from penstock.core import artifacts
from penstock.core.metrics import lower_is_better
from penstock.core.models import predict
from penstock.pipelines.config.evaluation import Evaluation
from tests.trainer.tables import ENGINE, Table
from tests.trainer.test_default import train

Tables = Callable[..., Any]
ROWS, EVAL = 400, 100
X = np.random.default_rng(0).normal(size=ROWS)


def evaluated(table: Table, label: str, **metrics: float) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Trains and evaluates; returns the metrics that are asked for with a threshold, and the predictions."""
    model = train(table, label)
    bounds = {name: {"max" if lower_is_better(name) else "min": bound} for name, bound in metrics.items()}
    settings = Evaluation.model_validate({"thresholds": bounds})
    folders = {name: table.root / name for name in ("evaluation", "blessing", "validation", "report")}
    for folder in folders.values():
        folder.mkdir()
    executor.run(
        **{name: str(folder) for name, folder in folders.items()},
        examples=str(table.root / "examples"),
        schema=str(table.root / "schema"),
        model=str(model),
        eval_config=settings.text(label, f"{label}_xf"),
        engine=ENGINE,
    )
    summary = artifacts.ModelEvaluation(folders["evaluation"]).read_summary()
    assert summary["label"] == label
    assert {("candidate", "eval"), ("candidate", "train"), ("trivial", "eval")} <= {
        (numbers["model"], numbers["split"]) for numbers in summary["numbers"]
    }
    assert [(each["column"], min(each["worse_by"]) > 0) for each in summary["importance"]] == [("x", True)]
    assert "plot" in summary["slices"][0]
    reasons = json.loads((folders["validation"] / "validation.json").read_text())["reasons"]
    return {reason["metric"]: reason["value"] for reason in reasons}, predict.predict(model, table.examples("eval"))


@pytest.mark.slow
@pytest.mark.parametrize("classes", [["no", "yes"], [1, 2]])
def test_binary(table: Tables, classes: list[Any]) -> None:
    label = [classes[int(x > 0.3)] for x in X]
    found, served = evaluated(table({"x": X, "label": label}, eval_rows=EVAL), "label", binary_accuracy=0, auc=0)
    right = (served["probabilities"][:, 0] > 0.5) == (X[-EVAL:] > 0.3)
    assert found["binary_accuracy"] == pytest.approx(right.mean())
    assert found["auc"] > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("classes", [["a", "b", "c"], [3, 4, 5]])
def test_multiclass(table: Tables, classes: list[Any]) -> None:
    index = np.digitize(X, [-0.4, 0.4])
    label = [classes[i] for i in index]
    found, served = evaluated(table({"x": X, "label": label}, eval_rows=EVAL), "label", sparse_categorical_accuracy=0)
    right = served["scores"].argmax(axis=1) == index[-EVAL:]
    assert found["sparse_categorical_accuracy"] == pytest.approx(right.mean())
    assert [value.decode() for value in served["classes"][0]] == [str(value) for value in classes]


@pytest.mark.slow
def test_regression(table: Tables) -> None:
    label = 3 * X + 100.5
    found, served = evaluated(table({"x": X, "label": label}, eval_rows=EVAL), "label", mean_squared_error=1e6)
    error = (served["predictions"][:, 0] - label[-EVAL:].astype(np.float32)) ** 2
    assert found["mean_squared_error"] == pytest.approx(error.mean(), rel=1e-4)
    assert error.mean() < label.var()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("classes", "bounds", "metric", "output"),
    [
        (["no", "yes"], [0.3], "binary_accuracy", "probabilities"),
        (["a", "b", "c"], [-0.4, 0.4], "sparse_categorical_accuracy", "scores"),
    ],
)
def test_rows_without_a_label(
    table: Tables,
    classes: list[str],
    bounds: list[float],
    metric: str,
    output: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    index = np.digitize(X, bounds)
    label = [None if row % 10 == 0 else classes[i] for row, i in enumerate(index)]
    found, served = evaluated(table({"x": X, "label": label}, eval_rows=EVAL), "label", **{metric: 0})
    scores = served[output]
    told = scores.argmax(axis=1) if output == "scores" else scores[:, 0] > 0.5
    assert found[metric] == pytest.approx((told == index[-EVAL:])[np.arange(EVAL) % 10 != 0].mean())
    assert "10 examples have no label that the model knows, or no weight: they are left out" in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize("lacking", ["training", "eval"])
def test_a_class_that_a_split_lacks(table: Tables, lacking: str, caplog: pytest.LogCaptureFixture) -> None:
    index = np.digitize(X, [-0.4, 0.4])
    label = np.array(["a", "b", "c"])[index]
    label[-1 if lacking == "training" else 0] = "rare"
    found, served = evaluated(
        table({"x": X, "label": label}, eval_rows=EVAL),
        "label",
        sparse_categorical_accuracy=0,
        sparse_categorical_crossentropy=0,
    )
    known = slice(-EVAL, -1) if lacking == "training" else slice(-EVAL, None)
    told = served["scores"].argmax(axis=1)[: -1 if lacking == "training" else None]
    assert found["sparse_categorical_accuracy"] == pytest.approx((told == index[known]).mean())
    assert np.isfinite(found["sparse_categorical_crossentropy"])
    assert ("1 examples have no label that the model knows" in caplog.text) == (lacking == "training")
