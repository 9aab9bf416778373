"""What our measures say of windows, and what Vertex AI's do, as we compute them."""

import functools
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
from windows import Case

from penstock.components.model_monitor.services.vertex_ai.divergence import divergence
from penstock.components.monitoring.measures import comparison, dependence
from penstock.components.monitoring.measures.reference import Reference

VERTEX = 0.3  # Vertex AI's default threshold of both distances


def batch(frame: pd.DataFrame) -> pa.RecordBatch:
    """Returns rows as columns of lists, as requests and training data are read."""
    arrays = [pa.array(frame[name].to_numpy(), from_pandas=True) for name in frame]
    return lists(pa.RecordBatch.from_arrays(arrays, [str(name) for name in frame]))


def lists(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Returns columns of values, null where there is none, as columns of lists."""
    columns = []
    for column in rows.columns:
        values = column.cast(pa.large_binary()) if pa.types.is_string(column.type) else column
        offsets = np.append(0, np.cumsum(np.asarray(values.is_valid())))
        columns.append(pa.LargeListArray.from_arrays(pa.array(offsets), values.drop_null()))
    return pa.RecordBatch.from_arrays(columns, rows.schema.names)


def judge(cases: Iterable[Case]) -> dict[str, dict[str, list[float]]]:
    """Returns scores of each window, by the case's key and tool: what exceeds 1 alerts."""
    return {case.key: _judge(case) for case in cases}


@functools.lru_cache(maxsize=1)
def reference(file: str, categories: tuple[str, ...]) -> Reference:
    return Reference.of([batch(pd.read_parquet(file))], dict.fromkeys(categories, "category"))


def _judge(case: Case) -> dict[str, list[float]]:
    training = reference(case.reference, tuple(case.categories))
    windows = pd.read_parquet(case.file)
    rows, numbers = batch(windows), _numbers(case)
    scores: dict[str, list[float]] = {
        "ours": [],
        "ours, features": [],
        "ours, dependence": [],
        "vertex": [],
        "named": [],
    }
    for index in range(case.windows):
        counts = training.window()
        counts.add(rows.slice(index * case.rows, case.rows))
        shifts, pairs = comparison.compare(training, counts), dependence.compare(training, counts)
        strongest = max(shifts, key=lambda shift: shift.strongest.excess)
        of_features, of_pairs = strongest.strongest.excess, pairs[0].excess
        about = [strongest.feature] if of_features > 1 else pairs[0].features
        scores["ours"].append(max(of_features, of_pairs))
        scores["ours, features"].append(of_features)
        scores["ours, dependence"].append(of_pairs)
        window = windows.iloc[index * case.rows : (index + 1) * case.rows]
        scores["vertex"].append(_vertex(shifts, window, numbers))
        scores["named"].append(float(not set(about).isdisjoint(case.subject.split(" "))))
    return scores


@functools.lru_cache(maxsize=1)
def _training(file: str) -> pd.DataFrame:
    return pd.read_parquet(file)


def _numbers(case: Case) -> dict[str, np.ndarray]:
    """Returns the numbers of the training data, by column."""
    rows = _training(case.reference)
    return {name: _finite(rows[name]) for name in rows if name not in case.categories}


def _finite(column: pd.Series) -> np.ndarray:
    values = column.to_numpy(np.float64, na_value=np.nan)
    return values[np.isfinite(values)]


def _vertex(shifts: Sequence[comparison.Shift], window: pd.DataFrame, numbers: Mapping[str, np.ndarray]) -> float:
    """Returns the greatest of the distances that Vertex AI looks at, in units of its default threshold.

    These are L-infinity of categories, and of numbers Jensen-Shannon over buckets of equal width, as TFDV has them.
    """
    categories = [
        one.value
        for shift in shifts
        for one in shift.measures
        if shift.kind == "category" and one.measure == "l_infinity"
    ]
    compared = [(training, _finite(window[name])) for name, training in numbers.items()]
    of_numbers = [divergence(values, training) for training, values in compared if len(values) and len(training)]
    return max([*categories, *of_numbers], default=0.0) / VERTEX
