"""Small projects: a configuration, data and a module, written anew for each test."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from penstock.pipelines import config as configs
from penstock.pipelines.config import Config

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
def values() -> dict[str, Any]:
    """A configuration with every component in it."""
    return {
        "name": "small",
        "data": {"path": "data.csv"},
        "label": "label",
        "module_file": "module.py",
        "training": {"train_steps": 10, "eval_steps": 2},
        "evaluation": {"metrics": ["auc"], "thresholds": {"auc": {"min": 0.5}}},
        "push": {"directory": "serving"},
    }


@pytest.fixture
def load(project: Path, values: dict[str, Any]) -> Callable[..., Config]:
    """Returns a function that writes the configuration and reads it, with overrides."""

    def load(assignments: Sequence[str] = (), text: str | None = None) -> Config:
        path = project / "pipeline.yaml"
        path.write_text(yaml.safe_dump(values, sort_keys=False) if text is None else text)
        return configs.load(path, assignments)

    return load
