"""Batches of examples as arrays."""

import numpy as np
import pytest
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.proto.config_pb2 import EvalConfig, ModelSpec

from penstock.components.evaluator.metrics import comparison
from penstock.components.evaluator.metrics.batch import Batch
from penstock.components.evaluator.metrics.comparison import Comparison
from penstock.components.evaluator.slices import Memberships


def test_without_weights_no_example_is_looked_at_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    config = EvalConfig(model_specs=[ModelSpec(label_key="late")])
    extracts = {constants.LABELS_KEY: np.array([[0.0], [1.0]]), constants.PREDICTIONS_KEY: np.array([[0.2], [0.7]])}
    members = Memberships(np.array([0, 1, 2]), np.array([0, 0]))
    batch = Batch(config, extracts, np.arange(2), members)
    monkeypatch.delattr(comparison, "slow_blocks")
    (weighted,), (plain,) = batch.blocks(Comparison(weighted=True)), batch.blocks(Comparison())
    assert weighted is plain
    assert weighted.weights.tolist() == [1.0, 1.0]
