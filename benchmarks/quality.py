"""The default model beside scikit-learn's HistGradientBoosting on real tables: quality on a test split, and seconds.

    python benchmarks/quality.py [--tables taxi flights …] [--splits 3]

Each table is split at random into training (4 of 6 rows), eval and test data, several times over; figures are means.
Both models learn from the same training rows and columns; the network stops early and calibrates on the eval rows,
HistGradientBoosting, with its default parameters, does by its own default: above 10,000 rows it stops early on a tenth
of its training rows. In a column of its own it is given the eval rows to learn from as well.
Categories are ids to both: to HistGradientBoosting as `categorical_features`, the 254 most frequent values, the rest as
one more, since it takes no more than 255; missing values are NaN.
Seconds are those of fitting alone, wall clock and processor, without imports and preparation. Ends with a line of JSON.
"""

import argparse
import json
import logging
import os
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # or its idle threads spin, on a busy machine for long

import keras
import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import log_loss, r2_score, roc_auc_score
from tables import TABLES, Table

from penstock.trainer import model
from penstock.trainer.calibration import calibrate
from penstock.trainer.hyperparameters import Hyperparameters

BINS = 48
MOST_CATEGORIES = 254
# At most so far below HistGradientBoosting.
TOLERANCE = 0.01


@dataclass(frozen=True)
class Parts:
    """A table's rows, and which of them are for what: boolean masks of the rows."""

    features: pd.DataFrame
    labels: np.ndarray  # class indices, or a regression's values
    train: np.ndarray
    evaluate: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class Outcome:
    predictions: np.ndarray  # of the test rows: [rows, classes] probabilities, or [rows] values
    seconds: float
    cpu_seconds: float


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
    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    boosting_seconds: list[float] = field(default_factory=list)
    boosting_cpu_seconds: list[float] = field(default_factory=list)

    @property
    def difference(self) -> float:
        return float(np.mean(self.ours) - np.mean(self.boosting))


def parts(table: Table, seed: int) -> Parts:
    frame = table.read()
    label = frame.pop(table.label)
    labels = label.to_numpy("float64") if table.problem == "regression" else pd.Categorical(label).codes.astype("int64")
    for name in frame.columns:
        if name in table.categories or frame[name].dtype == object:
            frame[name] = frame[name].map(str, na_action="ignore").astype(object)
    place = np.random.default_rng(seed).integers(6, size=len(frame))
    return Parts(frame, labels, place < 4, place == 4, place == 5)


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


def inputs(data: Parts) -> tuple[list[model.Number | model.Ids], dict[str, np.ndarray]]:
    """Returns the model's inputs and their values for all rows, learnt from the training rows.

    As trainer/preprocessing.py has it: the training data's distinct quantiles at equal distances, values between them
    linearly; vocabularies of what occurs often enough, and one id for the rest.
    """
    specifications: list[model.Number | model.Ids] = []
    values: dict[str, np.ndarray] = {}
    threshold = 2 if data.train.sum() < 10_000 else 5
    for name, column in data.features.items():
        missing = column.isna().to_numpy()
        if column.dtype == object:
            counts = column[data.train].value_counts()
            known = counts.index[counts >= threshold]
            codes = pd.Categorical(column, categories=known).codes.astype("int32")
            codes[codes < 0] = len(known)
            values[name] = np.where(missing, 0, codes + 1)[:, None]
            specifications.append(model.Ids(name, len(known) + 2))
        else:
            numbers = column.to_numpy("float64")
            seen = numbers[data.train & ~missing]
            bounds = np.unique(np.quantile(seen, np.linspace(0, 1, BINS + 1))) if len(seen) else np.zeros(1)
            scaled = np.interp(numbers, bounds, np.linspace(0, 1, len(bounds)))
            values[name] = np.stack([np.where(missing, 0, scaled), missing], axis=1).astype("float32")
            specifications.append(model.Number(name))
    return specifications, values


def default_model(table: Table, data: Parts, seed: int) -> Outcome:
    specifications, values = inputs(data)
    labels = data.labels[:, None].astype("int64" if table.problem == "multiclass" else "float32")
    head = _head(table, data.labels[data.train])
    hyperparameters = Hyperparameters.for_rows(int(data.train.sum()))
    train, evaluate, test = (
        ({name: value[rows] for name, value in values.items()}, labels[rows])
        for rows in (data.train, data.evaluate, data.test)
    )

    def fit() -> keras.Model:
        keras.utils.set_random_seed(seed)
        network = model.build(specifications, head, hyperparameters)
        network.fit(
            *train,
            batch_size=hyperparameters.batch_size,
            epochs=hyperparameters.epochs,
            validation_data=evaluate,
            validation_batch_size=4096,
            callbacks=[
                keras.callbacks.EarlyStopping(
                    head.monitor, mode="min", patience=hyperparameters.patience, restore_best_weights=True
                )
            ],
            verbose=0,
        )
        calibrate(network, head, network.predict(evaluate[0], batch_size=4096, verbose=0), evaluate[1])
        return network

    network, seconds, cpu_seconds = timed(fit)
    raw = network.predict(test[0], batch_size=4096, verbose=0)
    predictions = keras.ops.convert_to_numpy(model.predictions(raw, head))
    if table.problem == "binary":
        predictions = np.concatenate([1 - predictions, predictions], axis=1)
    if table.problem == "regression":
        predictions = predictions[:, 0]
    keras.backend.clear_session()
    return Outcome(predictions, seconds, cpu_seconds)


def _head(table: Table, labels: np.ndarray) -> model.Head:
    if table.problem == "regression":
        return model.Head("regression", mean=float(labels.mean()), deviation=float(labels.std()))
    frequencies = tuple((np.bincount(labels) / len(labels)).tolist())
    return model.Head(table.problem, len(frequencies), frequencies=frequencies)


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
        ours = default_model(table, data, seed)
        row.ours.append(score(table, labels, ours.predictions))
        row.boosting.append(score(table, labels, theirs.predictions))
        row.boosting_with_eval.append(score(table, labels, with_eval.predictions))
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
    f" {'log loss':>8} {'HGB':>6} {'s':>6} {'cpu s':>6} {'HGB s':>6} {'cpu s':>6}"
)


def line(row: Row) -> str:
    def mean(values: list[float], width: int, digits: int) -> str:
        return f"{np.mean(values):{width}.{digits}f}" if values else " " * width

    return (
        f"{row.name:12} {row.problem:10} {row.training_rows:7} {row.columns:4} {row.metric:4} {mean(row.ours, 7, 4)}"
        f" {mean(row.boosting, 7, 4)} {row.difference:+7.4f} {mean(row.boosting_with_eval, 8, 4)}"
        f" {mean(row.log_loss, 8, 4)} {mean(row.boosting_log_loss, 6, 4)} {mean(row.seconds, 6, 1)}"
        f" {mean(row.cpu_seconds, 6, 1)} {mean(row.boosting_seconds, 6, 1)} {mean(row.boosting_cpu_seconds, 6, 1)}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--splits", type=int, default=3)
    arguments = parser.parse_args()
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
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
