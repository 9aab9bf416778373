"""What our measures say of windows."""

import functools
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from windows import Case

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
    rows = batch(pd.read_parquet(case.file))
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
        of_features, of_pairs = strongest.strongest.excess, pairs[0].value / pairs[0].threshold
        about = [strongest.feature] if of_features > 1 else pairs[0].features
        scores["ours"].append(max(of_features, of_pairs))
        scores["ours, features"].append(of_features)
        scores["ours, dependence"].append(of_pairs)
        scores["vertex"].append(_vertex(shifts))
        scores["named"].append(float(set(about) <= set(case.subject.split(" "))))
    return scores


def _vertex(shifts: Sequence[comparison.Shift]) -> float:
    """Returns the greatest of the distances that Vertex AI looks at, in units of its default threshold."""
    measure = {"category": "l_infinity"}
    return max(
        one.value / VERTEX
        for shift in shifts
        for one in shift.measures
        if one.measure == measure.get(shift.kind, "jensen_shannon")
    )


def read_cases(folder: Path) -> list[Case]:
    return [Case(**one) for one in pd.read_json(folder / "cases.json").to_dict("records")]
