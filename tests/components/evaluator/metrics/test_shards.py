"""Why a metric fails: what does not fit the labels and predictions is told apart from the machine and from defects."""

from typing import Any

import apache_beam as beam
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.metrics.metric_types import MetricComputation, MetricKey
from tensorflow_model_analysis.proto.config_pb2 import EvalConfig

from penstock.components.evaluator.metrics import keras_metrics, shards
from penstock.components.evaluator.metrics.batch import Batch
from penstock.components.evaluator.slices import Memberships
from penstock.components.evaluator.tfma.combiners import Combiners
from penstock.core.errors import ModelError

CONFIG = text_format.Parse(
    "model_specs { label_key: 'label' } metrics_specs { metrics { class_name: 'Hinge' } }", EvalConfig()
)
OF_THE_MACHINE = [MemoryError("no more"), tf.errors.ResourceExhaustedError(None, None, "OOM")]


@pytest.fixture
def batch() -> Batch:
    extracts = {constants.LABELS_KEY: np.ones((2, 1)), constants.PREDICTIONS_KEY: np.ones((2, 1))}
    return Batch(CONFIG, extracts, np.arange(2), Memberships(np.arange(3), np.zeros(2, int)))


class Raises(beam.CombineFn):  # type: ignore[misc]
    """A metric of a user's."""

    def __init__(self, error: Exception):
        self._error = error

    def create_accumulator(self) -> None:
        return None

    def add_input(self, *_: Any) -> None:
        raise self._error


def combiners(error: Exception) -> Combiners:
    return Combiners([MetricComputation([MetricKey("own")], None, Raises(error))])


@pytest.mark.parametrize("error", [ValueError("a row too many"), TypeError("no number")])
def test_what_does_not_fit_is_of_the_model(error: Exception) -> None:
    with (
        pytest.raises(ModelError, match=f"a metric does not fit the labels and predictions: {error}"),
        shards.fitting(),
    ):
        raise error


@pytest.mark.parametrize("error", [KeyError("column"), *OF_THE_MACHINE])
def test_a_defect_and_the_machine_are_not_of_the_model(error: Exception) -> None:
    with pytest.raises(type(error)), shards.fitting():
        raise error


def test_whatever_a_metric_of_a_users_raises_is_a_misfit(batch: Batch) -> None:
    with pytest.raises(ModelError, match="does not fit the labels and predictions: 'score'"), shards.fitting():
        combiners(KeyError("score")).add(batch)


@pytest.mark.parametrize("error", OF_THE_MACHINE)
def test_metrics_pass_on_what_is_the_machines(error: Exception, batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(type(error)), shards.fitting():
        combiners(error).add(batch)

    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(keras_metrics, "_values", fails)
    with pytest.raises(type(error)), shards.fitting():
        shards.empty(CONFIG).add(batch, batch)
