"""Windows of real tables, as they are and shifted, in Parquet files that each tool reads."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.append(str(Path(__file__).resolve().parent.parent))
from tables import HELD_OUT, TABLES

MOST_REFERENCE = 30_000
UNSHIFTED = "none"


@dataclass(frozen=True)
class Subject:
    """The columns of a table that are shifted: a number, a category, and two that are correlated."""

    number: str
    category: str
    pair: tuple[str, str]


SUBJECTS = {
    "flights": Subject("distance", "carrier", ("sched_dep_time", "sched_arr_time")),
    "taxi": Subject("trip_seconds", "payment_type", ("trip_miles", "fare")),
    "diamonds": Subject("carat", "cut", ("carat", "price")),
    "churn": Subject("monthly_charges", "internet_service", ("tenure", "total_charges")),
    "crashes": Subject("ageOFocc", "dvcat", ("yearVeh", "airbag")),
    "hotel rates": Subject("avg_price_per_room", "assigned_room_type", ("assigned_room_type", "avg_price_per_room")),
}


@dataclass(frozen=True)
class Case:
    """Windows of one kind, one after the other in a file, to be held against a reference in another.

    subject: The columns that were shifted, "" of none.
    """

    table: str
    rows: int  # of a window
    split: int
    shift: str
    subject: str
    windows: int
    reference: str
    file: str
    categories: Sequence[str]

    @property
    def key(self) -> str:
        return f"{self.table}|{self.rows}|{self.split}|{self.shift}"


type _Window = Callable[[pd.DataFrame, Subject, int, np.random.Generator], pd.DataFrame]


def _drawn(pool: pd.DataFrame, rows: int, generator: np.random.Generator) -> pd.DataFrame:
    return pool.iloc[generator.choice(len(pool), rows, replace=False)].reset_index(drop=True)


def _scaled(factor: float) -> _Window:
    def window(pool: pd.DataFrame, subject: Subject, rows: int, generator: np.random.Generator) -> pd.DataFrame:
        drawn = _drawn(pool, rows, generator)
        return drawn.assign(**{subject.number: drawn[subject.number].astype(float) * factor})

    return window


def _trend(end: float) -> _Window:
    """The mean grows over the window, to so many standard deviations at its end."""

    def window(pool: pd.DataFrame, subject: Subject, rows: int, generator: np.random.Generator) -> pd.DataFrame:
        drawn = _drawn(pool, rows, generator)
        numbers = drawn[subject.number].astype(float)
        return drawn.assign(**{subject.number: numbers + np.linspace(0, end, rows) * pool[subject.number].std()})

    return window


def _swapped(share: float) -> _Window:
    """So many rows of the most frequent category are called by the second one's name; at 1 both are swapped."""

    def window(pool: pd.DataFrame, subject: Subject, rows: int, generator: np.random.Generator) -> pd.DataFrame:
        drawn = _drawn(pool, rows, generator)
        first, second = pool[subject.category].value_counts().index[:2]
        names = drawn[subject.category]
        if share == 1:
            return drawn.assign(**{subject.category: names.replace({first: second, second: first})})
        chosen = (names == first) & (generator.random(rows) < share)
        return drawn.assign(**{subject.category: names.mask(chosen, second)})

    return window


def _missing(share: float) -> _Window:
    def window(pool: pd.DataFrame, subject: Subject, rows: int, generator: np.random.Generator) -> pd.DataFrame:
        drawn = _drawn(pool, rows, generator)
        return drawn.assign(**{subject.number: drawn[subject.number].mask(generator.random(rows) < share)})

    return window


def _without_source(pool: pd.DataFrame, subject: Subject, rows: int, generator: np.random.Generator) -> pd.DataFrame:
    second = pool[subject.category].value_counts().index[1]
    return _drawn(pool[pool[subject.category] != second], rows, generator)


def _decorrelated(share: float) -> _Window:
    """The second of the pair is dealt anew among so many of the rows: both are distributed as before."""

    def window(pool: pd.DataFrame, subject: Subject, rows: int, generator: np.random.Generator) -> pd.DataFrame:
        drawn = _drawn(pool, rows, generator)
        chosen = np.flatnonzero(generator.random(rows) < share)
        values = drawn[subject.pair[1]].to_numpy().copy()
        values[chosen] = values[generator.permutation(chosen)]
        return drawn.assign(**{subject.pair[1]: values})

    return window


SHIFTS: dict[str, _Window] = {
    "unit: 1,000 times": _scaled(1000),
    "unit: miles as km": _scaled(1.609),
    "scale: +25 %": _scaled(1.25),
    "scale: +10 %": _scaled(1.1),
    "swap: the two most frequent categories": _swapped(1),
    "swap: 40 % of the most frequent": _swapped(0.4),
    "swap: 20 % of the most frequent": _swapped(0.2),
    "source: the second category is not there": _without_source,
    "missing: 20 % of values": _missing(0.2),
    "missing: 5 % of values": _missing(0.05),
    "trend: to 2 sd": _trend(2),
    "trend: to 1 sd": _trend(1),
    "trend: to 0.5 sd": _trend(0.5),
    "correlation: broken": _decorrelated(1),
    "correlation: broken in half of the rows": _decorrelated(0.5),
}


def write(folder: Path, tables: Sequence[str], splits: int, unshifted: int, shifted: int) -> list[Case]:
    """Writes references and windows below a folder; `unshifted` and `shifted` are windows of a split."""
    cases = [case for table in tables for case in _of_table(folder, table, splits, unshifted, shifted)]
    (folder / "cases.json").write_text(json.dumps([asdict(case) for case in cases]))
    return cases


def frame(name: str) -> tuple[pd.DataFrame, list[str]]:
    """Returns a table with its names as strings, and which columns these are."""
    table = {**TABLES, **HELD_OUT}[name]
    # Of aeroplanes there are 4,000, for which Evidently takes seconds a test; it refuses a column without values, and
    # of taxi's pickup_census_tract there is one.
    read = table.read().drop(columns="tailnum", errors="ignore")
    read = read.dropna(axis=1, thresh=len(read) // 100)
    categories = [
        column for column in read if column in table.categories or not pd.api.types.is_numeric_dtype(read[column])
    ]
    named = {column: read[column].map(_name, na_action="ignore").astype(object) for column in categories}
    return read.assign(**named), categories


def _name(value: object) -> str:
    return str(int(value)) if isinstance(value, float) else str(value)


def _of_table(folder: Path, table: str, splits: int, unshifted: int, shifted: int) -> Iterator[Case]:
    rows_of, categories = frame(table)
    subject = SUBJECTS[table]
    for split in range(splits):
        shuffled = rows_of.sample(frac=1, random_state=split)
        size = min(MOST_REFERENCE, len(shuffled) // 2)
        pool = shuffled.iloc[size:]
        home = folder / table.replace(" ", "-") / str(split)
        home.mkdir(parents=True, exist_ok=True)
        reference = home / "reference.parquet"
        shuffled.iloc[:size].to_parquet(reference, index=False)
        for rows in (200, 1000, 5000):
            if len(pool) < 4 * rows:
                continue
            for place, (shift, window) in enumerate({UNSHIFTED: _unshifted, **SHIFTS}.items()):
                generator = np.random.default_rng([split, rows, place])
                count = unshifted if shift == UNSHIFTED else shifted
                windows = [window(pool, subject, rows, generator) for _ in range(count)]
                file = home / f"{rows}-{place}.parquet"
                pd.concat(windows).to_parquet(file, index=False)
                about = _about(shift, subject)
                yield Case(table, rows, split, shift, about, count, str(reference), str(file), categories)


def _unshifted(pool: pd.DataFrame, subject: Subject, rows: int, generator: np.random.Generator) -> pd.DataFrame:
    return _drawn(pool, rows, generator)


def _about(shift: str, subject: Subject) -> str:
    kind = shift.partition(":")[0]
    if kind == "correlation":
        return " ".join(subject.pair)
    return {UNSHIFTED: "", "swap": subject.category, "source": subject.category}.get(kind, subject.number)
