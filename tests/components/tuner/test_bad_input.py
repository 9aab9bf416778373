"""Every mistake a person can make with a tuner_fn and the Tuner's parameters: one sentence each."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.components.tuner import executor
from penstock.core.errors import ConfigError, DataError, ModuleError, PenstockError

pytestmark = [pytest.mark.usefixtures("forks"), pytest.mark.filterwarnings("default")]  # KerasTuner's are its own

SOURCE = """
import keras_tuner
from penstock.trainer.fn_args import TunerFnResult

class Search(keras_tuner.RandomSearch):
    def run_trial(self, trial, **kwargs):
        {body}

def tuner_fn(fn_args):
    space = keras_tuner.HyperParameters()
    space.Float("x", 0.0, 1.0)
    tuner = Search(hyperparameters=space, objective=keras_tuner.Objective("val", "min"), max_trials={trials},
                   directory=fn_args.working_dir)
    return {returned}
"""


@pytest.fixture
def tune(write_examples: Callable[..., Path], outputs: dict[str, str], module: Callable[[str], str]) -> Any:
    examples = str(write_examples({"train": {"x": [1]}, "eval": {"x": [2]}}))

    def run(body: str = "return 0.5", trials: int = 3, returned: str = "TunerFnResult(tuner, {})", **more: Any) -> None:
        source = SOURCE.format(body=body, trials=trials, returned=returned)
        executor.run(**{"examples": examples, **outputs, "module_file": module(source), **more})

    return run


@pytest.mark.parametrize(
    ("arguments", "kind", "sentence"),
    [
        ({"trials": 0}, ConfigError, "tuner_fn: expected a tuner of at least one trial, received 0"),
        ({"returned": "tuner"}, ModuleError, "tuner_fn: expected a TunerFnResult of a KerasTuner tuner and a dict"),
        ({"returned": "None"}, ModuleError, "tuner_fn: expected a TunerFnResult .* received None"),
        (
            {"body": "raise ValueError('too deep')", "trials": 2},
            ModuleError,
            "tuner: none of the 2 trials succeeded; the last one: ValueError: too deep",
        ),
        (
            {"body": "raise ValueError('too deep')", "trials": 9},
            ModuleError,
            "tuner: 3 trials in a row failed; the last one: ValueError: too deep",
        ),
        (
            {"body": "return float('nan')", "trials": 2},
            ModuleError,
            "tuner: none of the 2 trials succeeded; the last one: its score was not a number",
        ),
        (
            {"body": "return float('-inf')", "trials": 2},
            ModuleError,
            "tuner: none of the 2 trials succeeded; the last one: its score was not a number",
        ),
        ({"tuner_fn": "tune_fn"}, ModuleError, r"expected a function 'tune_fn'; did you mean 'tuner_fn'\?"),
        ({"tune_args": '{"num_paralel_trials": 2}'}, ConfigError, "did you mean 'num_parallel_trials'"),
        ({"tune_args": '{"num_parallel_trials": -1}'}, ConfigError, "a whole number of trials, 0 or more, received -1"),
        ({"tune_args": "2"}, ConfigError, "tune_args: expected an object such as"),
        ({"train_args": '{"splits": ["trian"]}'}, DataError, "have no split 'trian': expected one of eval, train"),
    ],
)
def test_mistakes(tune: Any, arguments: dict[str, Any], kind: type[PenstockError], sentence: str) -> None:
    with pytest.raises(kind, match=sentence) as told:
        tune(**arguments)
    assert told.value.exit_code == 2


def test_an_objective_that_no_model_measures(tune: Any) -> None:
    body = """
        import keras, numpy
        model, rows = keras.Sequential([keras.layers.Dense(1)]), numpy.zeros([4, 1])
        model.compile("sgd", "mse")
        return model.fit(rows, rows)
"""
    with pytest.raises(ModuleError, match="the last one: its model does not measure the objective 'val'"):
        tune(body=body, trials=2)


def test_what_a_trial_raises_is_shown_with_the_users_lines(tune: Any) -> None:
    with pytest.raises(ModuleError) as told:
        tune(body="raise ValueError('too deep')")
    assert "in run_trial" in told.value.details


def test_a_search_that_failed_by_mistake_is_not_gone_on_with(tune: Any, tmp_path: Path) -> None:
    with pytest.raises(ModuleError):
        tune(body="raise ValueError", working_dir=str(tmp_path / "tuning"))
    assert [path for path in (tmp_path / "tuning").iterdir() if path.is_dir()] == []


def test_machines_that_share_no_folder_need_a_token(tune: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = {"worker": ["127.0.0.1:1", "127.0.0.1:2"]}
    for index in (0, 1):
        monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}}))
        with pytest.raises(ConfigError, match=r"^working_dir: expected a folder that all machines of the search see"):
            tune()
