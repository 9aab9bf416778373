"""Evidently's data drift preset on a window of many rows; prints the same as speed.py.

python evidently_speed.py REFERENCE WINDOW CATEGORIES
"""

import json
import resource
import sys
import time
import warnings

import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset

warnings.simplefilter("ignore")


def main(reference: str, window: str, categories: str) -> None:
    started = time.monotonic()
    names = categories.split(",")
    frames = [pd.read_parquet(path) for path in (window, reference)]
    numbers = [name for name in frames[1] if name not in names]
    definition = DataDefinition(numerical_columns=numbers, categorical_columns=names)
    datasets = (Dataset.from_pandas(frame, data_definition=definition) for frame in frames)
    metrics = Report([DataDriftPreset()]).run(*datasets).dict()["metrics"]
    seconds = time.monotonic() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    drifted = metrics[0]["value"]["count"]
    print(json.dumps({"seconds": seconds, "cpu": time.process_time(), "mb": peak, "drifted": drifted}))


if __name__ == "__main__":
    main(*sys.argv[1:])
