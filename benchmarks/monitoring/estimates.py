"""Performance without labels: what is estimated of windows, beside what came true.

A model learns from the first rows, the evaluation split is the next ones, and windows are the rest: in their order in
time, or in several random ones. For regression the loss is the absolute error.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import ours
import pandas as pd
import pyarrow as pa
import scipy.stats
import windows
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import roc_auc_score

from penstock.components.monitoring.measures.bins import feature_bins
from penstock.components.monitoring.measures.loss import LossEstimator
from penstock.components.monitoring.measures.performance import Estimate, Estimator

_LEARNT, _EVALUATED = 0.3, 0.2  # of the rows


@dataclass(frozen=True)
class Source:
    """A table of windows: by which columns it is in order of time, none of a random one, and what is predicted.

    leaves_out: What is known only when the label is.
    """

    label: str
    rows: int  # of a window
    order: Sequence[str] = ()
    leaves_out: Sequence[str] = ()


CLASSIFICATION = {
    "flights": Source("late", 1000, ["month"]),
    "taxi": Source("big_tipper", 500, ["trip_start_timestamp"]),
    "churn": Source("churn", 500),
    "crashes": Source("dead", 1000),
    "insurance": Source("insurance", 500),
    "loans": Source("Class", 500),
}
REGRESSION = {
    "diamonds": Source("price", 1000),
    "taxi": Source("fare", 500, ["trip_start_timestamp"], ["big_tipper"]),
    "hotel rates": Source("avg_price_per_room", 500),
    "flights": Source("dep_delay", 1000, ["month"], ["late"]),
    "earnings": Source("earnings", 1000),
    "deliveries": Source("time_to_delivery", 500),
    "food": Source("wfood", 1000),
}


@dataclass(frozen=True)
class Stream:
    """Rows with a model's predictions: of the evaluation split, and of windows, one after the other."""

    table: str
    problem: str
    order: int
    rows: int
    windows: int
    evaluation: str
    file: str
    features: Sequence[str]
    categories: Sequence[str]

    @property
    def key(self) -> str:
        return f"{self.table}|{self.problem}|{self.order}"


def write(folder: Path, tables: Sequence[str], orders: Sequence[int]) -> list[Stream]:
    """Trains the models and writes their predictions below a folder; `orders` are seeds of random ones."""
    folder.mkdir(parents=True, exist_ok=True)
    chosen = [("binary", name, one) for name, one in CLASSIFICATION.items() if name in tables]
    chosen += [("regression", name, one) for name, one in REGRESSION.items() if name in tables]
    streams = [
        _stream(folder, problem, name, source, order)
        for problem, name, source in chosen
        for order in ([0] if source.order else orders)
    ]
    (folder / "streams.json").write_text(json.dumps([asdict(stream) for stream in streams]))
    return streams


def _stream(folder: Path, problem: str, table: str, source: Source, order: int) -> Stream:
    rows, categories = windows.frame(table)
    rows = (
        rows.sort_values(list(source.order), kind="stable") if source.order else rows.sample(frac=1, random_state=order)
    )
    rows = rows[rows[source.label].notna()]
    features = [name for name in rows if name != source.label and name not in source.leaves_out]
    inputs = rows[features].assign(**{name: _codes(rows[name]) for name in categories if name in features})
    label = rows[source.label]
    if label.dtype == object:
        label = (label == sorted(label.unique())[-1]).astype(int)
    learnt, evaluated = int(len(rows) * _LEARNT), int(len(rows) * (_LEARNT + _EVALUATED))
    if problem == "binary":
        classifier = HistGradientBoostingClassifier(random_state=1).fit(inputs[:learnt], label[:learnt])
        scores = classifier.predict_proba(inputs[learnt:])[:, 1]
    else:
        scores = (
            HistGradientBoostingRegressor(random_state=1).fit(inputs[:learnt], label[:learnt]).predict(inputs[learnt:])
        )
    told = (
        rows[features]
        .iloc[learnt:]
        .assign(y_true=label.iloc[learnt:].to_numpy(), y_pred_proba=scores, y_pred=(scores >= 0.5).astype(int))
    )
    if problem == "regression":
        told = told.drop(columns="y_pred_proba").assign(y_pred=scores)
    count = (len(rows) - evaluated) // source.rows
    home = folder / f"{problem}-{table.replace(' ', '-')}-{order}"
    paths = [str(home.with_name(f"{home.name}-{part}.parquet")) for part in ("evaluation", "windows")]
    split = evaluated - learnt
    told.iloc[:split].to_parquet(paths[0], index=False)
    told.iloc[split : split + count * source.rows].to_parquet(paths[1], index=False)
    names = [name for name in categories if name in features]
    return Stream(table, problem, order, source.rows, count, *paths, features, names)


def _codes(names: pd.Series) -> np.ndarray:
    return np.asarray(names.astype("category").cat.codes, np.float64)


def realised(stream: Stream) -> dict[str, list[float]]:
    """Returns what the metrics of each window turn out to be."""
    result: dict[str, list[float]] = {}
    for rows in cut(stream):
        true = rows["y_true"].to_numpy()
        if stream.problem == "regression":
            result.setdefault("mae", []).append(float(np.abs(rows["y_pred"] - true).mean()))
            continue
        result.setdefault("accuracy", []).append(float((rows["y_pred"] == true).mean()))
        result.setdefault("auc", []).append(float(roc_auc_score(true, rows["y_pred_proba"])))
    return result


def estimated(stream: Stream) -> dict[str, dict[str, list[float]]]:
    """Returns what we estimate of each window, by metric: `value`, `low`, `high`."""
    evaluation = pd.read_parquet(stream.evaluation)
    if stream.problem == "binary":
        estimator = Estimator.binary(evaluation["y_pred_proba"].to_numpy(), evaluation["y_true"].to_numpy())
        found = [estimator.estimate(rows["y_pred_proba"].to_numpy()) for rows in cut(stream)]
    else:
        found = _losses(stream, evaluation)
    return {
        metric: {part: [getattr(one[metric], part) for one in found] for part in ("value", "low", "high")}
        for metric in found[0]
    }


def _losses(stream: Stream, evaluation: pd.DataFrame) -> list[dict[str, Estimate]]:
    rows = ours.batch(evaluation[list(stream.features)])
    bins = feature_bins(pa.Table.from_batches([rows]), dict.fromkeys(stream.categories, "category"))
    told = evaluation["y_pred"].to_numpy()
    estimator = LossEstimator.of(bins, rows, told, np.abs(told - evaluation["y_true"].to_numpy()))
    return [
        {"mae": estimator.estimate(ours.batch(window[list(stream.features)]), window["y_pred"].to_numpy())}
        for window in cut(stream)
    ]


def cut(stream: Stream) -> Iterator[pd.DataFrame]:
    """Yields the windows."""
    rows = pd.read_parquet(stream.file)
    for index in range(stream.windows):
        yield rows.iloc[index * stream.rows : (index + 1) * stream.rows]


def beside(streams: Sequence[Stream], others: Mapping[str, Any]) -> dict[tuple[str, str], pd.DataFrame]:
    """Returns for each table and metric what came true of each window, what we estimate, and what NannyML does."""
    parts: dict[tuple[str, str], list[pd.DataFrame]] = {}
    for stream in streams:
        own = estimated(stream)
        for metric, values in realised(stream).items():
            one = {"order": stream.order, "realised": values}
            for tool, told in (("ours", own), ("nannyml", others[stream.key])):
                one |= {f"{tool} {part}": numbers for part, numbers in told[metric].items()}
            parts.setdefault((stream.table, metric), []).append(pd.DataFrame(one))
    return {key: pd.concat(ones, ignore_index=True) for key, ones in parts.items()}


def compared(pooled: Mapping[tuple[str, str], pd.DataFrame]) -> Iterator[str]:
    """Yields the rows of a table: mean absolute errors, how much less ours is, and how many values the intervals hold.

    The difference has a 95 % interval. It is of the orders' means, since windows of an order share what was learnt;
    where time orders the rows, of single windows, which makes it too narrow if neighbours err alike.
    """
    yield "\n| table | metric | windows | ours | NannyML's | difference | ours: in the interval | NannyML's |"
    yield "| --- | --- |" + " ---: |" * 6
    for (table, metric), one in pooled.items():
        errors = {tool: (one[f"{tool} value"] - one["realised"]).abs() for tool in ("ours", "nannyml")}
        within = [one["realised"].between(one[f"{tool} low"], one[f"{tool} high"]).mean() for tool in errors]
        paired = (errors["ours"] - errors["nannyml"]) / errors["nannyml"].mean()
        means = paired.groupby(one["order"]).mean() if one["order"].nunique() > 1 else paired
        half = scipy.stats.t.ppf(0.975, len(means) - 1) * means.sem()
        cells = [f"{len(one)}", *(f"{error.mean():.3g}" for error in errors.values())]
        cells.append(f"{means.mean():+.1%} ± {half:.1%}")
        cells += [f"{share:.0%}" for share in within]
        yield f"| {table} | {metric} | {' | '.join(cells)} |"
