"""TFX's penguin module for Keras, unmodified: its FnArgs, its search, and what TFX reads of the outputs."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras_tuner
import pytest
from tfx.components.trainer import fn_args_utils
from tfx.components.tuner import executor as tfx_tuner
from tfx.types import standard_artifacts
from tfx.utils import io_utils

from penstock.components.tuner import executor

# What TFX's import and Keras warn of is theirs.
pytestmark = [pytest.mark.usefixtures("forks"), pytest.mark.filterwarnings("default")]
STEPS = {"train_args": '{"num_steps": 20}', "eval_args": '{"num_steps": 5}'}


def tune(inputs: dict[str, str], outputs: dict[str, str], module_file: Any, **arguments: Any) -> Any:
    return executor.run(**inputs, **outputs, module_file=str(module_file), **{**STEPS, **arguments})


def best(outputs: dict[str, str]) -> keras_tuner.HyperParameters:
    """Read as TFX's Trainer reads it: the only file of its folder."""
    path = io_utils.get_only_uri_in_dir(outputs["best_hyperparameters"])
    return keras_tuner.HyperParameters.from_config(json.loads(io_utils.read_string_file(path)))


def rows(outputs: dict[str, str]) -> list[dict[str, Any]]:
    path = Path(io_utils.get_only_uri_in_dir(outputs["tuner_results"]))
    assert path.name == "tuner_results.json"
    return list(json.loads(path.read_text()))


@pytest.mark.slow
def test_its_search(penguins: dict[str, str], penguin_module: Path, outputs: dict[str, str], tmp_path: Path) -> None:
    working = tmp_path / "tuning"
    result = tune(penguins, outputs, penguin_module, working_dir=str(working))
    found, chosen = rows(outputs), best(outputs)
    assert len(found) == 6
    assert [row["trial_id"] for row in found] != sorted(row["trial_id"] for row in found)
    scores = [row["score"] for row in found]
    assert scores == sorted(scores, reverse=True)  # accuracy
    assert scores[0] > 0.9
    assert set(found[0]) == {"trial_id", "score", "learning_rate", "num_layers"}
    assert chosen.values == {name: found[0][name] for name in ("learning_rate", "num_layers")}
    assert chosen.get("learning_rate") in (1e-2, 1e-3)
    assert result.metadata["best_hyperparameters"]["score"] == scores[0]
    assert list(working.iterdir()) == []  # a finished search is removed
    page, _, _ = Path(outputs["report"]).read_text().partition("</main>")
    assert page.count("<tr") == 1 + 6 + len(chosen.values)
    assert '<figure class="chart">' in page


def test_a_rerun_tries_the_same(
    penguins: dict[str, str], outputs: dict[str, str], module: Callable[[str], str], tmp_path: Path
) -> None:
    """The oracle has no seed of its own: it draws one, from what is seeded."""
    again = {name: str(tmp_path / f"again-{name}") for name in outputs}
    for written in (outputs, again):
        tune(penguins, written, module(KEEPS.format(path=str(tmp_path / "seen.json"))))
    assert rows(again) == rows(outputs)


@pytest.mark.slow
def test_two_trials_at_a_time(penguins: dict[str, str], penguin_module: Path, outputs: dict[str, str]) -> None:
    tune(penguins, outputs, penguin_module, tune_args='{"num_parallel_trials": 2}')
    assert len(rows(outputs)) == 6
    assert rows(outputs)[0]["score"] > 0.9


def test_fn_args_are_tfx(
    penguins: dict[str, str], outputs: dict[str, str], module: Callable[[str], str], tmp_path: Path
) -> None:
    module_file = module(KEEPS.format(path=str(tmp_path / "seen.json")))
    tune(penguins, outputs, module_file, custom_config='{"a": [1]}')
    ours = json.loads((tmp_path / "seen.json").read_text())
    assert {ours.pop(name) for name in ("statistics_path", "device")} == {None}  # which TFX does not know
    assert ours.pop("payload_format") == "FORMAT_TF_EXAMPLE"
    kinds = {
        "examples": standard_artifacts.Examples,
        "transform_graph": standard_artifacts.TransformGraph,
        "schema": standard_artifacts.Schema,
    }
    given = {}
    for name, kind in kinds.items():
        made = kind()
        made.uri = penguins[name]
        made.set_string_custom_property("tfx_version", "1.21.0")
        if name == "examples":
            made.split_names = '["eval", "train"]'
        given[name] = [made]
    properties = {**STEPS, "custom_config": '{"a": [1]}'}
    theirs = vars(fn_args_utils.get_common_fn_args(given, properties, ours["working_dir"]))
    assert ours == {**theirs, "data_accessor": None}


KEEPS = """
import json
import keras_tuner
from penstock.trainer.fn_args import TunerFnResult

class Fixed(keras_tuner.RandomSearch):
    def run_trial(self, trial, **kwargs):
        return trial.hyperparameters.get("x")

def tuner_fn(fn_args):
    with open({path!r}, "w") as file:
        json.dump(vars(fn_args) | dict(data_accessor=None), file)
    space = keras_tuner.HyperParameters()
    space.Float("x", 0.0, 1.0)
    tuner = Fixed(hyperparameters=space, objective=keras_tuner.Objective("val", "min"), max_trials=2,
                  directory=fn_args.working_dir)
    return TunerFnResult(tuner, {{}})
"""


def test_outputs_are_what_tfx_writes(
    penguins: dict[str, str], outputs: dict[str, str], module: Callable[[str], str], tmp_path: Path
) -> None:
    """The same tuner, read by TFX's own function."""
    module_file = module(KEEPS.format(path=str(tmp_path / "seen.json")))
    kept: list[Any] = []
    run = executor.search.run
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(executor.search, "run", lambda *given: kept.append(run(*given)) or kept[0])
        tune(penguins, outputs, module_file)
    theirs = {"best_hyperparameters": standard_artifacts.HyperParameters(), "tuner_results": None}
    theirs["tuner_results"] = standard_artifacts.TunerResults()
    for name, artifact in theirs.items():
        artifact.uri = str(tmp_path / "tfx" / name)
        os.makedirs(artifact.uri)
    tfx_tuner.write_best_hyperparameters(kept[0], {name: [artifact] for name, artifact in theirs.items()})
    for name, file in (("best_hyperparameters", "best_hyperparameters.txt"), ("tuner_results", "tuner_results.json")):
        assert Path(outputs[name], file).read_text() == (tmp_path / "tfx" / name / file).read_text()
