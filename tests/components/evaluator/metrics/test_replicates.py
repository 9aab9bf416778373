import numpy as np
import pytest
from tensorflow_model_analysis.proto.config_pb2 import ConfidenceIntervalOptions, EvalConfig

from penstock.components.evaluator.metrics.replicates import Replicates
from penstock.components.evaluator.slices import Memberships

ROWS = 5000


def replicates(method: int) -> Replicates:
    config = EvalConfig()
    config.options.compute_confidence_intervals.value = True
    config.options.confidence_intervals.method = method  # type: ignore[assignment]
    return Replicates(config)


def drawn(resampled: Replicates, shard: int = 0) -> tuple[np.ndarray, Memberships]:
    """How often each example is in each replicate of slice 0; those with even numbers are in slice 1, too."""
    counts = np.where(np.arange(ROWS) % 2 == 0, 2, 1)
    codes = np.concatenate([[0, 1] if count == 2 else [0] for count in counts])
    members = resampled.drawn(Memberships(np.concatenate([[0], np.cumsum(counts)]), codes), shard, 0)
    positions, codes = members.expand(np.arange(ROWS))
    table = np.zeros((ROWS, 2 * resampled.size), int)
    np.add.at(table, (positions, codes), 1)
    assert (table[1::2, resampled.size :] == 0).all()
    assert (table[::2, : resampled.size] == table[::2, resampled.size :]).all(), "the same draws in every slice"
    return table[:, : resampled.size], members


def test_a_bootstrap_draws_from_poissons_distribution() -> None:
    table, _ = drawn(replicates(ConfidenceIntervalOptions.POISSON_BOOTSTRAP))
    assert (table[:, 0] == 1).all(), "the slice itself"
    assert table[:, 1:].mean() == pytest.approx(1, abs=0.02)
    assert table[:, 1:].var() == pytest.approx(1, abs=0.05)
    assert len({tuple(column) for column in table.T}) == 21


def test_a_jackknife_leaves_each_example_out_of_one_replicate() -> None:
    table, _ = drawn(replicates(ConfidenceIntervalOptions.JACKKNIFE))
    assert (table[:, 0] == 1).all()
    assert (table[:, 1:].sum(axis=1) == 19).all()
    assert (ROWS - table[:, 1:].sum(axis=0)).min() > 150, "of 250 on average"


def test_draws_are_those_of_a_shard_and_a_batch() -> None:
    method = ConfidenceIntervalOptions.POISSON_BOOTSTRAP
    (_, first), (_, again), (_, other) = (drawn(replicates(method), shard) for shard in (0, 0, 1))
    assert np.array_equal(first.codes, again.codes)
    assert not np.array_equal(first.codes, other.codes)


def test_without_intervals_nothing_is_drawn() -> None:
    members = Memberships(np.array([0, 1]), np.array([3]))
    assert Replicates(EvalConfig()).drawn(members, 0, 0) is members
