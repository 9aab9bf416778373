"""What the tests of Evidently's data drift preset, with its defaults, say of windows.

    python evidently_side.py CASES RESULT

Writes for each case and window the share of columns that drift, to the share from which the preset calls the data
drifted, and the greatest drift of any column, to its threshold. The tests are called as the preset calls them, without
its report, which takes most of its time; the first window of each table is held against the report.
"""

import json
import sys
import warnings
from typing import Any

import numpy as np
import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.legacy.calculations.stattests.registry import get_stattest
from evidently.legacy.core import ColumnType
from evidently.presets import DataDriftPreset

warnings.simplefilter("ignore")
DRIFT_SHARE = 0.5  # the preset's default


def main(cases: str, result: str) -> None:
    judged: dict[str, dict[str, list[float]]] = {}
    with open(cases) as file:
        asked = json.load(file)
    for case in asked:
        key = f"{case['table']}|{case['rows']}|{case['split']}|{case['shift']}"
        judged[key] = judge(case)
        print(key, file=sys.stderr, flush=True)
        with open(result, "w") as file:
            json.dump(judged, file)


def judge(case: dict[str, Any]) -> dict[str, list[float]]:
    reference, windows = pd.read_parquet(case["reference"]), pd.read_parquet(case["file"])
    kinds = {name: ColumnType.Categorical if name in case["categories"] else ColumnType.Numerical for name in reference}
    known = {name: reference[name].dropna() for name in reference}
    if case["split"] == 0 and case["shift"] == "none":
        _check(reference, windows.iloc[: case["rows"]].reset_index(drop=True), case["categories"], kinds)
    scores: dict[str, list[float]] = {"evidently, data": [], "evidently": []}
    for index in range(case["windows"]):
        rows = windows.iloc[index * case["rows"] : (index + 1) * case["rows"]]
        drifts = np.array([excess(known[name], rows[name].dropna(), kind)[1] for name, kind in kinds.items()])
        scores["evidently, data"].append(float((drifts > 1).mean() / DRIFT_SHARE + 1e-9))
        scores["evidently"].append(float(drifts.max()))
    return scores


def excess(reference: pd.Series, window: pd.Series, kind: ColumnType) -> tuple[float, float]:
    """Returns a column's drift, and how far it is beyond the threshold of the default test: above 1."""
    test = get_stattest(reference, window, kind, None)
    result = test(reference, window, kind, None)
    value, threshold = float(result.drift_score), float(result.actual_threshold)
    is_p_value = "p_value" in test.display_name
    return value, threshold / max(value, 1e-300) if is_p_value else value / threshold


def _check(reference: pd.DataFrame, window: pd.DataFrame, categories: list[str], kinds: dict[str, ColumnType]) -> None:
    numbers = [name for name in reference if name not in categories]
    definition = DataDefinition(numerical_columns=numbers, categorical_columns=categories)
    datasets = (Dataset.from_pandas(rows, data_definition=definition) for rows in (window, reference))
    for metric in Report([DataDriftPreset()]).run(*datasets).dict()["metrics"][1:]:
        name = metric["config"]["column"]
        drift, _ = excess(reference[name].dropna(), window[name].dropna(), kinds[name])
        if not np.isclose(drift, float(metric["value"])):
            raise SystemExit(f"{name}: the preset reports {metric['value']}, its test {drift}")


if __name__ == "__main__":
    main(*sys.argv[1:])
