"""Exact quantiles of sorted files, against NumPy's of all values at once."""

from pathlib import Path

import numpy as np
import pytest

from penstock.components.example_cleaner.learning import quantiles


@pytest.mark.parametrize("seed", range(6))
def test_quantiles_are_those_of_all_values(tmp_path: Path, seed: int) -> None:
    draw = np.random.default_rng(seed)
    values = draw.normal(0, 10.0 ** draw.integers(-3, 9), 1 + 997 * (seed > 0))
    values[draw.random(len(values)) < 0.2] = draw.choice([0.0, -0.0, 1e300, -5e-324, 3.0])
    parts = np.array_split(values, 1 + seed)
    files = [quantiles.write(tmp_path / f"{number}.npy", part) for number, part in enumerate(parts)]
    of_all = quantiles.Sorted(files)
    assert of_all.count == len(values)
    for share in (0, 0.001, 0.25, 0.5, 0.99, 1):
        assert of_all.quantile(share) == np.quantile(values, share)
    centre = float(np.median(values))
    away = quantiles.Sorted([quantiles.deviations(path, centre) for path in files])
    assert away.quantile(0.5) == np.median(np.abs(values - centre))


def test_keys_are_in_the_order_of_numbers() -> None:
    values = np.array([-np.inf, -1e300, -1.0, -5e-324, 0.0, 5e-324, 0.5, 1e300, np.inf])
    keys = quantiles.keys(values)
    assert (np.diff(keys) > 0).all()
    assert (quantiles.numbers(keys) == values).all()
