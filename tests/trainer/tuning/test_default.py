"""The search without code over the default model, on penguins that our components have prepared."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras_tuner
import numpy as np
import pandas as pd
import pytest

from penstock.components.trainer import executor as trainer
from penstock.components.tuner import executor
from penstock.core.errors import ConfigError, DataError
from tests.trainer.tables import Table, write

pytestmark = [pytest.mark.usefixtures("forks"), pytest.mark.filterwarnings("default")]  # KerasTuner's are its own
QUICK = {"epochs": 3, "members": 2, "width": 16, "batch_size": 32}
type Tune = Callable[..., list[dict[str, Any]]]
IGNORED = {"seen": {"ignore": True}}
RATE = {"learning_rate": {"min": 1e-4, "max": 1e-1, "scale": "log"}}


@pytest.fixture(scope="module")
def penguins(penguins_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Table:
    frame = pd.read_csv(penguins_csv).dropna().sample(frac=1, random_state=0)
    frame = frame.assign(place=frame["island"] + frame["year"].astype(str))
    frame = frame.assign(seen=pd.date_range("2007-11-11", periods=len(frame)).strftime("%m/%d/%Y"))
    given = {"label": "species", "features": IGNORED}
    return write(tmp_path_factory.mktemp("tuned"), frame, eval_rows=100).transform(given)


def config(tuning: dict[str, Any], **more: Any) -> dict[str, Any]:
    given = {"label": "species", "features": IGNORED, "training": QUICK}
    return {**given, "tuning": {"parameters": RATE, "trials": 3, **tuning}, **more}


@pytest.fixture
def tune(penguins: Table, tmp_path: Path) -> Callable[..., list[dict[str, Any]]]:
    """Returns a function that runs the Tuner, its outputs in tmp_path, and returns its tuner_results."""

    def run(given: dict[str, Any], parallel: int = 1) -> list[dict[str, Any]]:
        inputs = ("transform_graph", "schema", "statistics")
        executor.run(
            **{name: str(tmp_path / name) for name in ("best_hyperparameters", "tuner_results", "report")},
            **{name: str(penguins.root / name) for name in inputs},
            examples=str(penguins.root / "transformed_examples"),
            raw_examples=str(penguins.root / "examples"),
            tuner_fn="penstock.trainer.tuning.default.tuner_fn",
            tune_args=json.dumps({"num_parallel_trials": parallel}),
            custom_config=json.dumps(given),
        )
        return list(json.loads((tmp_path / "tuner_results" / "tuner_results.json").read_text()))

    return run


@pytest.mark.slow
def test_the_trainer_takes_what_is_best(penguins: Table, tune: Tune, tmp_path: Path) -> None:
    given = config({"algorithm": "grid", "parameters": {"learning_rate": {"values": [1e-5, 1e-2]}}})
    found = tune(given)
    assert [row["learning_rate"] for row in found] == [1e-2, 1e-5]
    assert found[0]["score"] < 0.5 < found[1]["score"]  # the log loss of 3 classes: 1.1 for one that knows nothing
    best = json.loads((tmp_path / "best_hyperparameters" / "best_hyperparameters.txt").read_text())
    assert keras_tuner.HyperParameters.from_config(best).values == {"learning_rate": 1e-2}
    names = ("transform_graph", "schema", "statistics")
    trainer.run(
        **{name: str(penguins.root / name) for name in names},
        model=str(tmp_path / "model"),
        model_run=str(tmp_path / "model_run"),
        examples=str(penguins.root / "transformed_examples"),
        hyperparameters=str(tmp_path / "best_hyperparameters"),
        run_fn="penstock.trainer.default.run_fn",
        custom_config=json.dumps(given),
    )
    history = json.loads((tmp_path / "model_run" / "history.json").read_text())
    epochs = history["epochs"] if isinstance(history, dict) else history
    # The trial was a training as the Trainer's own: the same seed, the same rows.
    assert min(epoch["val_log_loss"] for epoch in epochs) == pytest.approx(found[0]["score"], rel=1e-4)


@pytest.mark.slow
def test_an_objective_of_ones_own(tune: Tune) -> None:
    found = tune(config({"objective": "val_accuracy", "direction": "max", "algorithm": "random"}))
    scores = [row["score"] for row in found]
    assert scores == sorted(scores, reverse=True)
    assert 0.3 < scores[0] <= 1


def test_an_objective_that_is_not_measured(tune: Tune) -> None:
    with pytest.raises(ConfigError, match=r"does not measure 'val_acuracy'; did you mean 'val_accuracy'\?"):
        tune(config({"objective": "val_acuracy"}))


@pytest.mark.slow
@pytest.mark.parametrize(
    "how",
    [
        {"method": "k_fold"},
        {"method": "stratified"},
        {"method": "group", "feature": "place"},
        {"method": "time_series", "feature": "year"},
    ],
)
def test_cross_validation(tune: Tune, tmp_path: Path, how: dict[str, Any]) -> None:
    folds = {"method": "k_fold", "folds": 2, **how}
    (row,) = tune(config({"cross_validation": folds, "trials": 1}))
    assert len(row["fold_scores"]) == 2
    assert row["score"] == pytest.approx(np.mean(row["fold_scores"]))
    assert row["score_deviation"] == pytest.approx(np.std(row["fold_scores"]), rel=1e-4)
    assert f"± {row['score_deviation']:.2g}" in (tmp_path / "report").read_text()


@pytest.mark.slow
def test_a_time_series_follows_dates_and_not_their_letters(tune: Tune, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    tune(config({"cross_validation": {"method": "time_series", "feature": "seen", "folds": 2}, "trials": 1}))
    assert "rows are in the order of seen, read as %m/%d/%Y" in caplog.text


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ({"method": "k_fold", "folds": 300}, "at least 300 rows, one for each fold, found 233"),
        ({"method": "stratified", "folds": 100}, "at least 100 rows of class 'Chinstrap', one for each fold, found"),
        ({"method": "group", "feature": "island", "folds": 4}, "at least 4 groups, one for each fold, found 3"),
        ({"method": "time_series", "feature": "year", "folds": 3}, "at least 4 moments, .*, found 3"),
        ({"method": "group", "feature": "iland", "folds": 3}, "no feature 'iland' with one value in a row"),
    ],
)
def test_too_few_for_the_folds(tune: Tune, how: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        tune(config({"cross_validation": how}))


@pytest.mark.slow
def test_a_loss_that_is_no_number_fails_its_trial_only(tune: Tune, tmp_path: Path) -> None:
    given = config({"algorithm": "grid", "parameters": {"learning_rate": {"values": [1e-2, 1e30]}}})
    found = tune(given)
    assert [row["learning_rate"] for row in found] == [1e-2]
    trials, _, failed = (tmp_path / "report").read_text().partition("<h2>Failed trials")
    trials = trials.partition("<h2>Trials")[2]
    assert "the loss is" not in trials  # whose values would make way for it
    assert "DataError: the loss is" in failed


@pytest.mark.slow
def test_two_trials_at_a_time(tune: Tune) -> None:
    alone = tune(config({"algorithm": "random"}))
    both = tune(config({"algorithm": "random"}), parallel=2)
    assert [row["trial_id"] for row in both] == [row["trial_id"] for row in alone]
    for one, other in zip(alone, both, strict=True):
        assert one["score"] == pytest.approx(other["score"], rel=1e-3)
