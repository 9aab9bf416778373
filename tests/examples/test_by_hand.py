"""The pipeline written by hand, as a reader of it would run it; one branch of its gate on each of the local runners."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from penstock.components import wrapper
from penstock.pipelines import local
from penstock.pipelines.cli import main

pytestmark = pytest.mark.usefixtures("forks")

PROGRAM = Path(__file__).parents[2] / "examples" / "by_hand" / "data_gate.py"


@pytest.fixture
def compiled(tmp_path: Path) -> Path:
    path = tmp_path / "gate.yaml"
    subprocess.run([sys.executable, str(PROGRAM), "--compile", str(path)], check=True, cwd=tmp_path)
    return path


def test_nothing_is_found_in_it(compiled: Path) -> None:
    assert main.main(["lint", str(compiled)]) == 0


def test_every_task_runs_in_the_image_given(compiled: Path, tmp_path: Path) -> None:
    path = tmp_path / "placed.yaml"
    command = [sys.executable, str(PROGRAM), "--compile", str(path), "--image", "reg.example/penstock-python:1"]
    subprocess.run(command, check=True, cwd=tmp_path)
    assert _images(path) == {"reg.example/penstock-python:1"}
    assert _images(compiled) == {wrapper.IMAGE}


def _images(path: Path) -> set[str]:
    executors = yaml.safe_load(path.read_text())["deploymentSpec"]["executors"].values()
    return {executor["container"]["image"] for executor in executors}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nix.csv", "nope"], "nix.csv does not exist: expected a CSV file or a folder of them"),
        (["nix.csv"], "expected either REFERENCE and NEW, or --compile FILE"),
        ([], "expected either REFERENCE and NEW, or --compile FILE"),
        (["a", "b", "--compile", "x.yaml"], "expected either REFERENCE and NEW, or --compile FILE"),
        (["--compile", "x.txt"], "--compile x.txt: expected a name that ends in .yaml"),
        (
            [str(next(Path(sys.prefix, "lib").glob("python3*")))] * 2,
            "kfp's runner takes python3 in a path for an interpreter",
        ),
    ],
)
def test_a_wrong_argument_is_told(arguments: list[str], told: str, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, str(PROGRAM), *arguments], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_data_that_fits(compiled: Path, tmp_path: Path, penguins_csv: Path) -> None:
    arguments = {"reference": str(penguins_csv), "new": str(penguins_csv)}
    done = local.run(compiled, name="data-gate", pipeline_root=tmp_path / "runs", arguments=arguments, sources={})
    assert done.status == "done"
    (log,) = (tmp_path / "runs").glob("data-gate-*/decide/log.txt")
    assert "fits (splits without anomalies:" in log.read_text()


@pytest.mark.slow
def test_data_that_differs_by_the_command_of_its_docstring(tmp_path: Path, penguins_csv: Path) -> None:
    old, new = tmp_path / "old.csv", tmp_path / "new.csv"  # not where they are installed: see the example's docstring
    old.write_text(penguins_csv.read_text())
    new.write_text(penguins_csv.read_text().replace(",Torgersen,", ",Atlantis,"))
    command = [sys.executable, str(PROGRAM), str(old), str(new)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    told = done.stdout + done.stderr
    assert done.returncode == 0, told
    assert "differs (splits without anomalies:" in told
    assert "fits (splits without anomalies:" not in told
