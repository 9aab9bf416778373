"""An evaluation shard by shard: what covers TFMA's computations is accumulated in each, and merged by slice.

The merged accumulators give the metrics with which TFMA's pipeline continues. So the results are TFMA's own. An
evaluation that cannot be added up in this way runs on Beam as a whole: see `reason_for_beam`.
"""

import contextlib
import functools
import itertools
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType

import numpy as np
from tensorflow_metadata.proto.v0.schema_pb2 import Schema
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.api.types import EvalSharedModel, Extracts
from tensorflow_model_analysis.metrics.metric_types import MetricsDict
from tensorflow_model_analysis.proto.config_pb2 import EvalConfig

from penstock.components.engines import fold
from penstock.components.engines.fold import Stripe
from penstock.components.evaluator import predictions, results
from penstock.components.evaluator.defaults.target import UNKNOWN, Target
from penstock.components.evaluator.eval_config import candidate, candidate_name
from penstock.components.evaluator.metrics import coverage, replicates
from penstock.components.evaluator.metrics.accumulators import Result, spreads_of
from penstock.components.evaluator.metrics.batch import Batch
from penstock.components.evaluator.metrics.evidence import BinaryCounts, Evidence
from penstock.components.evaluator.metrics.plots import Histograms, histograms
from penstock.components.evaluator.metrics.replicates import Replicates
from penstock.components.evaluator.metrics.sums import Sums
from penstock.components.evaluator.slices import Codes, SliceKey, Slicer
from penstock.components.evaluator.tfma.combiners import Combiners
from penstock.components.evaluator.tfma.extracts import Extractor, Predictor
from penstock.core.errors import ModelError
from penstock.core.examples.payloads import PayloadFormat


@dataclass(frozen=True)
class Shard:
    """Some batches of a file, and all that evaluating them needs."""

    number: int
    stripe: Stripe
    config: bytes  # a serialized EvalConfig
    schema: bytes | None  # a serialized Schema
    models: tuple[tuple[str, str], ...]  # the name of each model, and its folder
    payload_format: PayloadFormat  # what the records are
    only: tuple[str, ...]  # the transformed features that are kept; empty for all
    target: Target  # what is predicted, which decides what is drawn


@dataclass
class Accumulated:
    """The number of evaluated examples and of those without a label, and what was accumulated of the former."""

    results: list[Result]  # of each slice and its replicates
    plots: Histograms | None  # of each slice
    classes: BinaryCounts | None  # of each slice
    replicates: Replicates
    codes: Codes = field(default_factory=Codes)
    sizes: Sums = field(default_factory=lambda: Sums(1))  # the number of examples of each slice
    drawn: Sums = field(default_factory=lambda: Sums(1))  # the same of each slice and its replicates
    rows: int = 0
    dropped: int = 0

    def add(self, batch: Batch, drawn: Batch) -> None:
        """Adds a batch; `drawn` are the same examples in the replicates of their slices."""
        every = np.arange(len(batch.rows))
        for sums, part in ((self.sizes, batch), (self.drawn, drawn)):
            positions, codes = part.memberships.expand(every)
            sums.add(codes, np.ones((len(positions), 1)))
        for result in self.results:
            with fitting():
                result.add(drawn)
        for beside in (self.plots, self.classes):
            if beside:
                beside.add(batch)


def reason_for_beam(config: EvalConfig, models: Sequence[EvalSharedModel], module: ModuleType | None) -> str | None:
    """Returns why an evaluation needs Beam, or None if it can be accumulated shard by shard."""
    if module is not None:
        return "the module customizes the evaluation"
    if any(spec.query_key for spec in config.metrics_specs):
        return "metrics are grouped by a query key"
    if any(spec.slice_keys_sql for spec in config.slicing_specs):
        return "slices are given in SQL"
    if any(model.model_type != constants.TF_GENERIC for model in models):
        return "the model carries metrics of its own"
    if replicates.method(config) != "none":
        for computation in results.computations(config).non_derived_computations:
            if coverage.result(computation) is None:
                names = ", ".join(key.name for key in computation.keys)
                return f"confidence intervals are computed for {names}"
    return None


def shards(
    files: Sequence[Path],
    config: EvalConfig,
    schema: Schema | None,
    models: Mapping[str, str],
    payload_format: PayloadFormat,
    only: Collection[str] = (),
    target: Target = UNKNOWN,
) -> list[Shard]:
    """Returns the shards of files, in order: one for each small file, several for a large one.

    `models` holds the folder of each model by its name; `only` is as in extraction.py.
    """
    serialized_config = config.SerializeToString()
    serialized_schema = schema.SerializeToString() if schema is not None else None
    return [
        Shard(
            number,
            stripe,
            serialized_config,
            serialized_schema,
            tuple(models.items()),
            payload_format,
            tuple(only),
            target,
        )
        for number, stripe in enumerate(fold.stripes(files))
    ]


def empty(config: EvalConfig, target: Target = UNKNOWN) -> Accumulated:
    """Returns what an evaluation of no example accumulates."""
    computations = results.computations(config).non_derived_computations
    covered = [(computation, coverage.result(computation)) for computation in computations]
    accumulators = [result for _, result in covered if result is not None]
    others = [computation for computation, result in covered if result is None]
    accumulated = [*accumulators, *([Combiners(others)] if others else [])]
    weighted = bool(candidate(config).example_weight_key)
    classes = BinaryCounts(candidate_name(config), weighted=weighted) if target.problem == "binary" else None
    return Accumulated(accumulated, histograms(config, target), classes, Replicates(config))


def accumulate(shard: Shard, predictor: Predictor | None = None) -> Accumulated:
    """Evaluates the examples of a shard; a ModelError if a metric does not fit the labels and predictions.

    A `predictor` stands for the models.
    """
    config = EvalConfig.FromString(shard.config)
    total = empty(config, shard.target)
    slicer = Slicer(config, total.codes)
    extracting = extractor(shard, predictor)
    for number, extracts in enumerate(extracted(shard, extracting)):
        rows = extracting.complete(extracts)
        total.rows += len(rows)
        total.dropped += len(extracts[constants.INPUT_KEY]) - len(rows)
        if not len(rows):
            continue
        members = slicer.memberships(extracts, rows)
        batch = Batch(config, extracts, rows, members)
        drawn = replace(batch, memberships=total.replicates.drawn(members, shard.number, number))
        total.add(batch, drawn)
    return total


def extracted(shard: Shard, extractor: Extractor) -> Iterator[Extracts]:
    """Yields the extracts of a shard's batches."""
    batches = predictions.example_batches(shard.stripe, shard.schema, shard.payload_format)
    return itertools.chain.from_iterable(map(extractor.extracts, batches))


def extractor(shard: Shard, predictor: Predictor | None = None) -> Extractor:
    """Returns what makes the extracts of a shard's batches; its models are loaded, once in this process."""
    specs = EvalConfig(model_specs=EvalConfig.FromString(shard.config).model_specs)  # all that it is asked with
    return _extractor(
        specs.SerializeToString(), shard.schema, shard.models, shard.payload_format, shard.only, predictor
    )


@functools.lru_cache(maxsize=1)  # a worker takes several shards, and loading a model takes the time of many batches
def _extractor(
    config: bytes,
    schema: bytes | None,
    models: tuple[tuple[str, str], ...],
    payload_format: PayloadFormat,
    only: tuple[str, ...],
    predictor: Predictor | None,
) -> Extractor:
    parsed = Schema.FromString(schema) if schema is not None else None
    return Extractor(EvalConfig.FromString(config), dict(models), parsed, payload_format, only, predictor)


@contextlib.contextmanager
def fitting() -> Iterator[None]:
    """Raises a ModelError in place of the errors of metrics that do not fit the labels and predictions.

    TFMA and NumPy raise these two for a misfit; any other error is a defect, or the machine's.
    """
    try:
        yield
    except (ValueError, TypeError) as error:
        raise _misfit(error) from error


def _misfit(error: BaseException) -> ModelError:
    message, _, inputs = str(error).partition("\n")  # below its message, TFMA prints the inputs of the metric
    match = re.search(r"'labels': (.*?), '", inputs)
    labels = f" (labels: {match[1]})" if match else ""
    return ModelError(f"eval_config: a metric does not fit the labels and predictions: {message.rstrip(':.')}{labels}")


def merge(total: Accumulated, part: Accumulated) -> Accumulated:
    """Adds a later shard's to an earlier one's, and returns that."""
    slices = np.array([total.codes.of(key) for key in part.codes], np.int64)
    codes = total.replicates.codes(slices)
    total.rows += part.rows
    total.dropped += part.dropped
    total.sizes.merge(part.sizes, slices)
    total.drawn.merge(part.drawn, codes)
    for result, other in zip(total.results, part.results, strict=True):
        result.merge(other, codes)
    if total.plots and part.plots:
        total.plots.merge(part.plots, slices)
    if total.classes and part.classes:
        total.classes.merge(part.classes, slices)
    return total


def metrics(total: Accumulated, replicate: int = 0) -> dict[SliceKey, MetricsDict]:
    """Returns the metrics of each slice, or of a replicate of each, counted from 1.

    A slice that a jackknife leaves without examples is not there. The order does not depend on that of the data.
    """
    slices = {}
    for key in sorted(total.codes, key=repr):
        code = total.codes.of(key) * total.replicates.size + replicate
        if total.replicates.method == "jackknife" and not total.drawn.of(code)[0]:
            continue
        slices[key] = {name: value for result in total.results for name, value in result.result(code).items()}
    return slices


def sampled(total: Accumulated) -> Iterator[dict[SliceKey, MetricsDict]]:
    """Yields the metrics of each replicate."""
    for replicate in range(1, total.replicates.size):
        yield metrics(total, replicate)


def evidence(total: Accumulated) -> dict[SliceKey, Evidence]:
    """Returns what tells how sure the metrics of each slice are."""
    return {
        key: Evidence(
            spreads_of(total.results, total.codes.of(key) * total.replicates.size),
            total.classes.of(total.codes.of(key)) if total.classes else None,
        )
        for key in total.codes
    }


def sizes(total: Accumulated) -> dict[SliceKey, int]:
    """Returns the number of examples of each slice."""
    return {key: int(total.sizes.of(total.codes.of(key))[0]) for key in total.codes}
