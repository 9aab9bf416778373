"""The evaluation of the trivial model: of labels alone, which teach it and which it is compared with."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from tensorflow_metadata.proto.v0.schema_pb2 import Schema
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.api.types import Extracts
from tensorflow_model_analysis.metrics import metric_specs
from tensorflow_model_analysis.proto.config_pb2 import EvalConfig
from tensorflow_model_analysis.utils import config_util

from penstock.components.engines import Engine
from penstock.components.evaluator import predictions, results
from penstock.components.evaluator.eval_config import candidate
from penstock.components.evaluator.metrics import comparison, shards
from penstock.components.evaluator.metrics.shards import Accumulated, Shard
from penstock.components.evaluator.models import EvaluatedModel
from penstock.components.evaluator.trivial import LabelTotals, TrivialModel
from penstock.components.evaluator.trivial.margins import Margin
from penstock.core.errors import ConfigError, DataError
from penstock.core.examples.payloads import PayloadFormat


@dataclass(frozen=True)
class TrivialEvaluation:
    """The trivial model in place of a candidate, for the metrics that have a margin."""

    config: EvalConfig
    schema: Schema | None
    folders: Mapping[str, str]  # of the candidate, which may transform its label
    labels: Collection[str]  # as in extraction.py
    payload_format: PayloadFormat
    width: int  # how many numbers the candidate predicts for an example
    logits: bool  # whether these are logits

    @classmethod
    def of(
        cls,
        margins: Sequence[Margin],
        config: EvalConfig,
        model: EvaluatedModel,
        schema: Schema | None,
        labels: Collection[str],
        payload_format: PayloadFormat,
    ) -> Self:
        """Returns the evaluation in place of a model's; a ConfigError if nobody knows what would be predicted."""
        output = model.predictions.get("")
        width = 1 if output is not None and output.shape is not None and len(output.shape) == 1 else None
        if output is not None and output.shape is not None and len(output.shape) == 2:
            width = output.shape[1] or (len(model.label.classes) if model.label else None)
        if width is None:
            raise ConfigError(
                "better_than_trivial: expected a model with one output whose size is known, of shape [batch, values]"
            )
        reduced, logits = _reduced(config, margins), _are_logits(config)
        reason = shards.reason_for_beam(reduced, (), None)
        if reason:
            raise ConfigError(f"better_than_trivial: expected metrics of single examples: {reason}")
        folders = {spec.name: model.folder for spec in reduced.model_specs}  # TFMA renames the only one
        return cls(reduced, schema, folders, labels, payload_format, width, logits)

    def run(self, engine: Engine, train: Sequence[Path], files: Sequence[Path], output: str) -> None:
        """Writes TFMA's results of the model that the labels of `train` teach, for the examples of `files`."""
        learnt = engine.fold(_learn, _merged, [_Labels(shard, self.width) for shard in self._shards(train)])
        model = learnt.model() if learnt else None
        if model is None:
            raise DataError("better_than_trivial: no training example has a label that is a number")
        model = model.logits() if self.logits else model
        shards_ = [_Labels(shard, self.width, tuple(model.prediction.tolist())) for shard in self._shards(files)]
        total = engine.fold(_evaluate, shards.merge, shards_) or shards.empty(self.config)
        shared = predictions.shared_models(self.config, dict(self.folders))
        slices = results.Slices(shards.metrics(total), shards.sizes(total))
        results.write(slices, self.config, shared[0], output)

    def _shards(self, files: Sequence[Path]) -> list[Shard]:
        return shards.shards(files, self.config, self.schema, self.folders, self.payload_format, self.labels)


@dataclass(frozen=True)
class _Labels:
    """The labels of a shard, and what is predicted for each; zeros while nothing is learnt."""

    shard: Shard
    width: int
    prediction: tuple[float, ...] = ()

    @property
    def predictor(self) -> "_Constant":
        return _Constant(self.prediction or (0.0,) * self.width)


@dataclass(frozen=True)
class _Constant:
    """Stands for the function that asks a model."""

    prediction: tuple[float, ...]

    def process(self, extracts: Extracts) -> Iterator[Extracts]:
        model = TrivialModel(np.array(self.prediction))
        predicted: np.ndarray = model.predictions(len(extracts[constants.INPUT_KEY])).astype(np.float32)
        yield {**extracts, constants.PREDICTIONS_KEY: predicted}


def _learn(labels: _Labels) -> LabelTotals:
    total, extractor = LabelTotals(labels.width), shards.extractor(labels.shard, labels.predictor)
    for extracts in shards.extracted(labels.shard, extractor):
        rows = extractor.complete(extracts)
        values, weights = (
            comparison.taken(extracts.get(key), rows) for key in (constants.LABELS_KEY, constants.EXAMPLE_WEIGHTS_KEY)
        )
        if isinstance(values, np.ndarray):
            total.add(values, weights if isinstance(weights, np.ndarray) else None)
    return total


def _merged(total: LabelTotals, part: LabelTotals) -> LabelTotals:
    total.merge(part)
    return total


def _evaluate(labels: _Labels) -> Accumulated:
    return shards.accumulate(labels.shard, labels.predictor)


def _reduced(config: EvalConfig, margins: Sequence[Margin]) -> EvalConfig:
    """Returns a config of the candidate alone, without thresholds, and of what has a margin."""
    reduced = EvalConfig()
    reduced.CopyFrom(config)
    del reduced.model_specs[:], reduced.metrics_specs[:], reduced.cross_slicing_specs[:]
    reduced.ClearField("options")
    reduced.model_specs.add().CopyFrom(candidate(config))
    if not any(margin.every_slice for margin in margins):
        del reduced.slicing_specs[:]
        reduced.slicing_specs.add()
    for spec in config.metrics_specs:
        metrics = [metric for metric in spec.metrics if any(margin.names(metric) for margin in margins)]
        if metrics:
            kept = reduced.metrics_specs.add()
            kept.CopyFrom(spec)
            for field in ("metrics", "model_names", "thresholds", "per_slice_thresholds", "cross_slice_thresholds"):
                kept.ClearField(field)
            kept.metrics.extend(metrics)
            for metric in kept.metrics:
                for field in ("threshold", "per_slice_thresholds", "cross_slice_thresholds"):
                    metric.ClearField(field)
    return config_util.update_eval_config_with_defaults(reduced, has_baseline=False, rubber_stamp=True)


def _are_logits(config: EvalConfig) -> bool:
    """Whether a metric says that it takes logits, in the JSON of its settings."""
    metrics = [metric for spec in config.metrics_specs for metric in spec.metrics]
    return any(metric_specs._metric_config(metric.config).get("from_logits") for metric in metrics)
