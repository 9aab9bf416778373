"""One pass over the data for an evaluation and its summary: the shards of the former, and samples for the latter."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tensorflow_model_analysis.proto.config_pb2 import EvalConfig
from tensorflow_model_analysis.slicer import slicer_lib

from penstock.components.engines import Engine
from penstock.components.evaluator import verdict
from penstock.components.evaluator.metrics import shards
from penstock.components.evaluator.metrics.evidence import Evidence
from penstock.components.evaluator.metrics.shards import Accumulated, Shard
from penstock.components.evaluator.models import EvaluatedModel
from penstock.components.evaluator.slices import SliceKey
from penstock.components.evaluator.summary import main_metric, matters, probe, scores
from penstock.components.evaluator.summary.matters import Matters, Question
from penstock.components.evaluator.summary.measures import Features
from penstock.components.evaluator.summary.probe import Answer, Inquiry, Probe
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
) -> list[Probe | Inquiry]:
    """Returns what to ask about samples of the splits, whose `files` come with the evaluated ones first.

    Which columns matter is asked about the first split; not at all with 0 `importance_rows`. It takes longest, so it
    comes first.
    """
    candidate = next((model for model in models if not model.spec.is_baseline), None)
    if candidate is None:
        return []
    asked = [Probe(split, tuple(of), _ROWS, shard) for split, of in list(files.items())[:_SPLITS]]
    question = _question(config, candidate, shard, importance_rows) if importance_rows != 0 else None
    if question is None:
        return [*asked]
    return [Inquiry(replace(asked[0], rows=importance_rows or matters.MOST), question), *asked]


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

    total: Accumulated | None = None
    answers: list[Answer] = field(default_factory=list)
    matters: Matters | None = None


def run(engine: Engine, parts: Sequence[Shard], probes: Sequence[Probe | Inquiry]) -> Computed:
    """Computes everything; samples come first, as the shards are many and small beside them."""
    everything: list[Shard | Probe | Inquiry] = [*probes, *parts]
    return engine.fold(_compute, _merge, everything) or Computed()


def _compute(part: Shard | Probe | Inquiry) -> Computed:
    match part:
        case Shard():
            return Computed(shards.accumulate(part))
        case Inquiry():
            return Computed(matters=probe.matters_to(part))
        case Probe():
            answer = probe.answer(part)
            return Computed(answers=[answer] if answer is not None else [])


def _merge(total: Computed, part: Computed) -> Computed:
    total.answers += part.answers
    total.matters = total.matters or part.matters
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
        matters: Which columns matter, if anybody knows.
        evidence: What tells how sure the metrics of each slice are; empty if nothing does.
    """

    rows: int
    examples: Mapping[Features, int]
    plots: Mapping[Features, Plot]
    answers: Sequence[Answer]
    matters: Matters | None
    evidence: Mapping[Features, Evidence] = field(default_factory=dict)


def observed(computed: Computed, rows: int) -> Observed:
    """Returns what was found in so many rows; the plots are those of the overall slice and of the largest others."""
    total = computed.total
    if total is None:
        return Observed(rows, {(): rows}, {}, computed.answers, computed.matters)
    sizes = {_features(key): (int(total.sizes.of(total.codes.of(key))[0]), total.codes.of(key)) for key in total.codes}
    largest = sorted(sizes, key=lambda features: (len(features) > 0, -sizes[features][0], features))[: _PLOTS + 1]
    drawn = {features: total.plots.plot(sizes[features][1]) for features in largest} if total.plots else {}
    plots = {features: plot for features, plot in drawn.items() if plot is not None}
    examples = {features: size for features, (size, _) in sizes.items()}
    evidence = {_features(key): of_slice for key, of_slice in shards.evidence(total).items()}
    return Observed(rows, examples, plots, computed.answers, computed.matters, evidence)


def _features(key: SliceKey) -> Features:
    """Returns a slice as TFMA's files tell it."""
    return tuple(verdict.features(slicer_lib.serialize_slice_key(key)))
