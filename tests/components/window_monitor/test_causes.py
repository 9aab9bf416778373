"""What is likely behind a shift of numbers and of texts."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from penstock.components.monitoring.measures.bins import FeatureBins
from penstock.components.window_monitor import causes

GENERATOR = np.random.default_rng(0)
PLACES = np.unique(GENERATOR.integers(90, 3000, 60))  # distances between places, in miles
DISTANCES = GENERATOR.choice(PLACES, 5000, p=np.linspace(1, 3, len(PLACES)) / np.linspace(1, 3, len(PLACES)).sum())
OTHERS = GENERATOR.choice(PLACES, 2000, p=np.linspace(3, 1, len(PLACES)) / np.linspace(3, 1, len(PLACES)).sum())
WINTER = GENERATOR.normal(38, 8, 5000)  # degrees Fahrenheit


def likely(before: npt.NDArray[np.float64], after: npt.NDArray[np.float64]) -> str:
    tables = [pa.table({"x": pa.array(values.reshape(-1, 1).tolist())}) for values in (before, after)]
    return causes.likely(FeatureBins.of("x", pa.array(before, pa.float64())), *tables)


@pytest.mark.parametrize("digits", [0, 1, 9])
@pytest.mark.parametrize(
    ("factor", "told"),
    [
        (1.609344, "Values are 1.61 times larger: kilometres in place of miles?"),
        (1 / 1.609344, "Values are 1.61 times smaller: kilometres in place of miles, or the other way round?"),
    ],
)
def test_another_unit_is_known_by_values_that_repeat_though_others_are_frequent(
    factor: float, told: str, digits: int
) -> None:
    assert likely(DISTANCES, (OTHERS * factor).round(digits)) == told


def test_other_frequent_values_are_no_other_unit() -> None:
    assert "times" not in likely(DISTANCES, OTHERS)


def test_values_that_fill_their_range_tell_another_unit_by_their_quantiles() -> None:
    lengths = GENERATOR.normal(180, 12, 5000).round(1)
    told = " times smaller: millimetres in place of centimetres, or the other way round?"
    assert likely(lengths, lengths[:500] / 10).endswith(told)


def test_temperatures_in_summer_are_higher_and_not_so_many_times_larger() -> None:
    assert likely(WINTER, GENERATOR.normal(77, 8, 3000)).startswith("Values are about 3")
    assert likely(WINTER, GENERATOR.normal(77, 8, 3000)).split(":")[0].endswith(" higher")


def test_words_that_came_and_went_are_named() -> None:
    """Half of the texts no longer have a word that all had, and a quarter have one that training did not know."""
    before = [f"nice place {number}" for number in range(400)]
    after = [f"{'nice' if number % 2 else 'good'} {'Refund' if number % 4 == 0 else 'place'}" for number in range(400)]
    tables = [pa.table({"x": [[text.encode()] for text in texts]}) for texts in (before, after)]
    told = causes.likely(FeatureBins.of("x", pa.array(before), "text"), *tables)
    assert told.startswith("New words in it: 'good', 'refund'. 'nice' is in 50% of the texts, in training 100%.")
