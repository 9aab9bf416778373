"""A trial of Vertex AI's tuning service: what it tells the service, and what the Tuner's task."""

import json
import statistics
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.components.tuner import vertex_trial
from penstock.components.tuner.vertex_trial import TrialReport
from penstock.core.errors import ConfigError

pytestmark = pytest.mark.filterwarnings("default")  # KerasTuner's are its own
GIVEN = ("examples", "transform_graph", "schema", "statistics", "custom_config")


@pytest.fixture
def run(arguments: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Returns a function that runs trial 7 with these values, and returns its exit code."""
    monkeypatch.setenv("CLOUD_ML_TRIAL_ID", "7")
    monkeypatch.setenv("CLOUD_ML_HP_METRIC_FILE", str(tmp_path / "hypertune" / "output.metrics"))

    def run(*values: str, **tuning: Any) -> int:
        given = arguments(**tuning)
        optional = {"base_model": None, "raw_examples": None, "train_args": "", "eval_args": ""}
        argument = {**{name: given[name] for name in GIVEN}, **optional, "trials": str(tmp_path / "trials")}
        return vertex_trial.main(json.dumps(argument), values)

    return run


def lines(folder: Path) -> list[dict[str, Any]]:
    """What the service reads. Of a line that is being written the beginning may be there already."""
    whole, _, _ = (folder / "hypertune" / "output.metrics").read_text().rpartition("\n")
    return [json.loads(line) for line in whole.splitlines()]


@pytest.mark.slow
def test_it_tells_each_epoch_and_the_result(run: Callable[..., int], tmp_path: Path) -> None:
    """The lines are those of cloudml-hypertune 0.1.0.dev6: texts, but for the time."""
    assert run("--learning_rate=0.01") == 0
    found = lines(tmp_path)
    kinds = {"checkpoint_path": str, "global_step": str, "timestamp": float, "trial": str, "val_log_loss": str}
    assert [{key: type(value) for key, value in line.items()} for line in found] == [kinds] * 3
    assert [line["global_step"] for line in found] == ["1", "2", "3"]
    assert {line["trial"] for line in found} == {"7"}
    told = TrialReport.read(tmp_path / "trials", "7")
    assert told == TrialReport((float(found[-1]["val_log_loss"]),), ended=True)
    assert told.scores[0] <= min(float(line["val_log_loss"]) for line in found)
    assert [path.name for path in (tmp_path / "trials").iterdir()] == ["7.json"]  # no checkpoints are left


@pytest.mark.slow
def test_it_tells_each_fold(run: Callable[..., int], tmp_path: Path) -> None:
    assert run("--learning_rate=0.01", cross_validation={"folds": 3}) == 0
    told = TrialReport.read(tmp_path / "trials", "7")
    assert len(set(told.scores)) == 3
    means = [statistics.fmean(told.scores[: count + 1]) for count in range(3)]
    assert [float(line["val_log_loss"]) for line in lines(tmp_path)] == means
    assert [line["global_step"] for line in lines(tmp_path)] == ["1", "2", "3"]


def test_why_it_failed(run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--learning_rate=1e30") == 2
    told = TrialReport.read(tmp_path / "trials", "7")
    assert told.error.startswith("DataError: the loss is ")
    assert not told.ended
    assert "penstock: the loss is " in capsys.readouterr().err


def test_what_it_cannot_mend_is_told_with_its_traceback(run: Callable[..., int], tmp_path: Path) -> None:
    """After its first fold, whose score is kept."""
    (tmp_path / "hypertune").mkdir()
    (tmp_path / "hypertune" / "output.metrics").mkdir()  # a folder, where a file is to be written
    with pytest.raises(IsADirectoryError):
        run("--learning_rate=0.01", cross_validation={"folds": 2})
    told = TrialReport.read(tmp_path / "trials", "7")
    assert told.error.startswith("IsADirectoryError: ")
    assert "Traceback" in told.details
    assert len(told.scores) == 1


@pytest.mark.slow
def test_one_that_lost_its_machine_goes_on(
    run: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = vertex_trial.MetricFile.add

    def lose(self: Any, step: int, value: float) -> None:
        if step == 2:
            raise SystemExit
        add(self, step, value)

    monkeypatch.setattr(vertex_trial.MetricFile, "add", lose)
    with pytest.raises(SystemExit):
        run("--learning_rate=0.01")
    monkeypatch.setattr(vertex_trial.MetricFile, "add", add)
    (before,) = lines(tmp_path)
    assert run("--learning_rate=0.01") == 0
    assert [line["global_step"] for line in lines(tmp_path)] == ["2", "3"]
    whole = TrialReport.read(tmp_path / "trials", "7")
    (tmp_path / "trials" / "7.json").unlink()
    assert run("--learning_rate=0.01") == 0
    assert lines(tmp_path)[0]["val_log_loss"] == before["val_log_loss"]
    assert TrialReport.read(tmp_path / "trials", "7").scores == pytest.approx(whole.scores, rel=1e-4)


def test_who_reads_meanwhile_finds_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a hundred at most, the last ones."""
    monkeypatch.setenv("CLOUD_ML_HP_METRIC_FILE", str(tmp_path / "hypertune" / "output.metrics"))
    reports = vertex_trial.MetricFile("val_auc", "7")
    reports.add(1, 0.5)

    def write() -> None:
        for step in range(2, 100):
            reports.add(step, 0.5)

    writer, counts = threading.Thread(target=write), [1]
    writer.start()
    while writer.is_alive():
        counts.append(len(lines(tmp_path)))
    writer.join()
    assert counts == sorted(counts)
    for step in range(100, 131):
        reports.add(step, 0.5)
    assert [int(line["global_step"]) for line in lines(tmp_path)] == list(range(31, 131))


def test_the_values_it_is_given() -> None:
    given = ["--width=64.0", "--depth", "3", "--learning_rate=1e-05", "--dropout", "0"]
    found = vertex_trial.parse(given)
    assert found == {"width": 64, "depth": 3, "learning_rate": 1e-5, "dropout": 0.0}
    assert [type(value) for value in found.values()] == [int, int, float, float]


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ("--wdth=3", "expected --name=value of a hyperparameter, received '--wdth=3'"),
        ("3", "expected --name=value of a hyperparameter, received '3'"),
        ("--width=many", "expected a number for each hyperparameter: argument --width: invalid float value: 'many'"),
    ],
)
def test_values_that_are_none(argument: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        vertex_trial.parse([argument])


def test_it_is_the_services_to_start(
    run: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CLOUD_ML_TRIAL_ID")
    assert run("--learning_rate=0.01") == 2
    assert "CLOUD_ML_TRIAL_ID: expected the trial's name" in capsys.readouterr().err
