"""The component through KFP's local runner, with all of its inputs and with only the needed ones."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kfp import dsl, local

from penstock.components.trainer import trainer

pytestmark = pytest.mark.usefixtures("forks")

TASKS = ("trainer", "trainer-2")
SOURCE = """
import json
import tensorflow as tf

def run_fn(fn_args):
    seen = {name: value for name, value in vars(fn_args).items() if name not in ("data_accessor", "device")}
    with open(fn_args.model_run_dir + "/seen.json", "w") as file:
        json.dump(seen, file)
    tf.saved_model.save(tf.Module(), fn_args.serving_model_dir)
"""


@pytest.fixture
def runner(tmp_path: Path) -> None:
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(tmp_path / "kfp"), raise_on_error=True)


@pytest.mark.slow
def test_every_input_reaches_run_fn(runner: None, taxi: Any, tmp_path: Path, module: Callable[[str], str]) -> None:
    path = Path(module(SOURCE))
    (tmp_path / "tuned").mkdir()
    (tmp_path / "tuned" / "best_hyperparameters.txt").write_text('{"units": 8}')

    inputs = {**taxi.inputs(), "hyperparameters": str(tmp_path / "tuned")}

    @dsl.pipeline
    def training(module_file: str) -> dsl.Model:  # type: ignore[empty-body]
        def found(name: str, kind: type) -> Any:
            return dsl.importer(artifact_uri=inputs[name], artifact_class=kind).output

        examples = found("examples", dsl.Dataset)
        alone = trainer(examples=examples, module_file=module_file)
        return trainer(
            examples=examples,
            transform_graph=found("transform_graph", dsl.Artifact),
            schema=found("schema", dsl.Artifact),
            statistics=found("statistics", dsl.Artifact),
            base_model=alone.outputs["model"],
            hyperparameters=found("hyperparameters", dsl.Artifact),
            module_file=module_file,
            run_fn="run_fn",
            train_args='{"num_steps": 7}',
            eval_args='{"splits": ["train", "eval"]}',
            custom_config='{"name": "a \\"quoted\\" one", "rate": 1}',
        ).outputs["model"]

    model = training(module_file=str(path)).output
    assert model.metadata == {"tfx_version": "1.21.0"}
    assert (Path(model.path) / "Format-Serving" / "saved_model.pb").is_file()
    task = Path(model.path).parent
    first, second = [json.loads((task.with_name(name) / "model_run/seen.json").read_text()) for name in TASKS]
    examples = inputs["examples"]
    assert {name: value for name, value in first.items() if value is not None} == {
        "train_files": [f"{examples}/Split-train/*"],
        "eval_files": [f"{examples}/Split-eval/*"],
        "serving_model_dir": f"{task.with_name('trainer')}/model/Format-Serving",
        "eval_model_dir": f"{task.with_name('trainer')}/model/Format-TFMA",
        "model_run_dir": f"{task.with_name('trainer')}/model_run",
        "payload_format": "FORMAT_TF_EXAMPLE",
    }
    assert second["base_model"] == first["serving_model_dir"]
    assert second["num_examples"] == {"train": 2000, "eval": 1000}
    assert second["hyperparameters"] == {"units": 8}
    assert second["custom_config"] == {"name": 'a "quoted" one', "rate": 1}
    assert (second["train_steps"], second["eval_steps"], len(second["eval_files"])) == (7, None, 2)
    assert (second["schema_path"], second["transform_output"]) == (
        f"{inputs['schema']}/schema.pbtxt",
        inputs["transform_graph"],
    )
