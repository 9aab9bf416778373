"""What a search tells while it goes on: in our words, in KerasTuner's if the user asks for them, or nothing."""

import json
import logging
import re
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from penstock.core import progress
from penstock.trainer.fn_args import FnArgs
from penstock.trainer.tuning.cluster import search
from penstock.trainer.tuning.user_code import UserCode

pytestmark = pytest.mark.filterwarnings("default")  # KerasTuner's are its own
SOURCE = """
import keras_tuner
from penstock.trainer.fn_args import TunerFnResult

class Line(keras_tuner.{algorithm}):
    def run_trial(self, trial, **kwargs):
        width = trial.hyperparameters.get("width")
        if {fails}:
            raise keras_tuner.errors.FailedTrialError("too wide")
        print("mine", width)
        return abs(width - 64) / 100

def tuner_fn(fn_args):
    space = keras_tuner.HyperParameters()
    space.Int("width", 32, 128, step=32)
    space.Choice("kind", ["a"])
    tuner = Line(hyperparameters=space, seed=7, objective=keras_tuner.Objective("val", "min"), max_trials={trials},
                 directory=fn_args.working_dir, project_name="search")
    return TunerFnResult(tuner, {fit_kwargs})
"""
type Tune = Callable[..., None]


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a run reads what its task tells."""
    monkeypatch.setenv(progress.ENVIRONMENT_VARIABLE, str(tmp_path / "progress.jsonl"))
    return tmp_path / "progress.jsonl"


@pytest.fixture
def tune(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Tune:
    caplog.set_level(logging.INFO)

    def run(trials: int, algorithm: str = "RandomSearch", fit_kwargs: str = "{}", fails: str = "width == 128") -> None:
        module = tmp_path / f"telling_{uuid.uuid4().hex}.py"
        module.write_text(SOURCE.format(trials=trials, algorithm=algorithm, fit_kwargs=fit_kwargs, fails=fails))
        search.run(UserCode(str(module), "", FnArgs(working_dir=str(tmp_path / "work"))))

    return run


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.name == "penstock.trainer.tuning.telling"]


def test_the_end_of_each_trial_is_told(
    tune: Tune, told: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    tune(trials=4, algorithm="GridSearch")
    assert lines(caplog) == [
        "searched: width, 32 to 128, step 32",
        "searched: kind, a",
        "trial 0: val 0.32, the best so far, with width 32, kind a; 1 of 4 trials have ended",
        "trial 1: val 0, the best so far, with width 64, kind a; 2 of 4 trials have ended",
        "trial 2: val 0.32; the best so far is 0, of trial 1; 3 of 4 trials have ended",
        "trial 3 failed: keras_tuner.src.errors.FailedTrialError: too wide; the best so far is 0, of trial 1; "
        "4 of 4 trials have ended",
    ]
    assert [json.loads(line)["said"] for line in told.read_text().splitlines()] == lines(caplog)[2:]
    assert capsys.readouterr().out == "mine 32\nmine 64\nmine 96\n"


def test_none_is_the_best_until_one_has_completed(tune: Tune, caplog: pytest.LogCaptureFixture) -> None:
    tune(trials=3, algorithm="GridSearch", fails="width < 96")
    failed = "keras_tuner.src.errors.FailedTrialError: too wide"
    assert lines(caplog)[2:] == [
        f"trial 0 failed: {failed}; 1 of 3 trials have ended",
        f"trial 1 failed: {failed}; 2 of 3 trials have ended",
        "trial 2: val 0.32, the best so far, with width 96, kind a; 3 of 3 trials have ended",
    ]


def test_a_search_that_goes_on_says_from_where(
    tune: Tune, told: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    tune(trials=2)
    caplog.clear()
    capsys.readouterr()
    tune(trials=3)
    goes_on, ended = lines(caplog)[2:]
    assert goes_on == "the search goes on: of its trials 2 have ended, 0 were under way"
    assert [json.loads(line)["said"] for line in told.read_text().splitlines()][-2:] == [goes_on, ended]
    assert ended.startswith("trial 2: val 0.")
    assert ended.endswith("; 3 of 3 trials have ended")
    assert re.fullmatch(r"mine \d+\n", capsys.readouterr().out), "without KerasTuner's line on the file that it reads"


def test_what_the_user_says_of_verbose_holds(
    tune: Tune, told: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    tune(trials=1, fit_kwargs='{"verbose": 0}')
    assert re.fullmatch(r"mine \d+\n", capsys.readouterr().out)
    assert not lines(caplog)
    assert not told.exists()
    tune(trials=2, fit_kwargs='{"verbose": 1}')
    out = capsys.readouterr().out
    assert "Search: Running Trial #2" in out
    assert "Best val So Far: 0." in out
    assert lines(caplog)[-1].startswith("trial 1 ")
