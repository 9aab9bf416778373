"""What replaces TFMA's functions gives the same numbers, to the last bit."""

import importlib.util
from types import ModuleType

import numpy as np
import pytest
from tensorflow_model_analysis.metrics import binary_confusion_matrices, calibration_histogram
from tensorflow_model_analysis.metrics.calibration_histogram import Bucket

from penstock.components.evaluator.metrics import histograms

THRESHOLDS = {
    "between": [-1e-7, 0.2, 0.5, 1 + 1e-7],
    "from zero": [0.0, 0.25, 0.5],
    "below": [float("-inf"), 0.0, 0.5, 1.0],
    "many": binary_confusion_matrices._interpolated_thresholds(10_000),
}


def as_installed(module: ModuleType) -> ModuleType:
    """A second copy of the module, in which nothing is replaced."""
    assert module.__spec__ is not None
    assert module.__spec__.origin is not None
    spec = importlib.util.spec_from_file_location(f"{module.__name__}_as_installed", module.__spec__.origin)
    assert spec is not None
    assert spec.loader is not None
    copy = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(copy)
    return copy


@pytest.mark.parametrize("count", [0, 1, 3000])
@pytest.mark.parametrize("case", THRESHOLDS)
def test_rebinned_and_made_matrices_of(case: str, count: int) -> None:
    theirs, thresholds = as_installed(calibration_histogram), THRESHOLDS[case]
    random = np.random.default_rng(1)
    numbers, sums = np.sort(random.choice(10_002, count, replace=False)), random.random((count, 3)) + [0, 0, 1]
    buckets = [Bucket(int(number), *part) for number, part in zip(numbers, sums.tolist(), strict=True)]
    for edges in ({}, {"left": -5.0, "right": 5.0}):
        expected = theirs.rebin(thresholds, buckets, **edges)
        found = histograms.rebin(thresholds, histograms.Histogram(numbers, sums), **edges)
        assert [vars(bucket) for bucket in found] == [vars(bucket) for bucket in expected]
        matrices = as_installed(binary_confusion_matrices)._histogram_to_binary_confusion_matrices(thresholds, expected)
        assert histograms.matrices(thresholds, found) == matrices


def test_matrices_of_everything_predicted() -> None:
    """With one threshold below all predictions, TFMA takes the histogram as it is."""
    ours = histograms.matrices([-1.0], histograms.Histogram(np.array([1]), np.array([[2.0, 0.7, 5.0]])))
    assert (ours.tp, ours.fp, ours.tn, ours.fn) == ([2.0], [3.0], [0.0], [0.0])
    assert histograms.matrices([-1.0], histograms.Histogram(np.zeros(0, int), np.zeros((0, 3)))).tp == [0.0]
