"""Every rule on taxi trips, against what pandas makes of the same rows."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.components.example_cleaner.conftest import Clean

type Frames = dict[str, pd.DataFrame]


def same(cleaned: pd.DataFrame, expected: pd.DataFrame) -> None:
    expected = expected[cleaned.columns].reset_index(drop=True)
    pd.testing.assert_frame_equal(cleaned, expected, check_dtype=False)


def with_doubles(frames: Frames) -> Frames:
    """A third of the rows twice, once with another fare, also across splits."""
    more = frames["train"].sample(400, random_state=1)
    changed = more.assign(fare=more.fare + 1)
    both = pd.concat([frames["train"], more, changed, frames["train"][:50]], ignore_index=True)
    return {"train": both, "eval": pd.concat([frames["eval"], more[:100]], ignore_index=True)}


@pytest.mark.parametrize("keep", ["first", "last"])
@pytest.mark.parametrize("key", [(), ("company", "trip_miles", "trip_seconds")], ids=["all", "key"])
def test_duplicates(clean: Clean, taxi: Frames, keep: Any, key: tuple[str, ...]) -> None:
    frames = with_doubles(taxi)
    cleaned = clean(frames, {"rule": "duplicates", "keep": keep} | ({"columns": key} if key else {}))
    rows = pd.concat(frames, names=["split"])
    left = rows.drop_duplicates(list(key) or None, keep=keep)
    for split in frames:
        same(cleaned.frame(split), left.loc[split])
    assert len(cleaned.quarantine) == len(rows) - len(left)


@pytest.mark.parametrize("by", ["fare", "trip_seconds", "payment_type"])
def test_the_newest_of_duplicates(clean: Clean, taxi: Frames, by: str) -> None:
    frames = with_doubles(taxi)
    cleaned = clean(
        frames, {"rule": "duplicates", "columns": ["company"], "keep": "newest", "by": by}, max_quarantined=1
    )
    rows = pd.concat(frames, names=["split"]).reset_index()
    without_key = rows[rows.company.isna()]
    newest = rows.sort_values(by, ascending=False, kind="stable", na_position="last").drop_duplicates("company")
    left = pd.concat([newest[newest.company.notna()], without_key]).sort_index()
    for split in frames:
        same(cleaned.frame(split), left[left.split == split])


def test_rows_and_columns_without_values_are_dropped(clean: Clean, taxi: Frames) -> None:
    rules = [
        {"rule": "missing", "columns": ["company", "pickup_community_area"], "action": "drop_row"},
        {"rule": "missing", "columns": ["pickup_census_tract", "tips"], "action": "drop_column", "above": 0.9},
    ]
    cleaned = clean(taxi, *rules)
    for split, frame in taxi.items():
        same(cleaned.frame(split), frame.dropna(subset=rules[0]["columns"]).drop(columns="pickup_census_tract"))
    assert cleaned.cleaning["rules"][1]["learned"]["tips"] == {"missing": 0.0, "dropped": False}


def test_missing_values_are_filled(clean: Clean, taxi: Frames) -> None:
    frames = {split: frame.copy() for split, frame in taxi.items()}
    for frame in frames.values():
        frame.loc[::7, ["fare", "trip_seconds", "tips", "trip_miles"]] = None
        frame.loc[:5, "trip_miles"] = None  # nothing is before them
    cleaned = clean(
        frames,
        {"rule": "missing", "columns": ["fare", "trip_seconds"], "action": "median"},
        {"rule": "missing", "columns": ["company", "pickup_community_area"], "action": "mode"},
        {"rule": "missing", "columns": ["tips"], "action": "constant", "value": 1.25},
        {"rule": "missing", "columns": ["trip_miles"], "action": "previous"},
    )
    train = frames["train"]
    for split, frame in frames.items():
        expected = frame.fillna({"fare": train.fare.astype(float).median(), "tips": 1.25})
        expected["trip_seconds"] = frame.trip_seconds.fillna(round(train.trip_seconds.median()))
        for name in ("company", "pickup_community_area"):
            expected[name] = frame[name].fillna(train[name].mode()[0])
        expected["trip_miles"] = frame.trip_miles.ffill()
        same(cleaned.frame(split), expected)


def test_outliers(clean: Clean, taxi: Frames) -> None:
    cleaned = clean(
        taxi,
        {"rule": "outliers", "columns": ["fare", "trip_seconds"], "low": 0.05, "high": 0.9},
        {"rule": "outliers", "columns": ["trip_miles"], "method": "mad", "deviations": 5, "otherwise": "missing"},
        {"rule": "outliers", "columns": ["tips"], "low": 0, "high": 0.95, "otherwise": "flag"},
        {"rule": "outliers", "columns": ["pickup_community_area"], "low": 0.1, "high": 1, "otherwise": "drop"},
    )
    train = taxi["train"]
    miles = train.trip_miles.astype(float)
    reach = 5 * 1.4826022185056018 * (miles - miles.median()).abs().median()
    for split, frame in taxi.items():
        expected = frame.copy()
        low, high = train.fare.astype(float).quantile([0.05, 0.9])
        expected["fare"] = frame.fare.clip(np.float32(low), np.float32(high))
        low, high = train.trip_seconds.quantile([0.05, 0.9])
        expected["trip_seconds"] = frame.trip_seconds.clip(int(np.ceil(low)), int(high))
        expected["trip_miles"] = frame.trip_miles.where((frame.trip_miles - miles.median()).abs() <= reach)
        expected["tips_flagged"] = (frame.tips > train.tips.astype(float).quantile(0.95)).astype(int)
        area = frame.pickup_community_area
        expected = expected[(area >= train.pickup_community_area.quantile(0.1)).fillna(True)]
        same(cleaned.frame(split), expected)


def test_texts_and_values(clean: Clean, taxi: Frames) -> None:
    frames = {split: frame.assign(payment_type=" " + frame.payment_type + "  ") for split, frame in taxi.items()}
    cleaned = clean(
        frames,
        {"rule": "missing_values", "columns": ["company"], "values": ["Other", "Taxi Affiliation Services"]},
        {"rule": "text", "columns": ["payment_type"], "case": "lower", "spaces": "trim"},
        {
            "rule": "values",
            "columns": ["payment_type"],
            "allowed": ["cash", "card"],
            "mapping": {"credit card": "card", "no charge": "cash"},
        },
        {"rule": "values", "columns": ["pickup_community_area"], "mapping": {"8": 800}},
        {"rule": "pattern", "columns": ["company"], "regex": r"\d{4} - .*"},
    )
    for split, frame in frames.items():
        expected = frame.copy()
        payment = frame.payment_type.str.strip().str.lower().replace({"credit card": "card", "no charge": "cash"})
        expected["payment_type"] = payment.where(payment.isin(["cash", "card"]))
        expected["pickup_community_area"] = frame.pickup_community_area.replace({8: 800})
        expected["company"] = frame.company.where(frame.company.str.fullmatch(r"\d{4} - .*", na=False))
        same(cleaned.frame(split), expected)


def test_numbers(clean: Clean, taxi: Frames) -> None:
    frames = {}
    for split, frame in taxi.items():
        km = pd.Series(np.arange(len(frame)) % 3 == 0)
        unit = pd.Series(np.where(km, "km", "mi"))
        unit[5] = None
        frames[split] = frame.assign(unit=unit, text=frame.fare.astype(str).where(frame.fare > 4, "n/a") + " ")
    cleaned = clean(
        frames,
        {"rule": "unit", "columns": ["trip_miles"], "by": "unit", "to": "km", "units": {"mi": {"factor": 1.609344}}},
        {"rule": "unit", "columns": ["trip_seconds"], "max": 59, "factor": 60},
        {"rule": "type", "columns": ["text"], "to": "float"},
        {"rule": "range", "columns": ["fare"], "min": 5, "max": 30, "otherwise": "clip"},
        {"rule": "range", "columns": ["tips"], "max": 10, "otherwise": "drop"},
    )
    for split, frame in frames.items():
        expected = frame.copy()
        miles = frame.trip_miles.astype(float)
        expected["trip_miles"] = miles.where(frame.unit != "mi", miles * 1.609344).astype("float32")
        expected["unit"] = frame.unit.replace("mi", "km")
        seconds = frame.trip_seconds
        expected["trip_seconds"] = seconds.where(~(seconds <= 59).fillna(False), seconds * 60)
        expected["text"] = pd.to_numeric(frame.text, errors="coerce").astype("float32")
        expected["fare"] = frame.fare.clip(5, 30)
        same(cleaned.frame(split), expected[frame.tips <= 10])


@pytest.mark.parametrize(
    "expression",
    [
        "fare > 10",
        "tips <= fare and trip_seconds > 0",
        "not (payment_type == 'Cash' and tips > 0)",
        "trip_miles * 2 + 1 < fare or payment_type in ['Cash', 'Unknown']",
        "0 < trip_miles < 20",
        "fare / trip_seconds < 0.02",
    ],
)
def test_checks(clean: Clean, taxi: Frames, expression: str) -> None:
    known = {split: frame.dropna(subset=["trip_seconds", "trip_miles", "fare"]) for split, frame in taxi.items()}
    cleaned = clean(known, {"rule": "check", "expression": expression}, max_quarantined=1)
    for split, frame in known.items():
        doubles = frame.astype({"fare": float, "trip_miles": float, "tips": float})
        same(cleaned.frame(split), frame[doubles.eval(expression, engine="python").astype(bool)])


def test_a_check_holds_where_a_value_is_missing(clean: Clean) -> None:
    data = {"a": [1, 2, None, 4, None], "b": [2, 1, 1, None, None]}
    frames = {"train": pd.DataFrame(data, dtype="Int64")}
    cleaned = clean(frames, {"rule": "check", "expression": "a < b"})
    same(cleaned.frame("train"), frames["train"].drop(index=1))
    cleaned = clean(frames, {"rule": "check", "expression": "not missing(a) and abs(a) > 0"}, name="other")
    same(cleaned.frame("train"), frames["train"][frames["train"].a.notna()])


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_references(clean: Clean, taxi: Frames, tmp_path: Path, suffix: str) -> None:
    known = pd.DataFrame({"id": [8, 32, 28, 6, 8], "name": ["Cash", "x", "Unknown", "y", None]})
    path = tmp_path / f"areas.{suffix}"
    write: Callable[..., None] = known.to_csv if suffix == "csv" else known.to_parquet
    write(path, index=False)
    where = {"file": str(path), "otherwise": "drop"}
    cleaned = clean(
        taxi,
        {"rule": "reference", "columns": ["pickup_community_area"], "key": "id"} | where,
        {"rule": "reference", "columns": ["payment_type"], "key": "name"} | where | {"otherwise": "missing"},
    )
    for split, frame in taxi.items():
        area = frame.pickup_community_area
        expected = frame.assign(payment_type=frame.payment_type.where(frame.payment_type.isin(known.name)))
        same(cleaned.frame(split), expected[area.isin(known.id) | area.isna()])
