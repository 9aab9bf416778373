"""What no feature shows alone: see also benchmarks/monitoring."""

import math

import numpy as np
import pyarrow as pa
import pytest

from penstock.components.monitoring.measures import comparison, dependence, thresholds
from penstock.components.monitoring.measures.reference import Reference
from penstock.components.monitoring.measures.thresholds import Sensitivity


def batch(rows: int, seed: int, correlation: float) -> pa.RecordBatch:
    """Two numbers with a correlation, a category that the first tells, and two that are independent of all."""
    generator = np.random.default_rng(seed)
    first, noise, other = generator.normal(size=(3, rows))
    second = correlation * first + np.sqrt(1 - correlation**2) * noise
    names = np.where(first > 0, b"up", b"down")
    names = np.where(generator.random(rows) < 0.2, b"flat", names)
    columns = {"first": first, "second": second, "name": names.astype(object), "other": other}
    offsets = pa.array(np.arange(rows + 1))
    arrays = [
        pa.LargeListArray.from_arrays(offsets, pa.array(values, pa.large_binary() if name == "name" else pa.float64()))
        for name, values in columns.items()
    ]
    return pa.RecordBatch.from_arrays(arrays, list(columns))


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference.of([batch(30_000, 1, 0.6)])


def window(reference: Reference, rows: pa.RecordBatch) -> list[dependence.DependenceShift]:
    counts = reference.window()
    counts.add(rows)
    assert not any(shift.alerts for shift in comparison.compare(reference, counts))
    return dependence.compare(reference, counts)


def test_the_same_dependence_is_quiet(reference: Reference) -> None:
    assert sum(window(reference, batch(1000, seed, 0.6))[0].alerts for seed in range(2, 32)) == 0


def test_a_broken_correlation_is_named_where_both_features_are_as_before(reference: Reference) -> None:
    largest, *others = window(reference, batch(1000, 2, 0.0))
    assert largest.features == ("first", "second")
    assert largest.alerts
    assert largest.rows == 1000
    assert not any(other.alerts for other in others if other.features == ("second", "other"))


def test_a_feature_that_never_alerts_is_in_no_pair(reference: Reference) -> None:
    silent = dict.fromkeys(thresholds.measures(reference.bins["second"]), math.inf)
    counts = reference.window()
    counts.add(batch(1000, 2, 0.0))
    pairs = dependence.compare(reference, counts, Sensitivity(fixed={"second": silent}))
    assert {pair.features for pair in pairs} == {("first", "name"), ("first", "other"), ("name", "other")}
    assert "rare_combinations" in {pair.measure for pair in pairs}
    some = dict(list(silent.items())[:1])
    assert (
        len({one.features for one in dependence.compare(reference, counts, Sensitivity(fixed={"second": some}))}) == 6
    )


def test_a_category_that_a_number_no_longer_tells_is_named(reference: Reference) -> None:
    rows = batch(1000, 2, 0.6)
    names = rows.column("name").take(pa.array(np.random.default_rng(1).permutation(1000)))
    shifted = window(reference, rows.set_column(2, "name", names))
    assert shifted[0].features == ("first", "name")
    assert shifted[0].alerts


def test_a_change_of_one_feature_alone_is_no_change_of_dependence(reference: Reference) -> None:
    rows = batch(20_000, 2, 0.6)
    chosen = np.random.default_rng(1).random(20_000) < np.where(np.asarray(rows.column("first").flatten()) > 0, 1, 0.5)
    counts = reference.window()
    counts.add(rows.filter(pa.array(chosen)))
    assert any(shift.alerts for shift in comparison.compare(reference, counts))
    # Within groups the other feature follows; what is left is far below what a broken correlation has.
    assert max(shift.value for shift in dependence.compare(reference, counts)) < 0.005


def test_without_pairs_or_rows_there_is_nothing(reference: Reference) -> None:
    assert dependence.compare(reference, reference.window()) == []
    few = reference.window()
    few.add(batch(dependence.FEWEST_ROWS - 1, 2, 0.0))
    assert dependence.compare(reference, few) == []
    alone = Reference.of([batch(100, 1, 0.6)], paired=["first"])
    assert dependence.compare(alone, alone.counts) == []
