"""One pass over the data for an evaluation and its summary: the shards of the former, and samples for the latter."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tensorflow_model_analysis.proto.config_pb2 import EvalConfig
from tensorflow_model_analysis.slicer import slicer_lib

from penstock.components.engines import Engine
from penstock.components.evaluator import verdict
from penstock.components.evaluator.metrics import shards
from penstock.components.evaluator.metrics.shards import Accumulated, Shard
from penstock.components.evaluator.models import EvaluatedModel
from penstock.components.evaluator.slices import SliceKey
from penstock.components.evaluator.summary import main_metric, probe, scores
from penstock.components.evaluator.summary.matters import Question
from penstock.components.evaluator.summary.measures import Features
from penstock.components.evaluator.summary.probe import Answer, Probe
from penstock.core.artifacts.evaluation_summary import Plot
from penstock.core.examples import payloads

_PLOTS = 20  # slices
_ROWS = 2000  # of each sample
_SPLITS = 4  # that samples are taken of


def probes(
    shard: Shard,
    config: EvalConfig,
    models: Sequence[EvaluatedModel],
    files: Mapping[str, Sequence[Path]],
    importance_rows: int | None,
) -> list[Probe]:
    """Returns what to ask about samples of the splits, whose `files` come with the evaluated ones first.

    Which columns matter is asked about the first split; not at all with 0 `importance_rows`.
    """
    candidate = next((model for model in models if not model.spec.is_baseline), None)
    if candidate is None:
        return []
    question = _question(config, candidate, shard, importance_rows) if importance_rows != 0 else None
    asked = list(files.items())[:_SPLITS]
    first = [Probe(split, tuple(of), max(_ROWS, importance_rows or 0), shard, question) for split, of in asked[:1]]
    return first + [Probe(split, tuple(of), _ROWS, shard) for split, of in asked[1:]]


def _question(config: EvalConfig, candidate: EvaluatedModel, shard: Shard, rows: int | None) -> Question | None:
    """Returns what to ask of the columns; None if the model takes no tf.Examples or its metric is not covered."""
    metric, spec = main_metric.choose(config, shard.target.problem), candidate.spec
    takes_examples = shard.payload_format == payloads.TF_EXAMPLE and candidate.predicting.parses_examples
    is_known = shard.target.problem != "other" and metric and scores.of_model(config, metric).metrics_specs
    if not takes_examples or not is_known:
        return None
    outputs = candidate.predicting.outputs
    key = next((name for name, tensor in outputs.items() if tensor is candidate.predictions.get("")), "")
    return Question(
        metric=metric,
        lower_is_better=bool(main_metric.lower_is_better(config, [metric])),
        rows=rows,
        columns=frozenset(candidate.predicting.features),
        without=frozenset({shard.target.label, spec.label_key, spec.example_weight_key}),
        output=key if len(outputs) > 1 else "",
    )


@dataclass
class Computed:
    """What shards have accumulated, None before the first, and what was found on samples."""

    total: Accumulated | None
    answers: list[Answer] = field(default_factory=list)


def run(engine: Engine, parts: Sequence[Shard], probes: Sequence[Probe]) -> Computed:
    """Computes everything; samples come first, as the shards are many and small beside them."""
    everything: list[Shard | Probe] = [*probes, *parts]
    return engine.fold(_compute, _merge, everything) or Computed(None)


def _compute(part: Shard | Probe) -> Computed:
    if isinstance(part, Shard):
        return Computed(shards.accumulate(part))
    answer = probe.answer(part)
    return Computed(None, [answer] if answer is not None else [])


def _merge(total: Computed, part: Computed) -> Computed:
    total.answers += part.answers
    if part.total is not None:
        total.total = part.total if total.total is None else shards.merge(total.total, part.total)
    return total


@dataclass(frozen=True)
class Observed:
    """What an evaluation has found beside TFMA's results.

    Args:
        rows: How many examples were evaluated.
        examples: How many are in each slice.
        plots: Those of the largest slices.
        answers: About samples of splits.
    """

    rows: int
    examples: Mapping[Features, int]
    plots: Mapping[Features, Plot]
    answers: Sequence[Answer]


def observed(computed: Computed, rows: int) -> Observed:
    """Returns what was found in so many rows; the plots are those of the overall slice and of the largest others."""
    total = computed.total
    if total is None:
        return Observed(rows, {(): rows}, {}, computed.answers)
    sizes = {_features(key): (int(total.sizes.of(total.codes.of(key))[0]), total.codes.of(key)) for key in total.codes}
    largest = sorted(sizes, key=lambda features: (len(features) > 0, -sizes[features][0], features))[: _PLOTS + 1]
    drawn = {features: total.plots.plot(sizes[features][1]) for features in largest} if total.plots else {}
    plots = {features: plot for features, plot in drawn.items() if plot is not None}
    return Observed(rows, {features: size for features, (size, _) in sizes.items()}, plots, computed.answers)


def _features(key: SliceKey) -> Features:
    """Returns a slice as TFMA's files tell it."""
    return tuple(verdict.features(slicer_lib.serialize_slice_key(key)))
