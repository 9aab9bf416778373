"""What a model predicts, found out from some examples where its files do not say it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tensorflow_metadata.proto.v0.schema_pb2 import Schema
from tensorflow_model_analysis.proto.config_pb2 import EvalConfig

from penstock.components.evaluator import predictions
from penstock.components.evaluator.defaults import problem
from penstock.components.evaluator.defaults.problem import Problem
from penstock.components.evaluator.eval_config import candidate, candidate_name
from penstock.components.evaluator.metrics import shards
from penstock.components.evaluator.metrics.batch import Batch
from penstock.components.evaluator.metrics.comparison import Comparison
from penstock.components.evaluator.metrics.shards import Shard
from penstock.components.evaluator.slices import Memberships
from penstock.core.errors import ModelError
from penstock.core.examples import sample as samples

_ROWS = 2000  # that are looked at


@dataclass(frozen=True)
class Sample:
    """Files of examples, of which some tell what is predicted; `shard` has all that evaluating them needs."""

    files: tuple[Path, ...]
    shard: Shard


def observed(sample: Sample) -> Problem:
    """Returns what the candidate predicts, by its predictions of some examples and by their labels."""
    shard, config = sample.shard, EvalConfig.FromString(sample.shard.config)
    serialized = samples.rows(sample.files, _ROWS)
    if not serialized:
        return Problem("other")
    schema = Schema.FromString(shard.schema) if shard.schema is not None else None
    extractor, compared = shards.extractor(shard), Comparison(model=candidate_name(config), flat=False)
    blocks = []
    for extracts in extractor.extracts(predictions.example_batch(serialized, schema, shard.payload_format)):
        rows = extractor.complete(extracts)
        batch = Batch(config, extracts, rows, Memberships(np.zeros(len(rows) + 1, int), np.zeros(0, int)))
        with shards.fitting():
            blocks += batch.blocks(compared) if len(rows) else []
    if len({(block.labels.shape[1], block.predictions.shape[1]) for block in blocks}) != 1:
        return Problem("other")
    if any(block.labels.dtype.kind not in "biuf" for block in blocks):
        label = candidate(config).label_key
        raise ModelError(
            f"eval_config: label_key: feature {label!r} holds no numbers: expected numbers, as the model predicts"
        )
    labels, predicted = (
        np.concatenate([getattr(block, part) for block in blocks]) for part in ("labels", "predictions")
    )
    return problem.of(labels, predicted)
