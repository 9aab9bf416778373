"""Trains the model without code as a person does, for benchmarks/quality.py: CSV files, a label and `penstock run`."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from tables import Table

from penstock.core.artifacts import Examples
from penstock.core.examples import records
from penstock.core.models.predict import predict
from penstock.pipelines.local.records import record


@dataclass(frozen=True)
class Outcome:
    predictions: np.ndarray  # of the test rows: [rows, classes] probabilities, or [rows] values
    seconds: float  # of training
    cpu_seconds: float
    preparation_seconds: float = 0.0


def outcome(table: Table, frame: pd.DataFrame, splits: Mapping[str, np.ndarray]) -> Outcome:
    """Runs the pipeline on a table, its rows cut into `splits`, masks; its model predicts the rows of "test"."""
    with tempfile.TemporaryDirectory() as folder:
        run, cpu_seconds = _run(Path(folder), frame, table.label, splits)
        trainer = run.task("trainer")
        assert trainer is not None
        before = run.tasks[: run.tasks.index(trainer)]
        predictions, labels = _predicted(run.folder, table)
        # Rows come out in the order in which they went in.
        expected = frame[table.label][splits["test"]].to_numpy()
        if not (np.allclose(labels, expected) if expected.dtype != object else (labels == expected).all()):
            raise SystemExit("the examples of split test are not in the table's order")
        return Outcome(
            predictions,
            trainer.seconds or 0.0,
            cpu_seconds,
            sum(task.seconds or 0.0 for task in before),
        )


def _run(
    folder: Path, frame: pd.DataFrame, label: str, splits: Mapping[str, np.ndarray]
) -> tuple[record.RunRecord, float]:
    """Writes the data and its configuration, which names the files and the label alone, and runs the pipeline.

    Returns the run and the processor seconds of all its processes.
    """
    # Whole numbers that pandas has as floats, since some are missing, are whole numbers in a CSV file.
    written = frame.convert_dtypes(convert_string=False, convert_boolean=False)
    (folder / "data").mkdir()
    for name, rows in splits.items():
        written[rows].to_csv(folder / "data" / f"{name}.csv", index=False)
    data = {"path": "data", "splits": {name: f"{name}.csv" for name in splits}}
    configuration = folder / "table.yaml"
    configuration.write_text(json.dumps({"data": data, "label": label}))
    penstock = Path(sys.executable).with_name("penstock")
    log = folder / "log"
    with log.open("w") as output:
        process = subprocess.Popen([penstock, "run", configuration], stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"penstock run ended with {process.returncode}:\n{log.read_text()[-3000:]}")
    return next(record.earlier(folder / "runs" / "table", "table")), usage.ru_utime + usage.ru_stime


def _predicted(run: Path, table: Table) -> tuple[np.ndarray, np.ndarray]:
    """Returns what the exported model predicts of the test rows, and the labels that these rows have.

    The signature asks for no label (trainer/network/export.py), so that those in the examples reach no model.
    """
    files = sorted(Examples(run / "csv-example-gen" / "examples").split("test").iterdir())
    examples = [example for file in files for batch in records.read(file) for example in batch]
    labels = records.decode(examples).column(table.label).flatten().to_numpy(zero_copy_only=False)
    if labels.dtype == object:
        labels = np.array([label.decode() for label in labels], dtype=object)
    outputs = predict(run / "trainer" / "model", examples)
    if table.problem == "regression":
        return outputs["predictions"].reshape(-1), labels
    if table.problem == "multiclass":
        return outputs["scores"], labels
    positive = outputs["probabilities"].reshape(-1, 1)
    return np.concatenate([1 - positive, positive], axis=1), labels
