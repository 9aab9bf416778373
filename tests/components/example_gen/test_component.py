"""The components as a pipeline runs them."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from kfp import compiler, dsl, local

from penstock.components import wrapper
from penstock.components.example_gen import csv_example_gen, import_example_gen, input_resolver, parquet_example_gen

pytestmark = pytest.mark.usefixtures("forks")


@pytest.mark.slow
def test_a_compiled_pipeline_resolves_and_generates(
    taxi_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    shutil.copy(
        taxi_csv, tmp_path / "data"
    )  # kfp.local replaces "python3" in any value, and the package's path holds it
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(tmp_path), raise_on_error=True)

    @dsl.pipeline(name="generate")
    def pipeline(input_base: str) -> dsl.Dataset:
        found = input_resolver(input_base=input_base)
        return csv_example_gen(
            input_base=input_base,
            resolved_input=found.outputs["resolved_input"],
            fingerprint=found.outputs["fingerprint"],
            span=found.outputs["span"],
            version=found.outputs["version"],
            label="tips",
        ).outputs["examples"]

    examples = pipeline(input_base=str(tmp_path / "data")).output
    assert json.loads(examples.metadata["num_examples"]) == {"train": 10036, "eval": 4966}
    assert examples.metadata["span"] == 0
    assert len(list(Path(examples.path).glob("Split-*/data_tfrecord-*.gz"))) == 4


@pytest.mark.parametrize("each", [input_resolver, csv_example_gen, parquet_example_gen, import_example_gen])
def test_components_compile(each: object, tmp_path: Path) -> None:
    compiler.Compiler().compile(each, str(tmp_path / "component.yaml"))
    (executor,) = yaml.safe_load((tmp_path / "component.yaml").read_text())["deploymentSpec"]["executors"].values()
    assert executor["container"]["image"] == wrapper.IMAGE
    assert "from penstock.components.example_gen" in executor["container"]["command"][-1]


@pytest.mark.slow
def test_the_executor_runs_by_hand(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n" + "".join(f"{row},a\n" for row in range(50)))
    arguments = {
        "examples": str(tmp_path / "out"),
        "input_base": str(tmp_path / "a.csv"),
        "resolved_input": '{"splits": [{"name": "all", "pattern": "*"}]}',
    }
    command = [sys.executable, "-m", "penstock.components.example_gen.executor", json.dumps(arguments)]
    subprocess.run(command, check=True)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["Split-eval", "Split-train"]


@pytest.mark.slow
def test_a_killed_run_leaves_nothing_that_looks_finished(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n" + "".join(f"{row},text {row}\n" for row in range(400_000)))
    out = tmp_path / "out"
    arguments = {
        "examples": str(out),
        "input_base": str(tmp_path / "a.csv"),
        "resolved_input": '{"splits": [{"name": "all", "pattern": "*"}]}',
        "engine": "local:1",
    }
    command = [sys.executable, "-m", "penstock.components.example_gen.executor", json.dumps(arguments)]
    with subprocess.Popen(command) as process:
        while not list(out.glob(".Split-*/*.gz")):
            assert process.poll() is None
            time.sleep(0.002)
        process.kill()
    assert not list(out.glob("Split-*"))
    subprocess.run(command, check=True)
    assert sorted(path.name for path in out.glob("Split-*")) == ["Split-eval", "Split-train"]
