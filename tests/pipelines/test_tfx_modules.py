"""TFX's own modules, as they are in the installed package: each runs as it is, with the Keras that it means."""

import csv
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.slow

# What `tfx template copy` does, but for the data, which it would download.
COPY = """
import sys
from tfx.tools.cli import labels
from tfx.tools.cli.handler import template_handler
template_handler._ADDITIONAL_FILE_PATHS.clear()
flags = {labels.MODEL: sys.argv[1], labels.PIPELINE_NAME: "own", labels.DESTINATION_PATH: sys.argv[2]}
template_handler.copy_template(flags)
"""
PENGUINS = {
    "label": "species",
    "data": {"path": "data.csv"},
    "training": {"train_steps": 10, "eval_steps": 2},
    "evaluation": {
        "label_key": "species_xf",
        "metrics": ["SparseCategoricalAccuracy"],
        "thresholds": {"sparse_categorical_accuracy": {"min": 0.01}},
    },
}
TAXI = {
    "label": "tips",
    "module_file": "package:tfx/examples/chicago_taxi_pipeline/taxi_utils_native_keras.py",
    "training": {"train_steps": 3, "eval_steps": 1},
    "evaluation": {"label_key": "tips_xf", "metrics": ["auc"], "thresholds": {"auc": {"min": 0.01}}},
}


@pytest.fixture
def run(python: str, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `penstock run` with a configuration in the test's folder."""

    def run(values: dict[str, Any], *arguments: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "pipeline.yaml").write_text(yaml.safe_dump({"name": "own", **values}))
        command = [python, "-m", "penstock.pipelines.cli.main", "run", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)

    return run


@pytest.fixture
def penguins(tmp_path: Path, penguins_csv: Path) -> None:
    """The penguins with the columns of TFX's penguins_processed.csv."""
    with penguins_csv.open() as file:
        rows = [row for row in csv.DictReader(file) if row["bill_length_mm"] not in ("", "NA")]
    species = sorted({row["species"] for row in rows})
    with (tmp_path / "data.csv").open("w") as file:
        print("species,culmen_length_mm,culmen_depth_mm,flipper_length_mm,body_mass_g", file=file)
        for row in rows:
            numbers = (row[f"bill_{of}_mm"] for of in ("length", "depth"))
            print(
                species.index(row["species"]),
                *numbers,
                row["flipper_length_mm"],
                row["body_mass_g"],
                sep=",",
                file=file,
            )


def newest(folder: Path) -> tuple[Path, dict[str, str]]:
    """Returns the newest run's folder and the status of each task."""
    record = max(folder.glob("runs/own/own-*/run.json"))
    return record.parent, {task["name"]: task["status"] for task in json.loads(record.read_text())["tasks"]}


@pytest.mark.usefixtures("penguins")
def test_the_penguin_template_runs_with_keras_2(
    python: str, run: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """Two modules in a package beside the configuration, named by TFX's dotted paths; run_fn ends in save_format."""
    subprocess.run([python, "-c", COPY, "penguin", str(tmp_path)], check=True, capture_output=True)
    values: dict[str, Any] = {**PENGUINS, "transform": {"preprocessing_fn": "models.preprocessing.preprocessing_fn"}}
    values["training"] = {**PENGUINS["training"], "run_fn": "models.model.run_fn"}  # type: ignore[dict-item]
    done = run(values)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("keras: 2, for model.py:231 uses save(save_format=…), which Keras 3 does not have")
    assert "model: BLESSED" in done.stdout
    folder, _ = newest(tmp_path)
    assert (folder / "trainer" / "model" / "Format-Serving" / "keras_metadata.pb").is_file(), "as Keras 2 saves"
    assert "tf.keras is Keras 2" in (folder / "trainer" / "log.txt").read_text()
    done = run(values, "--set", "keras=3")
    assert done.returncode == 2
    assert "keras: model.py:231 uses save(save_format=…), which Keras 3 does not have" in done.stderr
    assert (
        "trainer failed: run_fn raised ValueError: The `save_format` argument is deprecated in Keras 3" in done.stderr
    )
    assert "`keras: 2` in the configuration makes it Keras 2" in done.stderr
    _, tasks = newest(tmp_path)
    assert (tasks["schema-gen"], tasks["transform"], tasks["trainer"]) == ("cached", "done", "failed")


@pytest.mark.usefixtures("penguins")
def test_the_penguin_example_runs_with_keras_3(
    run: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    done = run({**PENGUINS, "module_file": "package:tfx/examples/penguin/penguin_utils_keras.py"})
    assert done.returncode == 0, done.stderr
    assert "keras:" not in done.stderr
    assert "model: BLESSED" in done.stdout


def test_the_native_keras_taxi_example_runs(
    run: Callable[..., subprocess.CompletedProcess[str]], taxi_head: Callable[[int], Path]
) -> None:
    done = run({**TAXI, "data": {"path": str(taxi_head(300))}})
    assert done.returncode == 0, done.stderr
    assert "model: BLESSED" in done.stdout
