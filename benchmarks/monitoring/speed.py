"""Compares a window of many rows with training data, and prints as JSON the seconds, imports apart, and the memory.

    python speed.py REFERENCE WINDOW CATEGORIES

All are counted: reading the window's Parquet file, and both reading and counting the reference's.
"""

import json
import resource
import sys
import time

import ours
import pandas as pd
import pyarrow.parquet as pq

from penstock.components.monitoring.measures import comparison, dependence
from penstock.components.monitoring.measures.reference import Reference

ROWS = 65_536


def main(reference: str, window: str, categories: str) -> None:
    started = time.monotonic()
    kinds = dict.fromkeys(categories.split(","), "category")
    training = Reference.of([ours.batch(pd.read_parquet(reference))], kinds)
    counts = training.window()
    for rows in pq.ParquetFile(window).iter_batches(ROWS):
        counts.add(ours.lists(rows))
    shifts = comparison.compare(training, counts)
    pairs = dependence.compare(training, counts)
    seconds = time.monotonic() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    alerts = [shift.feature for shift in shifts if shift.alerts]
    alerts += [" and ".join(pair.features) for pair in pairs if pair.alerts]
    print(
        json.dumps({"seconds": seconds, "cpu": time.process_time(), "mb": peak, "rows": counts.rows, "alerts": alerts})
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
