"""The search of Vertex AI's own tuning service: its job is followed, and its trials, real ones, become the outputs."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras_tuner
import pytest

from penstock.components.jobs import follow
from penstock.components.jobs.follow import Terminated
from penstock.components.tuner import launcher, vertex_trial
from penstock.core.errors import ConfigError, DataError, ModuleError, ServerError, SystemFailure
from penstock.core.services import retries
from tests.servers.loopback import Cut, Request, Status
from tests.servers.mounts import as_mounted
from tests.servers.vertex import TuningVertexAI, VertexAI

pytestmark = [
    pytest.mark.usefixtures("forks"),
    pytest.mark.filterwarnings("default"),  # KerasTuner's are its own
    pytest.mark.filterwarnings("ignore:.*:UserWarning:google"),
]
RATE = {"learning_rate": {"min": 1e-4, "max": 1e-1, "scale": "log"}}
START, LOOK = ("POST", "/hyperparameterTuningJobs"), ("GET", "/hyperparameterTuningJobs/{id}")
type Search = Callable[..., Any]


def _described(server: VertexAI, parallel: int = 1) -> str:
    pool = {
        "machineSpec": {"machineType": "e2-standard-4"},
        "containerSpec": {"imageUri": "penstock:1", "command": ["python3", "-m", vertex_trial.__spec__.name]},
        "replicaCount": "1",
    }
    job = {"trialJobSpec": {"workerPoolSpecs": [pool]}, "parallelTrialCount": parallel, "labels": {"team": "a"}}
    connection = {"project": "p", "location": "us-central1", "timeout": 5, "api_endpoint": server.url}
    return json.dumps({"connection": connection, "job": job})


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[VertexAI]:
    """A service whose jobs and trials are what a test says."""
    monkeypatch.setattr(retries, "PAUSE", 0.01)
    monkeypatch.setattr(follow, "INTERVAL", 0.01)
    as_mounted(monkeypatch, "gs", Path("/"), tmp_path / "mountinfo")
    with VertexAI() as running:
        monkeypatch.setenv(launcher.SERVICE, _described(running))
        yield running


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TuningVertexAI]:
    """A service that runs the trials, two at a time."""
    monkeypatch.setattr(follow, "INTERVAL", 0.2)
    as_mounted(monkeypatch, "gs", Path("/"), tmp_path / "mountinfo")
    with TuningVertexAI(tmp_path / "hypertune") as server:
        monkeypatch.setenv(launcher.SERVICE, _described(server, parallel=2))
        yield server


def ended(state: str, *trials: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"state": f"JOB_STATE_{state}", "trials": [*trials], **more}


def trial(
    one: str, rate: float, score: float | None = None, metric: str = "val_log_loss", **more: Any
) -> dict[str, Any]:
    """A trial as the service has it; `score` is its final measurement."""
    measured = (
        {}
        if score is None
        else {"finalMeasurement": {"stepCount": 3, "metrics": [{"metricId": metric, "value": score}]}}
    )
    state = "INFEASIBLE" if score is None else "SUCCEEDED"
    return {
        "id": one,
        "state": state,
        "parameters": [{"parameterId": "learning_rate", "value": rate}],
        **measured,
    } | more


def tell(outputs: dict[str, str], one: str, **told: Any) -> None:
    """Writes what a trial says of itself."""
    vertex_trial.TrialReport(**told).write(Path(outputs["tuner_results"]) / "trials", one)


def found(outputs: dict[str, str]) -> list[dict[str, Any]]:
    return list(json.loads((Path(outputs["tuner_results"]) / "tuner_results.json").read_text()))


@pytest.mark.slow
def test_a_search_from_the_first_trial_to_the_report(
    running: TuningVertexAI, arguments: Search, outputs: dict[str, str]
) -> None:
    """Its trials are real ones; the last, with a learning rate that is none, fails alone."""
    rates = {"learning_rate": {"values": [1e-5, 1e-2, 1e30]}, "width": {"min": 16, "max": 17, "step": 2}}
    search = {"algorithm": "grid", "parameters": rates, "trials": 9, "early_stopping": False}
    result = launcher.run(workers=1, **arguments(**search))
    rows = found(outputs)
    assert [(row["learning_rate"], row["width"]) for row in rows] == [(1e-2, 16), (1e-5, 16)]
    assert isinstance(rows[0]["width"], int)
    assert rows[0]["score"] < 0.5 < rows[1]["score"]  # the log loss of 3 classes: 1.1 for one that knows nothing
    best = json.loads((Path(outputs["best_hyperparameters"]) / "best_hyperparameters.txt").read_text())
    assert keras_tuner.HyperParameters.from_config(best).values == {"learning_rate": 1e-2, "width": 16}
    assert Path(outputs["report"]).read_text().count("DataError: the loss is") == 2  # in the table and in the plot
    assert result.metadata["best_hyperparameters"]["objective"] == "val_log_loss"
    assert result.metadata["best_hyperparameters"]["score"] == rows[0]["score"]
    assert result.metadata["tuner_results"]["trials"] == 3
    (job,) = running.stored["hyperparameterTuningJobs"].values()
    assert [one.state.name for one in job.trials] == ["SUCCEEDED", "SUCCEEDED", "INFEASIBLE"]
    assert [one.step_count for one in job.trials[0].measurements] == [1, 2, 3]
    # What the service chose as a trial's result is what the trial says itself.
    of = {one.id: one.final_measurement.metrics[0].value for one in job.trials if one.measurements}
    assert {row["trial_id"]: row["score"] for row in rows} == pytest.approx(of)


@pytest.mark.slow
def test_a_bad_trial_is_ended_and_keeps_its_best_epoch(
    running: TuningVertexAI, arguments: Search, outputs: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is sought is the worst model, so that the first trial of the grid is the good one."""
    monkeypatch.setenv(launcher.SERVICE, _described(running, parallel=1))
    rates = {"learning_rate": {"values": [1e-9, 1e-2]}}
    search = {"algorithm": "grid", "parameters": rates, "objective": "val_log_loss", "direction": "max"}
    launcher.run(workers=1, **arguments(**search, training={"epochs": 60, "patience": 0}))
    good, bad = found(outputs)
    assert (good["learning_rate"], bad["learning_rate"]) == (1e-9, 1e-2)
    report = Path(outputs["report"]).read_text()
    assert "2 trials, 1 stopped early" in report
    (job,) = running.stored["hyperparameterTuningJobs"].values()
    measured = [one.metrics[0].value for one in job.trials[1].measurements]
    assert len(measured) < 60
    assert bad["score"] == pytest.approx(max(measured))


def test_the_job_asks_for_what_the_search_is(server: VertexAI, arguments: Search, outputs: dict[str, str]) -> None:
    server.states += [ended("SUCCEEDED", trial("1", 0.01, 0.3, "val_accuracy"))]
    search = {"parameters": RATE | {"width": {"min": 64, "max": 256, "step": 64}}, "minutes": 30, "algorithm": "random"}
    launcher.run(workers=1, **arguments(**search, objective="val_accuracy", direction="max", trials=40), working_dir="")
    (job,) = server.sent(*START)
    assert job["displayName"] == launcher.WORK.job_name(outputs["best_hyperparameters"])
    assert job["studySpec"]["metrics"] == [{"metricId": "val_accuracy", "goal": 1}]
    assert (job["maxTrialCount"], job["parallelTrialCount"], job["maxFailedTrialCount"]) == (40, 1, 20)
    assert job["labels"] == {"team": "a"}
    (pool,) = job["trialJobSpec"]["workerPoolSpecs"]
    given = json.loads(pool["containerSpec"]["args"][0])
    assert given["trials"] == f"{outputs['tuner_results']}/trials"
    assert set(outputs) & set(given) == set()


def test_trials_become_the_outputs(server: VertexAI, arguments: Search, outputs: dict[str, str]) -> None:
    """What a trial says of itself comes before what the service knows."""
    job = ended(
        "SUCCEEDED",
        trial("10", 0.02, 0.9),
        trial("2", 0.03),
        trial("9", 0.01, 0.3),
        trial("3", 0.04, infeasibleReason="its machine was\nlost"),
        trial("4", 0.05, 0.1, state="ACTIVE", finalMeasurement={}),
    )
    server.states += [{"state": "JOB_STATE_RUNNING"}, job]
    looked = server.answer

    def answer(request: Request) -> Any:
        if (request.method, request.route) == LOOK:
            tell(outputs, "2", error="DataError: the loss is nan")
            tell(outputs, "10", scores=(0.25,), ended=True)
            (Path(outputs["tuner_results"]) / "trials" / "9" / "fold-0").mkdir(parents=True, exist_ok=True)
        return looked(request)

    server.answer = answer  # type: ignore[method-assign]
    launcher.run(workers=1, **arguments())
    assert [(row["trial_id"], row["score"]) for row in found(outputs)] == [("10", 0.25), ("9", 0.3)]
    report = Path(outputs["report"]).read_text()
    for told in (
        "DataError: the loss is nan",
        "its machine was lost",
        "it reported no val_log_loss",
        "1 stopped early",
    ):
        assert told in report
    assert sorted(path.name for path in (Path(outputs["tuner_results"]) / "trials").iterdir()) == ["10.json", "2.json"]


def test_folds_come_back(server: VertexAI, arguments: Search, outputs: dict[str, str]) -> None:
    """A trial that was stopped after an easy fold is no better than the median of those that had all."""
    job = ended("SUCCEEDED", trial("1", 0.02, 0.9), trial("2", 0.03, 0.8), trial("3", 0.01, 0.1))
    server.states += [{"state": "JOB_STATE_RUNNING"}, job]
    looked = server.answer

    def answer(request: Request) -> Any:
        if (request.method, request.route) == LOOK:
            tell(outputs, "1", scores=(0.8, 1.0), ended=True)
            tell(outputs, "2", scores=(0.6, 0.8), ended=True)
            tell(outputs, "3", scores=(0.1,))
        return looked(request)

    server.answer = answer  # type: ignore[method-assign]
    launcher.run(workers=1, **arguments(cross_validation={"folds": 2}))
    first, second, last = found(outputs)
    assert (first["trial_id"], first["score"]) == ("2", pytest.approx(0.7))
    assert first["fold_scores"] == [0.6, 0.8]
    assert first["score_deviation"] == pytest.approx(0.1)
    assert (second["trial_id"], second["score"]) == ("3", pytest.approx(0.8))
    assert last["trial_id"] == "1"
    assert "± 0.1" in Path(outputs["report"]).read_text()


@pytest.mark.parametrize(
    ("job", "kind", "sentence"),
    [
        (
            ended("SUCCEEDED", trial("1", 0.1), trial("2", 0.2)),
            ModuleError,
            "tuner: none of the 2 trials succeeded; the last one: DataError: the loss is inf",
        ),
        (
            ended("FAILED", trial("1", 0.1), trial("2", 0.2), error={"message": "Too many failed trials."}),
            ModuleError,
            r"tuner: projects/p/.*/1000 ended as failed: Too many failed trials.; the last one: DataError: the loss",
        ),
        (
            ended("FAILED", error={"message": "no quota\nfor that"}),
            SystemFailure,
            "/1000 ended as failed: no quota for that",
        ),
        (ended("CANCELLED", error={"message": "by hand"}), SystemFailure, "ended as cancelled: by hand"),
        (ended("SUCCEEDED"), ModuleError, "the search made no trial: see the log of its job"),
    ],
)
def test_a_search_without_a_result_is_one_sentence(
    server: VertexAI, arguments: Search, outputs: dict[str, str], job: Any, kind: type, sentence: str
) -> None:
    server.states += [{"state": "JOB_STATE_RUNNING"}, job]
    looked = server.answer

    def answer(request: Request) -> Any:
        if (request.method, request.route) == LOOK:
            tell(outputs, "2", error="DataError: the loss is inf", details="line 3")
        return looked(request)

    server.answer = answer  # type: ignore[method-assign]
    with pytest.raises(kind, match=sentence) as raised:
        launcher.run(workers=1, **arguments())
    assert "\n" not in raised.value.message  # type: ignore[attr-defined]
    assert not (Path(outputs["tuner_results"]) / "tuner_results.json").exists()


def test_a_task_that_is_tried_again_follows_its_job(
    server: VertexAI, arguments: Search, outputs: dict[str, str]
) -> None:
    server.states += [{"state": "JOB_STATE_RUNNING"}]
    server.fail(*LOOK, Status(403, "no"))
    with pytest.raises(ServerError, match="403"):
        launcher.run(workers=1, **arguments())
    tell(outputs, "1", scores=(0.2,), ended=True)
    server.states += [ended("SUCCEEDED", trial("1", 0.01, 0.3))]
    launcher.run(workers=1, **arguments())
    launcher.run(workers=1, **arguments())  # also one that has succeeded, whose trials have been read already
    assert [row["score"] for row in found(outputs)] == [0.2]
    assert len(server.stored["hyperparameterTuningJobs"]) == 1


def test_after_a_failure_another_job_is_started(server: VertexAI, arguments: Search, outputs: dict[str, str]) -> None:
    server.states += [ended("FAILED", error={"message": "no quota"})]
    with pytest.raises(SystemFailure, match="no quota"):
        launcher.run(workers=1, **arguments())
    tell(outputs, "1", scores=(0.2,), ended=True)  # of the job that failed
    server.states += [ended("SUCCEEDED", trial("1", 0.01, 0.3))]
    launcher.run(workers=1, **arguments())
    assert [row["score"] for row in found(outputs)] == [0.3]
    assert len(server.stored["hyperparameterTuningJobs"]) == 2


@pytest.mark.parametrize("failure", [Cut(after=True), Cut(after=False), Status(503, "busy")])
def test_a_lost_answer_starts_no_second_job(server: VertexAI, arguments: Search, failure: Any) -> None:
    server.fail(*START, failure)
    server.states += [ended("SUCCEEDED", trial("1", 0.01, 0.3))]
    launcher.run(workers=1, **arguments())
    assert len(server.stored["hyperparameterTuningJobs"]) == 1


def test_a_task_that_is_ended_ends_its_search(server: VertexAI, arguments: Search) -> None:
    looked = server.answer

    def answer(request: Request) -> Any:
        if (request.method, request.route) == LOOK:
            os.kill(os.getpid(), signal.SIGTERM)
        return looked(request)

    server.answer = answer  # type: ignore[method-assign]
    server.states += [{"state": "JOB_STATE_RUNNING"}] * 1000
    with pytest.raises(Terminated):
        launcher.run(workers=1, **arguments())
    (job,) = server.stored["hyperparameterTuningJobs"].values()
    assert job.state.name == "JOB_STATE_CANCELLED"


def test_what_no_trial_can_mend_ends_the_search(
    server: VertexAI, arguments: Search, outputs: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trial runs where the service looks for it: in this process."""
    monkeypatch.setenv("CLOUD_ML_TRIAL_ID", "1")
    monkeypatch.setenv("CLOUD_ML_HP_METRIC_FILE", str(tmp_path / "output.metrics"))
    looked = server.answer

    def answer(request: Request) -> Any:
        if (request.method, request.route) == LOOK:
            (job,) = server.stored["hyperparameterTuningJobs"].values()
            argument = job.trial_job_spec.worker_pool_specs[0].container_spec.args[0]
            assert vertex_trial.main(argument, ["--learning_rate=0.01"]) == 2
        return looked(request)

    server.answer = answer  # type: ignore[method-assign]
    server.states += [{"state": "JOB_STATE_RUNNING"}] * 1000
    with pytest.raises(DataError, match="cross_validation: expected at least 300 rows, one for each fold, found 233"):
        launcher.run(workers=1, **arguments(cross_validation={"folds": 300}))
    (job,) = server.stored["hyperparameterTuningJobs"].values()
    assert job.state.name == "JOB_STATE_CANCELLED"


@pytest.mark.parametrize(
    ("tuning", "sentence"),
    [
        ({"algorithm": "hyperband"}, r"tuning.algorithm: Vertex AI's tuning service has no hyperband: expected one of"),
        ({"objective": "val_acuracy"}, r"the model does not measure 'val_acuracy'; did you mean 'val_accuracy'\?"),
    ],
)
def test_what_cannot_be_searched_starts_no_job(
    server: VertexAI, arguments: Search, tuning: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        launcher.run(workers=1, **arguments(**tuning))
    assert server.requests == []


def test_a_modules_search_is_none_for_the_service(server: VertexAI, arguments: Search) -> None:
    with pytest.raises(ConfigError, match=r"vertex.tuning_service: expected tuning.parameters, since the service only"):
        launcher.run(workers=1, **{**arguments(), "custom_config": ""})


def test_trials_must_see_the_places(
    server: VertexAI, arguments: Search, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_mounted(monkeypatch, "gs", tmp_path, tmp_path / "mountinfo")
    with pytest.raises(ConfigError, match=r"examples: expected a folder of a bucket, below /gcs, which all workers"):
        launcher.run(workers=1, **arguments())
    assert server.requests == []
