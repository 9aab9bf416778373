"""The model without code beside scikit-learn's HistGradientBoosting on real tables: quality on a test split, seconds.

    python benchmarks/quality.py [--tables taxi flights …] [--splits 3]

Each table is split at random into training (4 of 6 rows), eval and test data, several times over; figures are means.
Ours is the product (benchmarks/product.py): `penstock run` on CSV files and the name of the label, with all defaults;
its SavedModel is asked about the test rows. It stops early and calibrates on the eval rows. HistGradientBoosting, with
its default parameters, learns from the same training rows and columns; by its own default it stops early on a tenth of
them above 10,000 rows. In a column of its own it is given the eval rows to learn from as well.
What tables.py knows of categories is told to HistGradientBoosting alone, as `categorical_features`: the 254 most
frequent values, the rest as one more, since it takes no more than 255; missing values are NaN.
Our seconds are those of the tasks before the Trainer (`prep s`) and of the Trainer, with reading the examples and
export, both without imports, by the wall clock; processor seconds are those of the whole run, its imports among them.
HistGradientBoosting's are those of fitting alone. Ends with a line of JSON.
"""

import argparse
import json
import os
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # or its idle threads spin, on a busy machine for long

import numpy as np
import pandas as pd
import product
from product import Outcome
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import log_loss, r2_score, roc_auc_score
from tables import TABLES, Table

MOST_CATEGORIES = 254
# At most so far below HistGradientBoosting.
TOLERANCE = 0.01


@dataclass(frozen=True)
class Parts:
    """A table's rows, and which of them are for what: boolean masks of the rows."""

    frame: pd.DataFrame  # as the table has it
    features: pd.DataFrame  # without the label; categories are strings
    labels: np.ndarray  # class indices, or a regression's values
    train: np.ndarray
    evaluate: np.ndarray
    test: np.ndarray


@dataclass
class Row:
    """The figures of a table, one of each list for a split."""

    name: str
    problem: str
    metric: str
    training_rows: int
    columns: int
    ours: list[float] = field(default_factory=list)
    boosting: list[float] = field(default_factory=list)
    boosting_with_eval: list[float] = field(default_factory=list)
    log_loss: list[float] = field(default_factory=list)
    boosting_log_loss: list[float] = field(default_factory=list)
    preparation_seconds: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    boosting_seconds: list[float] = field(default_factory=list)
    boosting_cpu_seconds: list[float] = field(default_factory=list)

    @property
    def difference(self) -> float:
        return float(np.mean(self.ours) - np.mean(self.boosting))


def parts(table: Table, seed: int) -> Parts:
    frame = table.read()
    features, label = frame.drop(columns=table.label), frame[table.label]
    labels = label.to_numpy("float64") if table.problem == "regression" else pd.Categorical(label).codes.astype("int64")
    for name in features.columns:
        if name in table.categories or features[name].dtype == object:
            features[name] = features[name].map(str, na_action="ignore").astype(object)
    place = np.random.default_rng(seed).integers(6, size=len(frame))
    return Parts(frame, features, labels, place < 4, place == 4, place == 5)


def timed(fit: Callable[[], Any]) -> tuple[Any, float, float]:
    wall, cpu = time.monotonic(), time.process_time()
    result = fit()
    return result, time.monotonic() - wall, time.process_time() - cpu


def boosting(table: Table, data: Parts, rows: np.ndarray) -> Outcome:
    """HistGradientBoosting with its default parameters, learnt from `rows`, a mask."""
    columns, names = {}, []
    for name, column in data.features.items():
        if column.dtype != object:
            columns[name] = column.to_numpy("float64")
            continue
        names.append(name)
        frequent = column[rows].value_counts().index[:MOST_CATEGORIES]
        codes = pd.Categorical(column, categories=frequent).codes.astype("float64")
        codes[codes < 0] = len(frequent)
        columns[name] = np.where(column.isna(), np.nan, codes)
    features = pd.DataFrame(columns)
    regression = table.problem == "regression"
    kind = HistGradientBoostingRegressor if regression else HistGradientBoostingClassifier
    estimator = kind(categorical_features=names, random_state=0)
    _, seconds, cpu_seconds = timed(lambda: estimator.fit(features[rows], data.labels[rows]))
    predict = estimator.predict if regression else estimator.predict_proba
    return Outcome(predict(features[data.test]), seconds, cpu_seconds)


def score(table: Table, labels: np.ndarray, predictions: np.ndarray) -> float:
    """AUC, the mean of one class against the rest where there are several; R^2 of a regression."""
    if table.problem == "regression":
        return float(r2_score(labels, predictions))
    of_class = predictions[:, 1] if table.problem == "binary" else predictions / predictions.sum(axis=1, keepdims=True)
    return float(roc_auc_score(labels, of_class, multi_class="ovr"))


def measure(name: str, splits: int) -> Row:
    table = TABLES[name]
    metric = "R2" if table.problem == "regression" else "AUC"
    row = Row(name, table.problem, metric, 0, 0)
    for seed in range(1, splits + 1):
        data = parts(table, seed)
        row.training_rows, row.columns = int(data.train.sum()), data.features.shape[1]
        labels = data.labels[data.test]
        theirs = boosting(table, data, data.train)
        with_eval = boosting(table, data, data.train | data.evaluate)
        ours = product.outcome(table, data.frame, {"train": data.train, "eval": data.evaluate, "test": data.test})
        row.ours.append(score(table, labels, ours.predictions))
        row.boosting.append(score(table, labels, theirs.predictions))
        row.boosting_with_eval.append(score(table, labels, with_eval.predictions))
        row.preparation_seconds.append(ours.preparation_seconds)
        row.seconds.append(ours.seconds)
        row.cpu_seconds.append(ours.cpu_seconds)
        row.boosting_seconds.append(theirs.seconds)
        row.boosting_cpu_seconds.append(theirs.cpu_seconds)
        if metric == "AUC":
            classes = np.arange(theirs.predictions.shape[1])
            row.log_loss.append(log_loss(labels, ours.predictions.astype("float64"), labels=classes))
            row.boosting_log_loss.append(log_loss(labels, theirs.predictions, labels=classes))
    return row


COLUMNS = (
    f"{'table':12} {'problem':10} {'rows':>7} {'cols':>4} {'':4} {'ours':>7} {'HGB':>7} {'diff':>7} {'HGB+eval':>8}"
    f" {'log loss':>8} {'HGB':>6} {'prep s':>6} {'s':>6} {'cpu s':>6} {'HGB s':>6} {'cpu s':>6}"
)


def line(row: Row) -> str:
    def mean(values: list[float], width: int, digits: int) -> str:
        return f"{np.mean(values):{width}.{digits}f}" if values else " " * width

    return (
        f"{row.name:12} {row.problem:10} {row.training_rows:7} {row.columns:4} {row.metric:4} {mean(row.ours, 7, 4)}"
        f" {mean(row.boosting, 7, 4)} {row.difference:+7.4f} {mean(row.boosting_with_eval, 8, 4)}"
        f" {mean(row.log_loss, 8, 4)} {mean(row.boosting_log_loss, 6, 4)}"
        f" {mean(row.preparation_seconds, 6, 1)} {mean(row.seconds, 6, 1)} {mean(row.cpu_seconds, 6, 1)}"
        f" {mean(row.boosting_seconds, 6, 1)} {mean(row.boosting_cpu_seconds, 6, 1)}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--splits", type=int, default=3)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    print(COLUMNS, flush=True)
    rows = []
    for name in arguments.tables:
        rows.append(measure(name, arguments.splits))
        print(line(rows[-1]), flush=True)
    print(json.dumps([asdict(row) for row in rows]))
    below = [row.name for row in rows if row.difference < -TOLERANCE]
    if below:
        raise SystemExit(f"more than {TOLERANCE} below HistGradientBoosting: {', '.join(below)}")


if __name__ == "__main__":
    main()
