"""What a model predicts: told by the model itself, if it is one without code, else by a batch of examples."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from tensorflow_metadata.proto.v0.schema_pb2 import Schema
from tensorflow_model_analysis.proto.config_pb2 import EvalConfig

from penstock.components.evaluator import predictions
from penstock.components.evaluator.metrics.batch import Batch
from penstock.components.evaluator.metrics.comparison import Comparison
from penstock.components.evaluator.models import EvaluatedModel
from penstock.components.evaluator.slices import Memberships
from penstock.components.evaluator.tfma.extracts import Extractor
from penstock.core.examples.payloads import PayloadFormat

type Kind = Literal["binary", "multiclass", "regression", "other"]


@dataclass(frozen=True)
class Problem:
    """What the predictions are.

    Args:
        kind: `other` is what no common metric fits, such as several outputs.
        classes: How many classes there are, or 0.
        one_hot: Whether a label is a row of numbers, one for each class, and no index.
        logits: Whether predictions are logits, and no probabilities.
    """

    kind: Kind
    classes: int = 0
    one_hot: bool = False
    logits: bool = False


@dataclass(frozen=True)
class Sample:
    """A file of examples, whose first batch tells what is predicted, and all that evaluating it needs."""

    file: Path
    config: bytes  # a serialized EvalConfig
    schema: bytes | None  # a serialized Schema
    models: dict[str, str]  # the folder of each model by its name
    payload_format: PayloadFormat
    only: tuple[str, ...]  # as in extraction.py


def known(model: EvaluatedModel) -> Problem | None:
    """Returns what a model predicts as far as its files say so: None if examples have to be looked at."""
    if model.label is not None:
        return Problem(model.label.problem, len(model.label.classes))
    if "" not in model.predictions or model.predictions[""].dtype.name == "string":
        return Problem("other")
    return None


def observed(sample: Sample) -> Problem:
    """Returns what the candidate predicts, by its predictions of the first examples and by their labels."""
    config = EvalConfig.FromString(sample.config)
    schema = Schema.FromString(sample.schema) if sample.schema is not None else None
    extractor = Extractor(config, sample.models, schema, sample.payload_format, sample.only)
    batches = predictions.example_batches(sample.file, sample.schema, sample.payload_format)
    extracts = next((part for batch in batches for part in extractor.extracts(batch)), None)
    if extracts is None:
        return Problem("other")
    spec = next(spec for spec in config.model_specs if not spec.is_baseline)
    name = spec.name if len(config.model_specs) > 1 else ""
    rows = extractor.complete(extracts)
    batch = Batch(config, extracts, rows, Memberships(np.zeros(len(rows) + 1, int), np.zeros(0, int)))
    blocks = batch.blocks(Comparison(model=name, flat=False)) if len(rows) else []
    return of(blocks[0].labels, blocks[0].predictions) if len(blocks) == 1 else Problem("other")


def of(labels: np.ndarray, predicted: np.ndarray) -> Problem:
    """Returns what labels and predictions, [rows, values] each, are of."""
    width, values = predicted.shape[1], np.unique(labels)
    probable = bool(np.all((predicted >= 0) & (predicted <= 1)))
    if width == 1 and labels.shape[1] == 1:
        if np.isin(values, (0, 1)).all() and (probable or len(values) == 2):
            return Problem("binary", 2, logits=not probable)
        return Problem("regression")
    if width > 1 and labels.shape[1] == width:
        one_hot = np.isin(values, (0, 1)).all() and np.all(labels.sum(axis=1) == 1)
        return Problem("multiclass", width, one_hot=True, logits=not probable) if one_hot else Problem("other")
    if width > 1 and labels.shape[1] == 1 and np.all((values == values.round()) & (values >= -1) & (values < width)):
        return Problem("multiclass", width, logits=not probable)
    return Problem("other")
