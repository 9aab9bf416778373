"""A sample of a split's rows and what a model makes of them, computed by an engine beside the shards of an evaluation.

A worker has loaded the models already, and a sample is small: this takes a fraction of the evaluation's time.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tensorflow_metadata.proto.v0.schema_pb2 import Schema
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.proto.config_pb2 import EvalConfig

from penstock.components.evaluator import predictions
from penstock.components.evaluator.eval_config import candidate_name
from penstock.components.evaluator.metrics import comparison, shards
from penstock.components.evaluator.metrics.shards import Shard
from penstock.components.evaluator.summary import matters, scores
from penstock.components.evaluator.summary.matters import Matters, Question
from penstock.components.evaluator.summary.scores import Compared, Scores, Values
from penstock.core.artifacts.evaluation_summary import Measure
from penstock.core.examples import records, sample

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Probe:
    """A split to take so many rows of; `shard` is any of the evaluation, whose models and config it has."""

    split: str
    files: tuple[Path, ...]
    rows: int
    shard: Shard


@dataclass(frozen=True)
class Inquiry:
    """What to ask of the columns, and the sample to ask it of."""

    probe: Probe
    question: Question


@dataclass
class Answer:
    """What was found on a sample: the metrics of the candidate.

    `compared` has the labels and weights, for other models of the same examples. `probable` says whether all
    predictions are between 0 and 1.
    """

    split: str
    examples: int
    metrics: dict[str, Measure]
    compared: Compared
    probable: bool


def answer(probe: Probe) -> Answer | None:
    """Asks the models about a sample of the split.

    Returns None if no row is complete, if labels or predictions are no numbers, or if a model does not take several
    examples at once.
    """
    sampled = _sampled(probe)
    if sampled is None:
        return None
    count, predicted = len(sampled.serialized), sampled.predicted
    everything: np.ndarray = np.zeros(count, np.int64)
    config = EvalConfig.FromString(probe.shard.config)
    (metrics,) = Scores(scores.of_model(config), probe.shard.target.problem).of(
        sampled.compared, predicted, everything, 1
    )
    return Answer(probe.split, count, metrics, sampled.compared, _are_probable(predicted))


def matters_to(inquiry: Inquiry) -> Matters | None:
    """Asks which columns matter; None where `answer` is, or if the model cannot be asked this."""
    probe = inquiry.probe
    sampled = _sampled(probe)
    if sampled is None:
        return None
    rows = matters.Rows(records.decode(sampled.serialized, None, probe.shard.payload_format), sampled.compared)
    config, predict = EvalConfig.FromString(probe.shard.config), shards.extractor(probe.shard).predictions
    try:
        return matters.ask(inquiry.question, rows, config, predict)
    except matters.Refused as error:
        logger.warning("which columns matter is not told: %s", error)
        return None


@dataclass(frozen=True)
class _Sampled:
    """The complete rows of a sample, and the candidate's predictions for them."""

    serialized: list[bytes]
    compared: Compared
    predicted: Values


def _sampled(probe: Probe) -> _Sampled | None:
    config, extractor = EvalConfig.FromString(probe.shard.config), shards.extractor(probe.shard)
    schema = Schema.FromString(probe.shard.schema) if probe.shard.schema is not None else None
    serialized = sample.rows(probe.files, probe.rows)
    if not serialized:
        return None
    batch = predictions.example_batch(serialized, schema, probe.shard.payload_format)
    extracts, *others = extractor.extracts(batch)
    rows = extractor.complete(extracts)
    name = candidate_name(config)
    labels, weights, predicted = (
        comparison.looked_up(extracts.get(key), name)
        for key in (constants.LABELS_KEY, constants.EXAMPLE_WEIGHTS_KEY, constants.PREDICTIONS_KEY)
    )
    compared, predicted = Compared(labels, weights).taken(rows), _numbers(comparison.taken(predicted, rows))
    if others or not len(rows) or not _are_numbers(compared.labels) or not _are_numbers(predicted):
        return None
    return _Sampled([serialized[row] for row in rows], compared, predicted)


def _numbers(predictions: Values) -> Values:
    """Returns the outputs that are numbers: a classifier's signature has the names of the classes beside its scores."""
    if isinstance(predictions, dict):
        return {name: values for name, values in predictions.items() if values is not None}
    return predictions


def _are_numbers(values: Values) -> bool:
    if isinstance(values, dict):
        return bool(values) and all(map(_are_numbers, values.values()))
    return isinstance(values, np.ndarray)


def _are_probable(values: Values) -> bool:
    if isinstance(values, dict):
        return all(map(_are_probable, values.values()))
    return isinstance(values, np.ndarray) and bool(np.all((values >= 0) & (values <= 1)))
