"""The wrappers of StatisticsGen, SchemaGen and ExampleValidator in a compiled pipeline, run by kfp.local."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.csv
import pytest
from kfp import compiler, dsl, local

from penstock.components.example_validator import example_validator
from penstock.components.schema_gen import import_schema_gen, schema_gen
from penstock.components.statistics_gen import statistics_gen
from penstock.core import artifacts


@pytest.mark.parametrize("component", [statistics_gen, schema_gen, import_schema_gen, example_validator])
def test_wrappers_compile(component: Any, tmp_path: Path) -> None:
    compiler.Compiler().compile(component, str(tmp_path / "component.yaml"))
    assert "from penstock.components." in (tmp_path / "component.yaml").read_text()


@pytest.mark.slow
@pytest.mark.usefixtures("forks")
def test_gate_and_artifacts(write_examples: Callable[..., Path], taxi_csv: Path, tmp_path: Path) -> None:
    taxi = pyarrow.csv.read_csv(taxi_csv).slice(0, 1500)
    examples = write_examples({"train": taxi.slice(0, 1000), "eval": taxi.slice(1000)})
    other = write_examples(
        {"train": taxi.slice(0, 1000).drop_columns(["fare"]), "eval": taxi.slice(1000)}, name="other"
    )

    @dsl.component(base_image="python", install_kfp_package=False)
    def note(text: str) -> str:
        return text

    @dsl.pipeline
    def validate(examples_uri: str, other_uri: str) -> None:
        properties = {"split_names": '["train", "eval"]', "span": 4}
        first = dsl.importer(artifact_uri=examples_uri, artifact_class=dsl.Dataset, metadata=properties)
        second = dsl.importer(artifact_uri=other_uri, artifact_class=dsl.Dataset, metadata=properties)
        good = statistics_gen(examples=first.output, engine="local:2")
        bad = statistics_gen(examples=second.output, exclude_splits=["eval"], engine="local:1")
        schema = schema_gen(statistics=good.outputs["statistics"], label="tips")
        for name, statistics in (("good", good), ("bad", bad)):
            gate = example_validator(
                statistics=statistics.outputs["statistics"],
                schema=schema.outputs["schema"],
                previous_statistics=good.outputs["statistics"],
            )
            with dsl.If(gate.outputs["Output"] == True):  # noqa: E712  # kfp's condition
                note(text=f"{name} passed")
            with dsl.Else():
                note(text=f"{name} failed")

    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(tmp_path / "runs"))
    validate(examples_uri=str(examples), other_uri=str(other))
    (run,) = (tmp_path / "runs").iterdir()
    assert {output(run / name)["parameterValues"]["Output"] for name in ("note", "note-4")} == {
        "good passed",
        "bad failed",
    }
    assert not (run / "note-2").exists()
    assert not (run / "note-3").exists()
    assert [output(run / f"example-validator{n}")["parameterValues"]["Output"] for n in ("", "-2")] == [True, False]
    (anomalies,) = output(run / "example-validator-2")["artifacts"]["anomalies"]["artifacts"]
    assert anomalies["metadata"] == {
        "tfx_version": "1.21.0",
        "split_names": '["train"]',
        "span": 4,
        "blessed": '{"train": 0}',
    }
    assert set(artifacts.ExampleAnomalies(Path(anomalies["uri"])).read("train").anomaly_info) == {"fare"}
    assert "fare" in (run / "example-validator-2" / "report").read_text()


def output(task: Path) -> dict[str, Any]:
    return dict(json.loads((task / "executor_output.json").read_text()))
