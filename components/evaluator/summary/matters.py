"""Which columns of its examples matter to a model, and how: asked of a SavedModel that takes serialized tf.Examples."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from tensorflow_model_analysis.proto.config_pb2 import EvalConfig

from penstock.components.evaluator.metrics import comparison
from penstock.components.evaluator.summary import areas, permutation, scores
from penstock.components.evaluator.summary.scores import Compared, Scores, Values
from penstock.components.evaluator.tfma.extracts import ModelFailure
from penstock.core.artifacts.evaluation_summary import Effect, Importance, Measure
from penstock.core.examples import records

_SEED = 2001  # of the permutations
_REPETITIONS = 5
MOST = 1000  # rows in a copy, unless a person asks for more
_COPIED = 20_000  # rows in all permuted copies together: a model may take 20 microseconds for each
_FEWEST = 100  # rows in a copy, where there are many columns
_NUMBERS = 20_000_000  # in the predictions for all copies
_EFFECTS = 6  # columns
_EFFECT_ROWS = 100
_ASKED = "sampled rows, as they are or with another value in a column"


class Refused(Exception):
    """The model fails on sampled rows, most likely on copies with another value in a column."""


@dataclass(frozen=True)
class Question:
    """Which columns matter, by how much `metric` gets worse; it is the qualified name of one that is covered.

    Args:
        rows: Of how many examples; None for as many as take about a second, but at least 100.
        columns: The columns that the model reads; empty if nobody knows, so all are asked about.
        without: Columns that are not asked about: the label, the weight.
        output: The output of the model that is evaluated, where it has several; else "".
    """

    metric: str
    lower_is_better: bool
    rows: int | None
    columns: frozenset[str]
    without: frozenset[str]
    output: str


@dataclass(frozen=True)
class Rows:
    """Examples as list columns, with the labels and weights that go with them."""

    batch: pa.RecordBatch
    compared: Compared

    def spread(self, most: int) -> "Rows":
        """Returns so many of the rows, at equal distances."""
        count = self.batch.num_rows
        if count <= most:
            return self
        places: np.ndarray = np.linspace(0, count - 1, most).round().astype(np.int64)
        return Rows(self.batch.take(pa.array(places)), self.compared.taken(places))


@dataclass(frozen=True)
class Matters:
    """What matters to a model, as the summary has it; `rows` were looked at."""

    importance: list[Importance]
    effects: list[Effect]
    rows: int


def ask(
    question: Question, rows: Rows, config: EvalConfig, predict: Callable[[Sequence[bytes]], Values]
) -> Matters | None:
    """Asks a model, by what it predicts for serialized examples.

    Returns None if it reads no column, or if the metric is not defined on these rows. Raises Refused if it fails.
    """

    def predicted(batch: pa.RecordBatch) -> np.ndarray:
        serialized = records.encode(batch, skip_nulls=True)
        try:
            values = predict(serialized)
        except ModelFailure as error:
            raise Refused(f"the model fails on {_ASKED}: {str(error)[:300]}") from error
        table: np.ndarray = np.asarray(comparison.looked_up(values, question.output))
        if not np.isfinite(table).all():
            raise Refused(f"the model predicts NaN or infinity for {_ASKED}")
        return table.reshape(len(table), -1)

    columns = _columns(question, rows.batch)
    if not columns:
        return None
    copies = len(columns) * _REPETITIONS
    rows = rows.spread(question.rows or min(max(_COPIED // copies, _FEWEST), MOST))
    rows = rows.spread(_NUMBERS // (copies * predicted(rows.batch[:1]).shape[1]) + 1)
    plain = predicted(rows.batch)
    permuted = permutation.predict_permuted(predicted, rows.batch, columns, _REPETITIONS, _SEED)
    together = np.concatenate([plain[None], permuted.reshape(-1, *plain.shape)])
    importance = _importance(question, columns, _values(question, rows.compared, config, together))
    if importance is None:
        return None
    grids = [permutation.grid(rows.batch, each["column"]) for each in importance[:_EFFECTS]]
    few = rows.spread(_EFFECT_ROWS).batch
    effects = list(permutation.effects(predicted, few, list(filter(None, grids))))
    return Matters(importance, effects, rows.batch.num_rows)


def _columns(question: Question, batch: pa.RecordBatch) -> list[str]:
    return [
        name
        for name in batch.schema.names
        if (name in question.columns or not question.columns)
        and name not in question.without
        and not pa.types.is_null(batch.schema.field(name).type)
    ]


def _importance(question: Question, columns: Sequence[str], values: list[float | None]) -> list[Importance] | None:
    """Returns the importance of each column by the metric on the rows and then on each permuted copy of them."""
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return None
    worse = (np.array(known[1:]) - known[0]) * (1 if question.lower_is_better else -1) + 0.0  # no negative zero
    by_column = worse.reshape(len(columns), _REPETITIONS)
    order = np.argsort(-by_column.mean(axis=1), kind="stable")
    return [Importance(column=columns[place], worse_by=by_column[place].tolist()) for place in order]


def _values(question: Question, compared: Compared, config: EvalConfig, predictions: np.ndarray) -> list[float | None]:
    """Returns the metric on each of the copies of the rows, by the predictions for them: [copies, rows, values]."""
    copies, count, width = predictions.shape
    config = scores.of_model(config, question.metric)
    curve = areas.curve(config.metrics_specs[0]) if len(config.metrics_specs) == 1 else ""
    labels, weights = compared.labels, compared.weights
    if curve and width == 1 and isinstance(labels, np.ndarray) and labels.size == count:
        weighing = np.ones(count) if weights is None else np.asarray(weights, np.float64).reshape(count, -1).sum(axis=1)
        flat: np.ndarray = labels.reshape(count).astype(np.float64)
        return [areas.area(curve, flat, copy[:, 0], weighing) for copy in predictions]
    tiled = compared.taken(np.tile(np.arange(count), copies))
    codes: np.ndarray = np.repeat(np.arange(copies), count)
    scored = Scores(config, "other").of(tiled, predictions.reshape(-1, width), codes, copies)
    return [measures.get(question.metric, Measure(value=None))["value"] for measures in scored]
