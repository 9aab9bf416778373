"""A search without code in the words of Vertex AI's tuning service: of aiplatform_v1's own messages, and KerasTuner's
values."""

from typing import Any

import pytest
from google.cloud import aiplatform_v1
from google.protobuf import json_format

from penstock.trainer.network.hyperparameters import Hyperparameters
from penstock.trainer.tuning import space, vertex_study
from penstock.trainer.tuning.settings import CrossValidation, Range, Search

pytestmark = pytest.mark.filterwarnings("default")  # Google's and KerasTuner's are their own
KINDS = Hyperparameters.kinds()
LINEAR, LOG = "UNIT_LINEAR_SCALE", "UNIT_LOG_SCALE"


def study(**more: Any) -> dict[str, Any]:
    """Returns the StudySpec as the service reads it."""
    search = Search(**{"parameters": {"learning_rate": Range(1e-4, 1e-2, scale="log")}, **more})
    message = aiplatform_v1.StudySpec()
    given = vertex_study.study(search, KINDS, "val_log_loss", "min")
    json_format.ParseDict(given, aiplatform_v1.StudySpec.pb(message))
    return dict(json_format.MessageToDict(aiplatform_v1.StudySpec.pb(message)))


@pytest.mark.parametrize(
    ("name", "entry", "expected"),
    [
        ("dropout", Range(0.1, 0.5), {"scaleType": LINEAR, "doubleValueSpec": {"minValue": 0.1, "maxValue": 0.5}}),
        (
            "learning_rate",
            Range(1e-4, 1e-2, scale="log"),
            {"scaleType": LOG, "doubleValueSpec": {"minValue": 1e-4, "maxValue": 1e-2}},
        ),
        ("depth", Range(1, 4), {"scaleType": LINEAR, "integerValueSpec": {"minValue": "1", "maxValue": "4"}}),
        ("depth", Range(1, 4, step=1), {"scaleType": LINEAR, "integerValueSpec": {"minValue": "1", "maxValue": "4"}}),
        (
            "width",
            Range(16, 4096, scale="log"),
            {"scaleType": LOG, "integerValueSpec": {"minValue": "16", "maxValue": "4096"}},
        ),
        (
            "width",
            Range(64, 250, step=64),
            {"scaleType": LINEAR, "discreteValueSpec": {"values": [64.0, 128.0, 192.0]}},
        ),
        (
            "batch_size",
            Range(32, 256, step=2, scale="log"),
            {"scaleType": LOG, "discreteValueSpec": {"values": [32.0, 64.0, 128.0, 256.0]}},
        ),
        ("dropout", Range(values=(0.2, 0, 0.1)), {"scaleType": LINEAR, "discreteValueSpec": {"values": [0, 0.1, 0.2]}}),
        ("width", Range(values=(512, 64)), {"scaleType": LOG, "discreteValueSpec": {"values": [64.0, 512.0]}}),
    ],
)
def test_a_parameter(name: str, entry: Range, expected: dict[str, Any]) -> None:
    assert study(parameters={name: entry})["parameters"] == [{"parameterId": name, **expected}]


@pytest.mark.parametrize(
    ("name", "entry"),
    [
        ("width", Range(64, 250, step=64)),
        ("batch_size", Range(32, 300, step=3, scale="log")),
        ("dropout", Range(0.1, 0.7, step=0.1)),
        ("dropout", Range(0, 0.5, step=0.1)),
        ("learning_rate", Range(1e-4, 1e-1, step=10, scale="log")),
        ("weight_decay", Range(1e-5, 1, step=3, scale="log")),
    ],
)
def test_steps_are_kerastuners(name: str, entry: Range) -> None:
    (parameter,) = study(parameters={name: entry})["parameters"]
    (theirs,) = space.hyperparameters({name: entry}, KINDS).space
    assert parameter["discreteValueSpec"]["values"] == list(theirs.values)


def test_how_long_and_by_what() -> None:
    found = study(algorithm="grid", minutes=1.5, parameters={"depth": Range(1, 4)})
    assert found["metrics"] == [{"metricId": "val_log_loss", "goal": "MINIMIZE"}]
    assert found["algorithm"] == "GRID_SEARCH"
    assert found["studyStoppingConfig"] == {
        "maximumRuntimeConstraint": {"maxDuration": "90s"},
        "minNumTrials": 1,
    }
    assert found["medianAutomatedStoppingSpec"] == {}
    assert found["measurementSelectionType"] == "BEST_MEASUREMENT"
    plain = study(early_stopping=False)
    assert {"algorithm", "studyStoppingConfig", "medianAutomatedStoppingSpec"} & set(plain) == set()


def test_folds_are_a_mean_and_not_the_luckiest() -> None:
    assert study(cross_validation=CrossValidation())["measurementSelectionType"] == "LAST_MEASUREMENT"


@pytest.mark.parametrize(
    ("trials", "parallel", "expected"), [(40, 4, (40, 4, 20)), (12, 4, (12, 4, 10)), (3, 4, (3, 3, 3))]
)
def test_how_many_trials(trials: int, parallel: int, expected: tuple[int, ...]) -> None:
    search = Search(parameters={"depth": Range(1, 4)}, trials=trials)
    job = vertex_study.completed({"parallelTrialCount": parallel}, search, KINDS, "val_log_loss", "min")
    assert (job["maxTrialCount"], job["parallelTrialCount"], job["maxFailedTrialCount"]) == expected
