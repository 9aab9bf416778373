"""What NannyML estimates of windows without labels: CBPE for classifiers, DLE for regressions.

python nannyml_estimates.py STREAMS RESULT
"""

import json
import os
import sys
import warnings
from typing import Any

os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"

import nannyml
import pandas as pd

warnings.simplefilter("ignore")


def main(streams: str, result: str) -> None:
    told = {}
    with open(streams) as file:
        for stream in json.load(file):
            key = f"{stream['table']}|{stream['problem']}|{stream['order']}"
            told[key] = estimated(stream)
            print(key, file=sys.stderr, flush=True)
    with open(result, "w") as file:
        json.dump(told, file)


def estimated(stream: dict[str, Any]) -> dict[str, dict[str, list[float]]]:
    common = {"y_true": "y_true", "y_pred": "y_pred", "chunk_size": stream["rows"]}
    rows = [pd.read_parquet(stream[name]) for name in ("evaluation", "file")]
    if stream["problem"] == "binary":
        names = {"accuracy": "accuracy", "roc_auc": "auc"}
        estimator = nannyml.CBPE(
            **common, y_pred_proba="y_pred_proba", problem_type="classification_binary", metrics=list(names)
        )
    else:
        names = {"mae": "mae"}
        for one in rows:
            for name in stream["categories"]:
                one[name] = one[name].astype("category")
        estimator = nannyml.DLE(**common, feature_column_names=stream["features"], metrics=list(names))
    table = estimator.fit(rows[0]).estimate(rows[1].drop(columns="y_true")).to_df()
    new = table[table[("chunk", "period")] == "analysis"]
    return {
        mine: {
            "value": new[(name, "value")].tolist(),
            "low": new[(name, "lower_confidence_boundary")].tolist(),
            "high": new[(name, "upper_confidence_boundary")].tolist(),
        }
        for name, mine in names.items()
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
