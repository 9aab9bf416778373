"""Which metrics suit a problem, against the Evaluator itself: it computes those, and refuses others."""

from collections.abc import Iterable

import numpy as np
import pytest
from google.protobuf import json_format
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.proto.config_pb2 import EvalConfig
from tensorflow_model_analysis.utils import config_util

from penstock.components.evaluator.metrics import shards
from penstock.components.evaluator.metrics.batch import Batch
from penstock.components.evaluator.slices import Memberships
from penstock.core.errors import ModelError
from penstock.core.labels import PROBLEMS, Problem
from penstock.pipelines.config.evaluation import suiting
from penstock.pipelines.config.evaluation.metric_names import METRICS

ROWS = 40
# Metrics that take a query key, which goes through Beam, and what others cannot be made without.
OF_QUERIES = {"MinLabelPosition", "NDCG", "QueryStatistics"}
SETTINGS = {
    "ConfusionMatrixAtThresholds": '{"thresholds": [0.5]}',
    "PrecisionAtRecall": '{"recall": 0.5}',
    "RecallAtFalsePositiveRate": '{"false_positive_rate": 0.5}',
    "RecallAtPrecision": '{"precision": 0.5}',
    "SensitivityAtSpecificity": '{"specificity": 0.5}',
    "SpecificityAtSensitivity": '{"sensitivity": 0.5}',
    "ThresholdAtRecall": '{"recall": 0.5}',
}


def evaluate(metrics: Iterable[str], problem: Problem) -> None:
    """Evaluates predictions as those of a model without code; a ModelError if a metric does not fit."""
    random = np.random.default_rng(0)
    numbers = random.normal(50, 20, (2, ROWS, 1)).astype(np.float32)
    scores = random.random((ROWS, 3)).astype(np.float32)
    labels, predictions = {
        "binary": (random.integers(0, 2, (ROWS, 1)).astype(np.float32), scores[:, :1]),
        "multiclass": (random.integers(0, 3, (ROWS, 1)), scores / scores.sum(axis=1, keepdims=True)),
        "regression": (numbers[0], numbers[1]),
    }[problem]
    configs = [{"class_name": metric, "config": SETTINGS.get(metric, "")} for metric in metrics]
    specs = {"model_specs": [{"label_key": "label"}], "metrics_specs": [{"metrics": configs}]}
    config = config_util.update_eval_config_with_defaults(json_format.ParseDict(specs, EvalConfig()))
    extracts = {constants.LABELS_KEY: labels, constants.PREDICTIONS_KEY: predictions}
    batch = Batch(config, extracts, np.arange(ROWS), Memberships(np.arange(ROWS + 1), np.zeros(ROWS, int)))
    with shards.fitting():
        shards.empty(config).add(batch, batch)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_what_suits_is_computed(problem: Problem) -> None:
    suiting_ones = [metric for metric in METRICS if not suiting.misfit(metric, problem)]
    lacking = {"MeanRelativeError"}  # Keras makes it of a tensor alone
    evaluate([metric for metric in suiting_ones if metric not in OF_QUERIES | lacking], problem)


@pytest.mark.parametrize(
    ("metric", "problem", "compared"),
    [
        ("AUC", "regression", "classes"),
        ("Precision", "regression", "classes"),
        ("CalibrationPlot", "regression", "classes"),
        ("R2Score", "multiclass", "numbers"),
        ("CategoricalCrossentropy", "multiclass", "labels that are rows of 0 and 1"),
        ("SparseCategoricalCrossentropy", "binary", "several classes"),
        ("MultiClassConfusionMatrixPlot", "binary", "several classes"),
    ],
)
def test_what_the_evaluator_refuses_does_not_suit(metric: str, problem: Problem, compared: str) -> None:
    assert suiting.misfit(metric, problem).startswith(f"{metric} is for {compared}, and the label is ")
    with pytest.raises(ModelError, match="a metric does not fit the labels and predictions"):
        evaluate([metric], problem)


def test_a_share_is_compared_as_a_probability_is() -> None:
    assert suiting.misfit("AUC", "regression", is_share=True) == ""
    assert suiting.misfit("SparseCategoricalAccuracy", "regression", is_share=True)
    assert suiting.misfit("MyMetric", "regression") == ""


def test_of_each_metric_it_is_known_what_it_is_for() -> None:
    kinds = [suiting._OF_ANY, *suiting._COMPARED.values()]
    assert set().union(*kinds) == set(METRICS)
    assert sum(map(len, kinds)) == len(set(METRICS)), "and of each once"
