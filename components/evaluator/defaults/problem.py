"""What a model predicts: told by the model itself, if it is one without code, else by a batch of examples."""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

import apache_beam as beam
import numpy as np
import pyarrow as pa
import tensorflow_model_analysis as tfma
from tensorflow_metadata.proto.v0.schema_pb2 import Schema
from tensorflow_model_analysis.api.types import Extracts
from tensorflow_model_analysis.proto.config_pb2 import EvalConfig
from tensorflow_model_analysis.utils import util

from penstock.components.evaluator import predictions, results
from penstock.components.evaluator.metrics.batch import Batch
from penstock.components.evaluator.metrics.comparison import Comparison
from penstock.components.evaluator.models import EvaluatedModel
from penstock.components.evaluator.slices import Memberships
from penstock.components.evaluator.tfma import extraction
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
    extracts = _extracts(sample, config)
    if not extracts:
        return Problem("other")
    spec = next(spec for spec in config.model_specs if not spec.is_baseline)
    name = spec.name if len(config.model_specs) > 1 else ""
    rows = _complete(extracts, config)
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


def _complete(extracts: Extracts, config: EvalConfig) -> np.ndarray:
    """Returns the positions of the examples that have a label and a weight."""
    required = extraction.required(config)
    examples = util.split_extracts({key: extracts[key] for key in required if extracts.get(key) is not None})
    complete = [row for row, example in enumerate(examples) if extraction.is_complete(example, required)]
    positions: np.ndarray = np.array(complete, int)
    return positions


def _extracts(sample: Sample, config: EvalConfig) -> Extracts | None:
    """Returns what TFMA's extractors make of the first batch of a file, None of an empty file."""
    models = predictions.shared_models(config, sample.models)
    schema = Schema.FromString(sample.schema) if sample.schema is not None else None
    shared = models[0] if len(models) == 1 else models
    extractors = extraction.extractors(config, shared, schema, sample.payload_format, sample.only)
    batches = functools.partial(_first_batch, schema=sample.schema, payload_format=sample.payload_format)

    def extracts(pipeline: beam.Pipeline) -> beam.PCollection:
        collection = pipeline | beam.Create([sample.file]) | beam.FlatMap(batches) | tfma.BatchedInputsToExtracts()
        for extractor in extractors[:-2]:  # the last two split batches and compute the slices of each example
            collection = collection | extractor.stage_name >> extractor.ptransform
        return collection

    return next(iter(results.collected(extracts)), None)


def _first_batch(file: Path, schema: bytes | None, payload_format: PayloadFormat) -> Iterator[pa.RecordBatch]:
    return islice(predictions.example_batches(file, schema, payload_format), 1)
