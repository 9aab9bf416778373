"""Ejecting: which run decides, what is told, and what is refused."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from penstock.core.errors import ConfigError, UserError
from penstock.pipelines.cli.eject import eject
from penstock.pipelines.config.training_pipeline import Config
from penstock.pipelines.local.records.cache import Key
from penstock.pipelines.local.records.record import Output, RunRecord, TaskRecord
from tests.trainer import tables

Load = Callable[..., Config]
TEXT = "name: small\ndata:\n  path: data.csv\nlabel: label\n"
KEYS = (
    "training: {epochs: 3, train_splits: [train]}\nfeatures: {a: {kind: categorical}}\nevaluation: {metrics: [auc]}\n"
)


@pytest.fixture
def run(project: Path) -> Callable[..., Path]:
    """Returns a function that leaves a run with a schema and statistics of columns; returns its folder."""

    def write(name: str, columns: dict[str, Any], tasks: tuple[str, ...] = ("statistics", "schema")) -> Path:
        folder = project / "runs" / "small" / f"small-{name}"
        tables.write(folder / "made", pd.DataFrame(columns))
        outputs = {task: Output(uri=str(folder / "made" / task), metadata={}) for task in tasks}
        keys = {task: Key(f"{task}_gen", "", "", {}, {}) for task in tasks}
        records = [TaskRecord(f"{task}-gen", "done", key=keys[task], outputs={task: outputs[task]}) for task in tasks]
        RunRecord("small", folder, {}, "done", tasks=records).write()
        return folder

    return write


def columns(**more: Any) -> dict[str, Any]:
    return {"a": [row % 5 for row in range(60)], "label": [row % 2 for row in range(60)], **more}


def test_the_newest_run_decides(load: Load, run: Callable[..., Path], project: Path) -> None:
    older = run("1", columns(older=[row / 7 for row in range(60)]))
    run("2", columns(newer=[row / 7 for row in range(60)]))
    run("3", columns(), tasks=("statistics",))
    config, output = load(text=TEXT + KEYS), project / "ejected.py"
    told = eject(config, output)
    assert 'Numeric(name="newer", ' in output.read_text()
    assert re.search(r'Categorical\(\s*name="a"', output.read_text())
    assert 'TRAINING: dict[str, Any] = {"epochs": 3}' in output.read_text()
    assert f"module_file: {output}" in told
    assert "evaluation.label_key: label_xf" in told
    assert "and without training.epochs, features: the module holds them." in told
    eject(config, output, run=older.name, force=True)
    assert 'Numeric(name="older", ' in output.read_text()
    eject(config, output, run=str(older), force=True)


def test_mistakes(load: Load, run: Callable[..., Path], project: Path) -> None:
    config, output = load(text=TEXT), project / "ejected.py"
    with pytest.raises(UserError, match=r"no run of small in .* has a schema and statistics: `penstock run` makes one"):
        eject(config, output)
    run("1", columns(), tasks=("schema",))
    with pytest.raises(UserError, match="small-1 has no schema and statistics: expected a run that made both"):
        eject(config, output, run="small-1")
    with pytest.raises(UserError, match="small-2: no such run; did you mean 'small-1'"):
        eject(config, output, run="small-2")
    with pytest.raises(UserError, match=r"module.py exists already: expected a new name, or --force to overwrite it"):
        eject(config, project / "module.py")
    with pytest.raises(UserError, match=r"expected the name of a Python file, such as small.py"):
        eject(config, project / "module")
    with pytest.raises(ConfigError, match=r"eject: expected a model without code; it is made by .*module.py"):
        eject(load(), output)
    with pytest.raises(ConfigError, match="there is none: expected a label to predict"):
        eject(load(text=TEXT + "training: null\n"), output)
    assert not output.exists()
