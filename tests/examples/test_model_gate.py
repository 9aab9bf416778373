"""The pipeline by hand that tries a model in a model server and pushes it: both branches of its gate."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf

from penstock.pipelines import local
from penstock.pipelines.cli import main
from tests.components.infra_validator.conftest import FEATURES, doubled, save

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("forks")]

PROGRAM = Path(__file__).parents[2] / "examples" / "by_hand" / "model_gate.py"


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    path.write_text("x,kind\n" + "".join(f"{number / 4 + 0.1},cat\n" for number in range(30)))
    return path


def test_a_model_that_answers_is_pushed_by_the_command_of_its_docstring(rows: Path, tmp_path: Path) -> None:
    model, folder = save(tmp_path / "model", doubled, FEATURES), tmp_path / "serving"
    command = [sys.executable, str(PROGRAM), str(model), str(rows), str(folder)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (version,) = (path for path in folder.iterdir() if path.name.isdecimal())
    assert len(list(tf.data.TFRecordDataset(str(version / "assets.extra" / "tf_serving_warmup_requests")))) == 5


def test_a_model_that_refuses_the_rows_is_not_pushed(rows: Path, tmp_path: Path) -> None:
    model = save(tmp_path / "model", doubled, {**FEATURES, "age": tf.io.FixedLenFeature([], tf.int64)})
    compiled = tmp_path / "gate.yaml"
    subprocess.run([sys.executable, str(PROGRAM), "--compile", str(compiled)], check=True, cwd=tmp_path)
    assert main.main(["lint", str(compiled)]) == 0
    destination = {"filesystem": {"base_directory": str(tmp_path / "serving")}}
    arguments = {"model": str(model), "data": str(rows), "push_destination": json.dumps(destination)}
    done = local.run(compiled, name="model-gate", pipeline_root=tmp_path / "runs", arguments=arguments, sources={})
    assert done.status == "done"
    assert {task.name: task.status for task in done.tasks}["pusher"] == "skipped"
    assert not (tmp_path / "serving").exists()
