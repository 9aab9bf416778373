"""A search that is killed before any write of its state: its trials and its best values are those of another's.

The scores cost nothing, and the kill is an exception that no code catches: what is on the disk then is what a kill
would leave.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import keras_tuner
import pytest
from keras_tuner.src.engine.base_tuner import BaseTuner
from keras_tuner.src.engine.oracle import Oracle
from keras_tuner.src.engine.trial import TrialStatus

from penstock.core.files import atomic
from penstock.trainer.tuning import oracles, results, resuming, space, trials
from penstock.trainer.tuning.cluster import search
from penstock.trainer.tuning.settings import Range, Search
from penstock.trainer.tuning.trials import Tell, Tuner

pytestmark = [pytest.mark.usefixtures("forks"), pytest.mark.filterwarnings("default")]  # KerasTuner's are its own
PARAMETERS = {"width": Range(values=(64, 128, 256)), "dropout": Range(values=(0.1, 0.2))}
KINDS = {"width": int, "dropout": float}
OBJECTIVE = keras_tuner.Objective("val", "min")


class Kill(BaseException):
    pass


class Writes:
    """Counts the writes of a search's state, and kills before one of them."""

    def __init__(self) -> None:
        self.count, self.last = 0, -1

    def __call__(self, path: Path, content: str) -> None:
        if self.count == self.last:
            raise Kill
        self.count += 1
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Writes]:
    resuming.prepare()
    made = Writes()
    monkeypatch.setattr(atomic, "write_text", made)
    monkeypatch.setattr(trials, "_PAUSE", 0)
    return made


def score(values: Mapping[str, Any], fold: int, epochs: int | None, folder: Path, tell: Tell) -> float:
    """Three epochs that come down to how far the values are from the best; some are equally good."""
    best = abs(values["width"] - 128) / 64 + abs(values.get("dropout", 0) - 0.1)
    for epoch in range(1, min(epochs or 3, 3) + 1):
        if tell(epoch, best + 1 / epoch):
            break
    return best


def without_code(
    algorithm: Any, count: int, parameters: Mapping[str, Range] = PARAMETERS
) -> Callable[[Path], BaseTuner]:
    def make(folder: Path) -> BaseTuner:
        settings = Search(parameters, algorithm, trials=count)
        oracle = oracles.make(settings, space.hyperparameters(parameters, KINDS), OBJECTIVE, 3)
        return Tuner(oracle, score, 1, str(folder))

    return make


class Users(BaseTuner):
    """A tuner of the user's own, for any oracle of KerasTuner's."""

    def run_trial(self, trial: Any, **_: object) -> float:
        return score(trial.hyperparameters.values, 0, None, Path(), lambda step, value: False)


def with_module(oracle: type[Oracle], **options: Any) -> Callable[[Path], BaseTuner]:
    def make(folder: Path) -> BaseTuner:
        made = oracle(objective=OBJECTIVE, hyperparameters=space.hyperparameters(PARAMETERS, KINDS), seed=3, **options)
        return Users(made, directory=str(folder), project_name="search")

    return make


def finish(make: Callable[[Path], BaseTuner], folder: Path) -> results.Results:
    """Runs a search to its end, as `search.run` does."""
    tuner = make(folder)
    tuner.save()
    tuner.search(verbose=0)
    return results.of(tuner.oracle)


FAST = {
    "grid": without_code("grid", 6),
    "random": without_code("random", 5),
    "hyperband": without_code("hyperband", 5),
    "a module's grid": with_module(keras_tuner.oracles.GridSearchOracle),
    "a module's random": with_module(keras_tuner.oracles.RandomSearchOracle, max_trials=4),
    "a module's hyperband": with_module(keras_tuner.oracles.HyperbandOracle, max_epochs=3),
}
BAYESIAN = {
    "bayesian": without_code("bayesian", 5, {"width": Range(min=32, max=512)}),  # the first three are at random
    "a module's bayesian": with_module(
        keras_tuner.oracles.BayesianOptimizationOracle, max_trials=4, num_initial_points=2
    ),
}


def killed_everywhere(make: Callable[[Path], BaseTuner], writes: Writes, folder: Path, every: int = 1) -> int:
    """Kills a search before each write (or before some), and lets it go on; returns how many writes there are."""
    expected = finish(make, folder / "undisturbed")
    assert expected.best
    total = writes.count
    for number in range(0, total, every):
        writes.count, writes.last = 0, number
        with pytest.raises(Kill):
            finish(make, folder / "killed")
        writes.last = -1
        assert finish(make, folder / "killed") == expected, f"killed before write {number} of {total}"
        shutil.rmtree(folder / "killed")
    return total


@pytest.mark.slow
@pytest.mark.parametrize("make", FAST.values(), ids=FAST)
def test_a_kill_changes_nothing(make: Callable[[Path], BaseTuner], writes: Writes, tmp_path: Path) -> None:
    assert killed_everywhere(make, writes, tmp_path) > 20


@pytest.mark.slow
@pytest.mark.parametrize("make", BAYESIAN.values(), ids=BAYESIAN)
def test_a_kill_changes_nothing_of_what_is_learnt(
    make: Callable[[Path], BaseTuner], writes: Writes, tmp_path: Path
) -> None:
    """A proposal takes a second or two: a kill before some of the writes meets each kind of them."""
    assert killed_everywhere(make, writes, tmp_path, every=13) > 20


def test_a_kill_while_a_search_is_removed_leaves_nothing_to_trip_over(
    writes: Writes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trials go one after the other, and what is left of them is no search."""
    make = FAST["grid"]
    expected = finish(make, tmp_path)

    def killed(folder: Path, **_: Any) -> None:
        (folder / "search" / "trial_2" / "trial.json").unlink()
        raise Kill

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", killed)
        with pytest.raises(Kill):
            search.remove(tmp_path)
    search.take_over(tmp_path)
    assert finish(make, tmp_path) == expected


def two_workers(oracle: Oracle) -> None:
    """Runs trials as the chief lets two workers do, which ask in turn."""
    running: dict[str, Any] = {}
    waiting = {"one", "two"}
    while waiting or running:
        for name in sorted(waiting):
            trial = oracle.create_trial(name)
            if trial.status == TrialStatus.RUNNING:
                running[name] = trial
            if trial.status != TrialStatus.IDLE:
                waiting.discard(name)
        for name in sorted(running)[:1]:
            trial = running.pop(name)
            value = score(trial.hyperparameters.values, 0, None, Path(), lambda step, value: False)
            oracle.update_trial(trial.trial_id, {"val": value})
            trial.status = TrialStatus.COMPLETED
            oracle.end_trial(trial)
            oracle.save()  # as _Servicer does
            waiting.add(name)


def test_a_chief_that_is_killed_tries_the_whole_grid(writes: Writes, tmp_path: Path) -> None:
    def finish(folder: Path) -> set[tuple[Any, ...]]:
        tuner = without_code("grid", 6)(folder)
        tuner.save()
        two_workers(tuner.oracle)
        return {(*trial.values.values(), trial.score) for trial in results.of(tuner.oracle).trials}

    expected = finish(tmp_path / "undisturbed")
    assert len(expected) == 6
    total = writes.count
    for number in range(total):
        writes.count, writes.last = 0, number
        with pytest.raises(Kill):
            finish(tmp_path / "killed")
        writes.last = -1
        assert finish(tmp_path / "killed") == expected, f"killed before write {number} of {total}"
        shutil.rmtree(tmp_path / "killed")


def test_a_trial_that_is_run_again_is_scored_again(writes: Writes, tmp_path: Path) -> None:
    """KerasTuner takes a result that is there already for the new attempt's."""
    scores = iter([5.0, 1.0])

    class Changing(Users):
        def run_trial(self, trial: Any, **_: object) -> float:
            return next(scores)

        def on_trial_end(self, trial: Any) -> None:
            if next_is_killed:
                raise Kill
            super().on_trial_end(trial)

    oracle = keras_tuner.oracles.RandomSearchOracle
    space_of = space.hyperparameters(PARAMETERS, KINDS)
    for next_is_killed in (True, False):
        made = oracle(objective=OBJECTIVE, hyperparameters=space_of, seed=3, max_trials=1)
        tuner = Changing(made, directory=str(tmp_path), project_name="search")
        tuner.save()
        if next_is_killed:
            with pytest.raises(Kill):
                tuner.search(verbose=0)
        else:
            tuner.search(verbose=0)
    assert [trial.score for trial in results.of(tuner.oracle).trials] == [1.0]
