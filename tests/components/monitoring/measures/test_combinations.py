"""Combinations that training hardly has: see also benchmarks/monitoring."""

import json
import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from penstock.components.monitoring.measures import comparison, dependence
from penstock.components.monitoring.measures.bins import FeatureBins
from penstock.components.monitoring.measures.combinations import PLACES, Combinations
from penstock.components.monitoring.measures.counts import row_bins
from penstock.components.monitoring.measures.dependence import DependenceShift
from penstock.components.monitoring.measures.reference import Reference

CARRIERS = np.array(["UA", "B6", "DL", "EV", "AA", "US"])
PORTS = np.array([f"P{number:02}" for number in range(30)])


def flights(rows: int, seed: int, renamed: float = 0.0) -> pd.DataFrame:
    """Each carrier flies to ten ports; the distance is that of the port. So many of UA's rows are called B6."""
    generator = np.random.default_rng(seed)
    carriers = generator.choice(len(CARRIERS), rows, p=[0.18, 0.17, 0.17, 0.16, 0.16, 0.16])
    ports = (4 * carriers + generator.integers(0, 10, rows)) % len(PORTS)
    distances = 100.0 + 70 * ports + generator.integers(0, 3, rows)
    called = np.where((carriers == 0) & (generator.random(rows) < renamed), 1, carriers)
    hours = generator.integers(5, 24, rows)
    return pd.DataFrame({"carrier": CARRIERS[called], "port": PORTS[ports], "distance": distances, "hour": hours})


def batch(frame: pd.DataFrame) -> pa.RecordBatch:
    offsets = pa.array(np.arange(len(frame) + 1))
    arrays = [pa.array(frame[name].to_numpy(), from_pandas=True) for name in frame]
    arrays = [one.cast(pa.large_binary()) if pa.types.is_string(one.type) else one for one in arrays]
    return pa.RecordBatch.from_arrays([pa.LargeListArray.from_arrays(offsets, one) for one in arrays], list(frame))


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference.of([batch(flights(20_000, 1))])


def shifts(reference: Reference, frame: pd.DataFrame) -> list[DependenceShift]:
    counts = reference.window()
    counts.add(batch(frame))
    return dependence.compare(reference, counts)


def test_what_training_hardly_has_is_learnt_of_features_that_depend_on_each_other_alone(reference: Reference) -> None:
    pairs = {pair.features: pair for pair in reference.combinations.pairs}
    assert set(pairs) == {("carrier", "port"), ("carrier", "distance"), ("port", "distance")}
    assert {pair.rows for pair in pairs.values()} == {10_000}
    assert all(pair.found <= 0.01 * pair.rows for pair in pairs.values())


def test_combinations_are_counted_as_a_cross_table_counts_them(reference: Reference) -> None:
    frame = flights(70_000, 2, 0.3)  # more than are looked at at once
    counts = reference.window()
    counts.add(batch(frame))
    index = [pair.features for pair in reference.combinations.pairs].index(("carrier", "port"))
    cells = reference.combinations.pairs[index].cells
    table = pd.crosstab(frame["carrier"], frame["port"])
    values = {name: [value.decode() for value in reference.bins[name].values] for name in ("carrier", "port")}
    expected = sum(
        table.loc[values["carrier"][row], values["port"][column]]
        for row, column in zip(*np.nonzero(cells), strict=True)
    )
    assert 500 < counts.rare[index] == expected


def test_shards_merged_are_the_whole(reference: Reference) -> None:
    parts = [batch(flights(300, seed, 0.5)) for seed in (2, 3)]
    whole, first, second = (reference.window() for _ in range(3))
    for part in parts:
        whole.add(part)
    first.add(parts[0])
    second.add(parts[1])
    first.merge(pickle.loads(pickle.dumps(second)))
    assert first.rare.tolist() == whole.rare.tolist()
    assert whole.rare.max() > 0


def test_a_fifth_of_a_carriers_flights_by_anothers_name_is_found_where_no_share_tells(reference: Reference) -> None:
    found = alone = 0
    for seed in range(20):
        counts = reference.window()
        counts.add(batch(flights(500, 100 + seed, 0.2)))
        alone += any(shift.alerts for shift in comparison.compare(reference, counts))
        strongest = dependence.compare(reference, counts)[0]
        assert (strongest.measure, strongest.rows) == ("rare_combinations", 500)
        found += strongest.alerts and "carrier" in strongest.features
    assert found >= 19
    assert alone < 10


def test_the_same_source_is_quiet() -> None:
    """Of a small reference as well, whose own sample is uncertain."""
    for rows in (600, 20_000):
        training = Reference.of([batch(flights(rows, 1))])
        assert training.combinations.pairs
        alerting = [any(one.alerts for one in shifts(training, flights(500, 10 + seed))) for seed in range(40)]
        assert sum(alerting) <= 1


def test_what_training_itself_has_is_no_rise(reference: Reference) -> None:
    """Else a window as it is might be so near the threshold that no alert ended."""
    counts = reference.window()
    counts.add(batch(flights(1000, 2, 0.3)))
    found = zip(reference.combinations.pairs, counts.rare, strict=True)
    pairs = [replace(pair, found=int(rare), rows=counts.rows) for pair, rare in found]
    usual = replace(reference, combinations=replace(reference.combinations, pairs=pairs))
    rises = [one for one in dependence.compare(usual, counts) if one.measure == "rare_combinations"]
    assert [one.value for one in rises] == [0.0] * len(pairs)
    assert all(one.threshold >= 0.005 for one in rises)


def test_a_document_holds_them(reference: Reference) -> None:
    text = json.dumps(reference.document())
    read = Reference.of_document(json.loads(text))
    frame = flights(1000, 5, 0.2)
    assert shifts(read, frame) == shifts(reference, frame)
    assert len(json.dumps(reference.document()["combinations"])) < 5000


def test_a_document_of_an_earlier_version_has_none_and_leaves_the_rate_to_the_groups(reference: Reference) -> None:
    document = reference.document()
    del document["combinations"]
    frame = flights(1000, 5, 0.2)
    before, now = (
        {one.features: one for one in shifts(part, frame) if one.measure == "dependence"}
        for part in (Reference.of_document(document), reference)
    )
    assert set(before) == set(now)
    assert all(before[pair].value == one.value for pair, one in now.items())
    assert all(before[pair].threshold <= one.threshold for pair, one in now.items())
    assert {one.measure for one in shifts(Reference.of_document(document), frame)} == {"dependence"}


def test_rows_without_a_value_and_new_values_are_left_to_their_own_measures(reference: Reference) -> None:
    frame = flights(400, 6)
    missing = frame.assign(port=frame["port"].where(frame.index % 2 == 0))
    new = frame.assign(carrier="XX")
    for rows in (missing, new):
        assert all(one.value <= one.threshold for one in shifts(reference, rows) if one.measure == "rare_combinations")
    counts = reference.window()
    counts.add(batch(missing).select(["port", "distance"]))
    assert counts.rare.tolist() == [0] * len(reference.combinations.pairs)


def test_of_many_values_the_rare_ones_share_a_place() -> None:
    generator = np.random.default_rng(0)
    names = [f"{draw}".encode() for draw in np.minimum(generator.zipf(1.5, 20_000), 300)]
    numbers = generator.normal(size=20_000)
    columns = {"name": pa.array(names, pa.large_binary()), "number": pa.array(numbers)}
    bins = {name: FeatureBins.of(name, values) for name, values in columns.items()}
    arrays = [pa.LargeListArray.from_arrays(pa.array(np.arange(20_001)), values) for values in columns.values()]
    rows = row_bins(bins, pa.RecordBatch.from_arrays(arrays, list(columns)))
    learnt = Combinations.of(bins, np.column_stack([rows[:, 0], rows[:, 0]]))
    places = learnt.places["name"]
    assert places.max() == PLACES - 2
    assert (places[:60] == np.arange(60)).all()
    assert bins["name"].size > PLACES
    both = Combinations.of({"number": bins["number"], "other": bins["number"]}, np.column_stack([rows[:, 1]] * 2))
    assert (np.diff(both.places["number"]) >= 0).all()
    assert both.places["number"].max() <= PLACES - 2
