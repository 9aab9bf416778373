"""The ejected module does what the trainer without code does."""

import ast
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from penstock.components.trainer import executor
from penstock.core.models import predict
from penstock.trainer import eject
from penstock.trainer.plan import plan as features
from tests.trainer.tables import Table

Tables = Callable[..., Any]
TRAINING = {"epochs": 3, "members": 2, "width": 16, "seed": 5}
OVERRIDES = {"island": {"oov_buckets": 2, "embedding_dim": 3}, "when": {"kind": "date"}}


def data(table: Tables, penguins_csv: Path) -> Table:
    frame = pd.read_csv(penguins_csv).sample(frac=1, random_state=0)
    frame["number"] = [10**15 + row % 100 for row in range(len(frame))]
    frame["when"] = [f"{row % 28 + 1}.{row % 12 + 1}.20{row % 20:02}" for row in range(len(frame))]
    made: Table = table(frame, eval_rows=100)
    return made


def served(made: Table, **trainer: Any) -> dict[str, np.ndarray]:
    folders = {name: made.root / name for name in ("model", "model_run", "transform_graph", "schema", "statistics")}
    examples = str(made.root / "transformed_examples")
    executor.run(**{name: str(folder) for name, folder in folders.items()}, examples=examples, **trainer)
    return predict.predict(folders["model"], made.examples("eval"))


@pytest.mark.slow
def test_same_predictions_to_the_bit(table: Tables, penguins_csv: Path, tmp_path: Path) -> None:
    config = {"label": "species", "features": OVERRIDES, "training": TRAINING}
    first, second = data(table, penguins_csv), data(table, penguins_csv)
    without_code = served(
        first.transform(config), run_fn="penstock.trainer.default.run_fn", custom_config=json.dumps(config)
    )
    module = tmp_path / "ejected_penguins.py"
    plan = features.planned(config, first.schema, first.statistics)
    module.write_text(eject.source(plan, TRAINING, "for a test"))
    second.transform({}, preprocessing_fn="", module_file=str(module), statistics=None)
    ejected = served(second, module_file=str(module))
    assert set(ejected) == {"scores", "classes"}
    for name in ejected:
        assert np.array_equal(ejected[name], without_code[name]), name


def test_the_plan_is_spelled_out(table: Tables, penguins_csv: Path) -> None:
    made = data(table, penguins_csv)
    plan = features.planned({"label": "species", "features": OVERRIDES}, made.schema, made.statistics)
    text = eject.source(plan, {}, "for a test")
    (assigned,) = [
        node.value
        for node in ast.parse(text).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "PLAN"
    ]
    assert eval(ast.unparse(assigned), vars(features)) == dataclasses.replace(plan, notes={})
    assert max(map(len, text.splitlines())) <= 120
