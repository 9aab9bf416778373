"""Penguins as ExampleGen and Transform hand them to the Tuner, for TFX's penguin module."""

import importlib.util
import json
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from penstock.components.example_gen import executor as example_gen
from penstock.components.example_gen.inputs import spans
from penstock.components.schema_gen import executor as schema_gen
from penstock.components.statistics_gen import executor as statistics_gen
from penstock.components.transform import executor as transform
from tests.trainer.tables import Table, write

# One process: TensorFlow, which runs in this one, does not survive a fork.
ENGINE = "local:1"
_TRANSFORM_OUTPUTS = [
    "transform_graph",
    "transformed_examples",
    "updated_analyzer_cache",
    "pre_transform_schema",
    "pre_transform_stats",
    "post_transform_schema",
    "post_transform_stats",
    "post_transform_anomalies",
]


@pytest.fixture(scope="session")
def penguin_module() -> Path:
    spec = importlib.util.find_spec("tfx")
    assert spec is not None
    return Path(str(spec.origin)).parent / "examples" / "penguin" / "penguin_utils_keras.py"


@pytest.fixture(scope="session")
def penguins(penguins_csv: Path, penguin_module: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The Tuner's inputs, folders. Columns and values are those that the module expects."""
    root = tmp_path_factory.mktemp("penguins")
    table = pd.read_csv(penguins_csv).dropna()
    names = {"bill_length_mm": "culmen_length_mm", "bill_depth_mm": "culmen_depth_mm"}
    numbers = table.rename(columns=names)[[*names.values(), "flipper_length_mm", "body_mass_g"]]
    numbers = (numbers - numbers.min()) / (numbers.max() - numbers.min())
    (root / "data").mkdir()
    numbers.assign(species=table["species"].astype("category").cat.codes).to_csv(root / "data" / "p.csv", index=False)
    folders = {name: str(root / name) for name in ("examples", "statistics", "schema", *_TRANSFORM_OUTPUTS)}
    for folder in folders.values():
        os.makedirs(folder)
    resolved = spans.resolve(input_base=str(root / "data"))._asdict()
    example_gen.run(examples=folders["examples"], input_base=str(root / "data"), **resolved, engine=ENGINE)
    statistics_gen.run(statistics=folders["statistics"], examples=folders["examples"], engine=ENGINE)
    schema_gen.run(schema=folders["schema"], statistics=folders["statistics"])
    outputs = {name: folders[name] for name in _TRANSFORM_OUTPUTS}
    transform.run(
        **outputs,
        examples=folders["examples"],
        schema=folders["schema"],
        module_file=str(penguin_module),
        engine=ENGINE,
    )
    names = {"examples": "transformed_examples", "transform_graph": "transform_graph", "schema": "schema"}
    return {name: folders[folder] for name, folder in names.items()}


@pytest.fixture
def outputs(tmp_path: Path) -> dict[str, str]:
    """The Tuner's outputs, folders and a file."""
    folders = {name: tmp_path / "outputs" / name for name in ("best_hyperparameters", "tuner_results")}
    for folder in folders.values():
        folder.mkdir(parents=True)
    return {**{name: str(folder) for name, folder in folders.items()}, "report": str(tmp_path / "outputs" / "report")}


@pytest.fixture
def module(tmp_path: Path) -> Callable[[str], str]:
    """Returns a function that writes a module file, under a name that no other test has imported."""

    def write(source: str) -> str:
        path = tmp_path / f"module_{uuid.uuid4().hex}.py"
        path.write_text(source)
        return str(path)

    return write


@pytest.fixture(scope="session")
def table(penguins_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Table:
    """Penguins for the search without code."""
    frame = pd.read_csv(penguins_csv).dropna().sample(frac=1, random_state=0)
    return write(tmp_path_factory.mktemp("tuned"), frame, eval_rows=100).transform({"label": "species"})


@pytest.fixture
def arguments(table: Table, outputs: dict[str, str]) -> Callable[..., dict[str, Any]]:
    """Returns a function that returns the Tuner's arguments for a search of the default model."""

    def arguments(**tuning: Any) -> dict[str, Any]:
        training = {"epochs": 3, "members": 2, "width": 16, "batch_size": 32, **tuning.pop("training", {})}
        rates = {"learning_rate": {"min": 1e-4, "max": 1e-1, "scale": "log"}}
        given = {"parameters": rates, "trials": 3, **tuning}
        return {
            **{name: str(table.root / name) for name in ("transform_graph", "schema", "statistics")},
            **outputs,
            "examples": str(table.root / "transformed_examples"),
            "custom_config": json.dumps({"label": "species", "training": training, "tuning": given}),
        }

    return arguments
