"""What chance exceeds at a probability, against windows that are drawn."""

from collections.abc import Callable

import numpy as np
import pytest
import scipy.stats

from penstock.components.monitoring.measures import distances, null_distribution

DRAWS, REFERENCE, PROBABILITY = 10_000, 50_000, 0.01
SHARES = {
    "even": np.full(20, 1 / 20),
    "a long tail": (tail := 1 / np.arange(1, 65) ** 1.5) / tail.sum(),
    "rare": np.array([0.9, 0.09, 0.009, 0.0009, 0.0001]),
}


def drawn(shares: np.ndarray, rows: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(7)
    return generator.multinomial(rows, shares, DRAWS), generator.multinomial(REFERENCE, shares, DRAWS)


@pytest.mark.parametrize("rows", [200, 5000])
@pytest.mark.parametrize("name", SHARES)
def test_chance_exceeds_the_distances_as_seldom_as_they_say(name: str, rows: int) -> None:
    shares = SHARES[name]
    window, reference = drawn(shares, rows)
    size = null_distribution.effective_size(rows, REFERENCE)
    jensen_shannon = float(null_distribution.jensen_shannon(shares, size, PROBABILITY))
    limits: dict[Callable[..., np.ndarray], float] = {
        distances.jensen_shannon: jensen_shannon,
        distances.l_infinity: null_distribution.l_infinity(shares, size, PROBABILITY),
        distances.kolmogorov_smirnov: null_distribution.kolmogorov_smirnov(size, PROBABILITY),
    }
    for distance, limit in limits.items():
        beyond = np.mean(distance(window, reference) > limit)
        assert beyond < 1.8 * PROBABILITY, distance
        if name == "even" and distance is not distances.l_infinity:
            assert beyond > 0.1 * PROBABILITY, distance


def test_moments_find_the_tail_that_is_too_far_to_be_drawn() -> None:
    """Of many rows in even bins the divergence is chi-squared's."""
    limit = null_distribution.jensen_shannon(np.full(20, 1 / 20), 100_000, 1e-5)
    chi_squared = scipy.stats.chi2.isf(1e-5, 19)
    assert limit * 8 * np.log(2) * 100_000 == pytest.approx(chi_squared, rel=0.01)


def test_an_excess_is_the_binomials() -> None:
    limit = null_distribution.excess(0.001, 1000, 0.001)
    assert scipy.stats.binom.sf(limit * 1000, 1000, 0.001) <= 0.001
    assert scipy.stats.binom.sf(limit * 1000 - 1, 1000, 0.001) > 0.001


def test_a_window_without_rows_exceeds_nothing() -> None:
    assert null_distribution.effective_size(0, 10) == 0
    assert null_distribution.kolmogorov_smirnov(0, 0.1) == 1
    assert null_distribution.share(0.5, 0, 0.1) == 1
    assert null_distribution.excess(0.5, 0, 0.1) == 1
    assert null_distribution.jensen_shannon(np.array([0.5, 0.5]), 0, 0.1) == 1


@pytest.mark.parametrize(("found", "rows", "window"), [(0, 15_000, 1000), (3, 1750, 200), (40, 15_000, 5000)])
@pytest.mark.parametrize("probability", [0.01, 1e-4, 1e-7])
def test_an_excess_over_a_sample_is_where_the_exact_test_of_two_counts_says(
    found: int, rows: int, window: int, probability: float
) -> None:
    limit = null_distribution.excess_over_sample(np.array([found]), np.array([rows]), window, probability)[0]
    most = round(limit * window)
    below, beyond = (
        scipy.stats.binomtest(count, count + found, window / (window + rows), alternative="greater").pvalue
        for count in (most, most + 1)
    )
    assert beyond <= probability < below
    table = [[most + 1, window - most - 1], [found, rows - found]]
    assert scipy.stats.fisher_exact(table, alternative="greater").pvalue <= probability
