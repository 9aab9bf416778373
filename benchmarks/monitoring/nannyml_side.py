"""What NannyML says of windows: its univariate drift, missing values, and its multivariate drift (PCA).

    python nannyml_side.py CASES RESULT

Each is a chunk, against a reference cut into chunks of as many rows. A score is the distance from the mean of the
reference's chunks, to that of the default threshold, which is three standard deviations.
"""

import json
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"

import nannyml
import numpy as np
import pandas as pd

warnings.simplefilter("ignore")


def main(cases: str, result: str) -> None:
    judged: dict[str, dict[str, list[float]]] = {}
    fitted: dict[tuple[str, int], dict[str, Any]] = {}
    with open(cases) as file:
        asked = json.load(file)
    for case in asked:
        key = f"{case['table']}|{case['rows']}|{case['split']}|{case['shift']}"
        of = case["reference"], case["rows"]
        if of not in fitted:
            fitted = {of: fit(pd.read_parquet(case["reference"]), case["rows"], case["categories"])}
        judged[key] = judge(fitted[of], pd.read_parquet(case["file"]))
        print(key, file=sys.stderr, flush=True)
        with open(result, "w") as file:
            json.dump(judged, file)


def fit(reference: pd.DataFrame, rows: int, categories: Sequence[str]) -> dict[str, Any]:
    names = list(reference)
    calculators = {
        "nannyml, features": nannyml.UnivariateDriftCalculator(
            column_names=names, treat_as_categorical=list(categories), chunk_size=rows
        ),
        "nannyml, missing": nannyml.MissingValuesCalculator(column_names=names, chunk_size=rows),
        "nannyml, PCA": nannyml.DataReconstructionDriftCalculator(column_names=names, chunk_size=rows),
    }
    return {name: calculator.fit(reference) for name, calculator in calculators.items()}


def judge(calculators: dict[str, Any], windows: pd.DataFrame) -> dict[str, list[float]]:
    return {name: score(calculator.calculate(windows)).tolist() for name, calculator in calculators.items()}


def score(result: Any) -> np.ndarray:
    """Returns for each chunk the greatest score of any column."""
    table = result.to_df()
    names = sorted({name[:-1] for name in table.columns if name[-1] == "value"})
    periods = table[("chunk", "period")] if ("chunk", "period") in table else table[("chunk", "chunk", "period")]
    greatest = np.zeros((periods == "analysis").sum())
    for name in names:
        values, alert = table[(*name, "value")], table[(*name, "alert")]
        known, new = values[periods == "reference"], values[periods == "analysis"]
        upper = float(table[(*name, "upper_threshold")].iloc[-1])
        width = upper - known.mean()
        one = np.abs(new - known.mean()) / width if width > 0 else np.where(alert[periods == "analysis"], 1e6, 0)
        below = (new < known.mean()) & ~alert[periods == "analysis"].astype(bool)
        greatest = np.fmax(greatest, np.where(below, np.minimum(one, 1), one))
    return greatest


if __name__ == "__main__":
    main(*sys.argv[1:])
