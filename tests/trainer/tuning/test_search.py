"""A search without code, with scores that cost nothing: spaces, algorithms, budgets, bad trials, folds."""

import json
import math
import statistics
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras_tuner
import pytest

from penstock.core.errors import ConfigError, DataError
from penstock.trainer.tuning import oracles, results, space
from penstock.trainer.tuning.settings import Range, Search
from penstock.trainer.tuning.trials import Tell, Tuner

pytestmark = [pytest.mark.usefixtures("forks"), pytest.mark.filterwarnings("default")]  # KerasTuner's are its own
RATE = Range(min=1e-4, max=1e-1, scale="log")
KINDS = {"learning_rate": float, "width": int, "dropout": float}
type Score = Callable[[Mapping[str, Any], int, int | None, Path, Tell], float]


def distance(values: Mapping[str, Any], *_: Any) -> float:
    """How far the learning rate is from 1e-2, in powers of ten."""
    return abs(math.log10(values["learning_rate"]) + 2)


def tuner(search: Search, score: Score, folder: Path, folds: int = 1, epochs: int = 9) -> Tuner:
    made = space.hyperparameters(search.parameters, KINDS)
    oracle = oracles.make(search, made, keras_tuner.Objective("val_loss", search.direction), epochs)
    return Tuner(oracle, score, folds, str(folder))


def run(search: Search, score: Score, folder: Path, **how: Any) -> results.Results:
    made = tuner(search, score, folder, **how)
    made.search(verbose=0)
    return results.of(made.oracle)


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["grid", "random", "bayesian", "hyperband"])
def test_each_algorithm_finds_what_is_best(algorithm: Any, tmp_path: Path) -> None:
    found = run(Search({"learning_rate": RATE}, algorithm=algorithm, trials=15), distance, tmp_path)
    assert 9 <= len(found.trials) <= 15
    assert (found.best[0].score or 0) < 0.35
    assert all(1e-4 <= trial.values["learning_rate"] <= 1e-1 for trial in found.trials)
    assert found.parameters == [results.Parameter("learning_rate", log=True)]


def test_a_space(tmp_path: Path) -> None:
    parameters = {
        "width": Range(min=64.0, max=256.0, step=64.0),
        "dropout": Range(values=(0.0, 0.1)),
        "learning_rate": Range(min=1e-4, max=1e-2, step=10.0, scale="log"),
    }
    made = space.hyperparameters(parameters, KINDS)
    assert space.size(made) == 4 * 2 * 3
    found = run(Search(parameters, algorithm="grid", trials=100, early_stopping=False), distance, tmp_path)
    tried = {tuple(trial.values[name] for name in parameters) for trial in found.trials}
    assert len(found.trials) == len(tried) == 24
    assert {width for width, _, _ in tried} == {64, 128, 192, 256}
    assert all(isinstance(width, int) for width, _, _ in tried)
    assert sorted({round(math.log10(rate)) for _, _, rate in tried}) == [-4, -3, -2]
    assert space.size(space.hyperparameters({"learning_rate": RATE}, KINDS)) is None


def test_a_range_of_whole_numbers_holds_no_other() -> None:
    with pytest.raises(ConfigError, match=r"tuning.parameters.width: expected whole numbers, received 1.5 for min"):
        space.hyperparameters({"width": Range(min=1.5, max=3)}, KINDS)


def test_the_seed_decides(tmp_path: Path) -> None:
    first, same, other = (
        [trial.values for trial in run(search, distance, tmp_path / str(index)).trials]
        for index, search in enumerate(Search({"learning_rate": RATE}, "random", trials=3, seed=s) for s in (1, 1, 2))
    )
    assert first == same != other


def test_minutes_end_a_search(tmp_path: Path) -> None:
    search = Search({"learning_rate": RATE}, algorithm="random", trials=1000, minutes=0.02)
    assert 1 <= len(run(search, distance, tmp_path).trials) < 100


def test_minutes_count_before_a_kill_too(tmp_path: Path) -> None:
    search = Search({"learning_rate": RATE}, algorithm="random", trials=3, minutes=1)
    run(search, distance, tmp_path)
    state = tmp_path / "search" / "oracle.json"
    kept = json.loads(state.read_text())
    assert kept["seconds"] < 60
    state.write_text(json.dumps({**kept, "seconds": 61.0}))
    more = run(replace(search, trials=10), distance, tmp_path)
    assert len(more.trials) == 3


def curve(values: Mapping[str, Any], fold: int, epochs: int | None, folder: Path, tell: Tell) -> float:
    """Ten epochs that come down to the distance."""
    best = math.inf
    for epoch in range(1, (epochs or 10) + 1):
        best = min(best, distance(values) + 1 / epoch)
        if tell(epoch, best):
            break
    return best


@pytest.mark.parametrize("direction", ["min", "max"])
def test_bad_trials_end_early(tmp_path: Path, direction: str) -> None:
    """The rule, worked out anew from what the trials reported."""
    sign = 1 if direction == "min" else -1

    def score(values: Mapping[str, Any], fold: int, epochs: int | None, folder: Path, tell: Tell) -> float:
        return sign * curve(values, fold, epochs, folder, lambda step, value: tell(step, sign * value))

    search = Search({"learning_rate": RATE}, algorithm="random", trials=20, direction=direction)
    made = tuner(search, score, tmp_path)
    made.search(verbose=0)
    found = results.of(made.oracle)
    assert 3 < sum(trial.stopped for trial in found.trials) < 16
    assert not found.best[0].stopped
    reports: list[list[float]] = []
    for trial in found.trials:
        history = made.oracle.trials[trial.trial_id].metrics.get_history(oracles.REPORT)
        own = [sign * entry.value[0] for entry in history]
        bad = [
            len(reports) >= 4
            and min(own[:step]) > statistics.median(statistics.fmean(other[:step]) for other in reports)
            for step in range(1, len(own) + 1)
        ]
        assert bad == [False] * (len(own) - 1) + [trial.stopped]
        assert trial.stopped or len(own) == 10
        reports.append(own)


def test_no_trial_ends_early_unless_asked(tmp_path: Path) -> None:
    search = Search({"learning_rate": RATE}, algorithm="random", trials=20, early_stopping=False)
    assert not any(trial.stopped for trial in run(search, curve, tmp_path).trials)


def test_hyperband_gives_more_epochs_to_the_better(tmp_path: Path) -> None:
    given: list[int] = []

    def score(values: Mapping[str, Any], fold: int, epochs: int | None, folder: Path, tell: Tell) -> float:
        assert epochs is not None
        given.append(epochs)
        return curve(values, fold, epochs, folder, tell)

    found = run(Search({"learning_rate": RATE}, algorithm="hyperband", trials=40), score, tmp_path)
    assert set(given) == {1, 3, 9}
    assert given.count(1) > given.count(9)
    assert found.best[0].values["tuner/epochs"] == 9


def test_folds_are_averaged(tmp_path: Path) -> None:
    def score(values: Mapping[str, Any], fold: int, *_: Any) -> float:
        return distance(values) + [0.0, 0.1, 0.5][fold]

    found = run(Search({"learning_rate": RATE}, algorithm="random", trials=4), score, tmp_path, folds=3)
    for trial in found.trials:
        parts = [distance(trial.values) + more for more in (0.0, 0.1, 0.5)]
        assert trial.folds == pytest.approx(parts)
        assert trial.score == pytest.approx(statistics.fmean(parts))
        assert trial.deviation == pytest.approx(statistics.pstdev(parts))
    row = found.rows()[0]
    assert row["score_deviation"] == pytest.approx(0.216, abs=1e-3)
    assert len(row["fold_scores"]) == 3


def test_bad_trials_end_after_a_fold(tmp_path: Path) -> None:
    folds: list[int] = []

    def score(values: Mapping[str, Any], fold: int, *_: Any) -> float:
        folds.append(fold)
        return distance(values) + (0 if fold == 0 else 10)  # the first one is easy

    found = run(Search({"learning_rate": RATE}, algorithm="random", trials=12), score, tmp_path, folds=3)
    stopped = [trial for trial in found.trials if trial.stopped]
    assert stopped
    assert {len(trial.folds) for trial in stopped} == {1}
    assert len(folds) == 3 * 12 - 2 * len(stopped)
    # Its own mean is of the easy fold only: about 1, where whole ones are above 6.
    assert not found.best[0].stopped
    assert all((trial.score or 0) > 6 for trial in stopped)
    assert all(trial.deviation is None for trial in stopped)


def test_a_trial_that_fails_is_no_end(tmp_path: Path) -> None:
    def score(values: Mapping[str, Any], *_: Any) -> float:
        if values["learning_rate"] > 1e-2:
            raise DataError("the loss is nan at step 3")
        return distance(values)

    found = run(Search({"learning_rate": RATE}, algorithm="random", trials=12), score, tmp_path)
    failed = [trial for trial in found.trials if trial.score is None]
    assert len(found.trials) == 12
    assert failed
    assert all(trial.error.endswith("DataError: the loss is nan at step 3") for trial in failed)
    assert {trial.trial_id for trial in failed}.isdisjoint(row["trial_id"] for row in found.rows())


def test_settings_of_the_configuration() -> None:
    given = {
        "parameters": {"width": {"values": [64, 128]}, "learning_rate": {"min": 1e-4, "max": 1e-1, "scale": "log"}},
        "algorithm": "grid",
        "cross_validation": {"method": "group", "folds": 3, "feature": "island"},
    }
    search = Search.from_json(given)
    assert search.parameters == {"width": Range(values=(64, 128)), "learning_rate": RATE}
    assert search.cross_validation is not None
    assert (search.cross_validation.method, search.cross_validation.feature) == ("group", "island")
