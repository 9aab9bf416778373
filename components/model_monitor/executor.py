"""The work of ModelMonitor: what the data of a model looks like in training, and from when on a window is another."""

import json
import logging
import math
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from tensorflow_metadata.proto.v0 import schema_pb2

from penstock.components.engines import Engine, open_engine
from penstock.components.model_monitor import answered, fixed, report, training_rows
from penstock.components.model_monitor.fixed import Fixed
from penstock.components.monitoring import sensitivity
from penstock.components.monitoring.measures import thresholds as deriving
from penstock.components.monitoring.measures.bins import Kind
from penstock.components.monitoring.measures.reference import Reference
from penstock.components.monitoring.measures.thresholds import Threshold
from penstock.components.monitoring.predictions import Predictions
from penstock.components.monitoring.windows.inputs import Features
from penstock.core import artifacts, progress
from penstock.core.arguments import parse_object
from penstock.core.artifacts import Examples, Model, ModelEvaluation, SavedModel, TaskResult
from penstock.core.artifacts.monitoring import BaselineRecord, MonitoringBaseline, Subject, ThresholdRecord
from penstock.core.errors import ConfigError
from penstock.core.files import atomic
from penstock.core.labels import Label
from penstock.core.suggestions import listed

logger = logging.getLogger(__name__)
_EXAMPLE = '{"trip_miles": 0.1}'
_SAMPLE_ROWS = 10_000  # in sample.parquet
_REASONS = {
    "chance": "derived: rarely reached by chance",
    "smallest": "derived: a smaller shift is not worth telling",
}


def run(
    *,
    baseline: str,
    report_file: str = "",
    examples: str,
    schema: str,
    model: str | None = None,
    evaluation: str | None = None,
    label: str = "",
    train_splits: Sequence[str] = ("train",),
    eval_splits: Sequence[str] = ("eval",),
    thresholds: str = "",
    false_alarm_rate: float = deriving.FALSE_ALARM_RATE,
    window_rows: int = 1000,
    engine: str = "local",
    model_uri: str = "",
) -> TaskResult:
    """Writes the baseline and its page; component.py describes the arguments.

    Raises a ConfigError for thresholds that cannot be, and a DataError if a split has no examples. A model that takes
    no tf.Examples has no predictions in the baseline, which a note says.
    """
    if not 0 < false_alarm_rate < 1:
        raise ConfigError(f"false_alarm_rate: expected a share above 0 and below 1, received {false_alarm_rate}")
    parsed, read = artifacts.Schema(Path(schema)).read(), parse_object("thresholds", thresholds, example=_EXAMPLE)
    target, source = MonitoringBaseline(Path(baseline)), Examples(Path(examples))
    features, notes = Features.of(parsed, label), list[str]()
    with open_engine(engine) as opened, progress.task("ModelMonitor") as counts:
        sampled = training_rows.sample(opened, source, train_splits)
        rows = training_rows.decoded(sampled.records, features)
        reference = _reference(opened, source, train_splits, rows, parsed, features)
        unseen = training_rows.sample(opened, source, [name for name in eval_splits if name in source.splits()])
        counts.show(rows=sampled.rows)
        folder = _serving(model, notes)
        made = Predictions(Label.read(folder) if folder else None)
        predicted = answered.predictions(folder, unseen.records, made) if folder else None
        of_predictions = Reference.of([predicted]) if predicted else None
        limits = fixed.read(read, parsed, [*reference.bins.values(), *(of_predictions or reference).bins.values()])
        notes += _unmeasured(features, reference)
        record = BaselineRecord(
            model=model_uri,
            label=asdict(made.label) if made.label else None,
            label_name=made.label.name if made.label else label,
            rows={"train": sampled.rows, "eval": unseen.rows},
            features=reference.document(),
            predictions=of_predictions.document() if of_predictions else None,
            false_alarm_rate=false_alarm_rate,
            configured=read,
            fixed=_finite(limits),
            sources=limits.sources,
            window_rows=window_rows,
            thresholds=_table(reference, of_predictions, window_rows, false_alarm_rate, limits),
            importance=_importance(evaluation),
            notes=notes,
        )
        _write(target, record, parsed, rows.slice(0, _SAMPLE_ROWS))
        if predicted is not None:
            _write_evaluation(target, predicted, answered.labels(unseen.records, record["label_name"]))
            _write_table(target.evaluation_rows, training_rows.decoded(unseen.records, features))
        if report_file:
            report.write(Path(report_file), record)
        report.write(target.report, record)
        counts.update({"features": len(reference.bins)})
    return TaskResult({"baseline": artifacts.metadata(features=len(reference.bins), label=record["label_name"])})


def _reference(
    engine: Engine,
    examples: Examples,
    splits: Sequence[str],
    sample: pa.RecordBatch,
    schema: schema_pb2.Schema,
    features: Features,
) -> Reference:
    empty = Reference.empty(pa.Table.from_batches([sample]), _kinds(schema))
    training_rows.count(engine, examples, splits, empty, features)
    return Reference(empty)


def _kinds(schema: schema_pb2.Schema) -> dict[str, Kind]:
    """Returns what features are by what the schema says of them."""
    kinds: dict[str, Kind] = {}
    for feature in schema.feature:
        if feature.int_domain.is_categorical or feature.HasField("string_domain") or feature.domain:
            kinds[feature.name] = "category"
        elif feature.HasField("natural_language_domain"):
            kinds[feature.name] = "text"
    return kinds


def _serving(model: str | None, notes: list[str]) -> Path | None:
    """Returns the folder of the SavedModel; None, with a note, for a model of another kind."""
    if not model:
        return None
    folder = Model(Path(model)).require_serving()
    if SavedModel(folder).exists:
        return folder
    notes.append(f"predictions are not monitored: the model is no SavedModel (there is {SavedModel(folder).listed()})")
    return None


def _unmeasured(features: Features, reference: Reference) -> list[str]:
    missing = [name for name in features.types if name not in reference.bins]
    return [f"features without a value in the training data are not monitored: {listed(missing)}"] if missing else []


def _table(
    features: Reference, predictions: Reference | None, rows: int, rate: float, limits: Fixed
) -> list[ThresholdRecord]:
    parts: list[tuple[Subject, Reference | None]] = [("feature", features), ("prediction", predictions)]
    derived = [
        limit
        for subject, reference in parts
        if reference is not None
        for limit in deriving.thresholds(
            reference, rows, sensitivity.of(subject, rate, limits.values, predictions is not None)
        )
    ]
    return [_record(limit, limits) for limit in derived]


def _record(limit: Threshold, limits: Fixed) -> ThresholdRecord:
    reason = _REASONS.get(limit.reason) or limits.sources[limit.feature][limit.measure]
    value = limit.value if math.isfinite(limit.value) else None
    return ThresholdRecord(name=limit.feature, measure=limit.measure, value=value, reason=reason)


def _finite(limits: Fixed) -> dict[str, dict[str, float | None]]:
    return {
        name: {measure: limit if math.isfinite(limit) else None for measure, limit in values.items()}
        for name, values in limits.values.items()
    }


def _importance(evaluation: str | None) -> dict[str, float]:
    """Returns how much the model depends on each column, as the Evaluator has measured it; none if it has not."""
    if not evaluation:
        return {}
    try:
        summary = ModelEvaluation(Path(evaluation)).read_summary()
    except (OSError, ValueError) as error:
        logger.warning("no importance of features: %s", error)
        return {}
    worse = {one["column"]: max(0.0, statistics.fmean(one["worse_by"])) for one in summary["importance"]}
    most = max(worse.values(), default=0.0)
    return {name: value / most for name, value in worse.items()} if most else {}


def _write(target: MonitoringBaseline, record: BaselineRecord, schema: schema_pb2.Schema, rows: pa.RecordBatch) -> None:
    artifacts.Schema(target.root).write(schema)
    _write_table(target.sample, rows)
    target.write(record)


def _write_evaluation(target: MonitoringBaseline, predicted: pa.RecordBatch, labels: pa.Array | None) -> None:
    names, arrays = list(predicted.schema.names), list(predicted.columns)
    if labels is not None:
        names.append(target.LABEL)
        arrays.append(labels)
    _write_table(target.evaluation, pa.RecordBatch.from_arrays(arrays, names))


def _write_table(path: Path, rows: pa.RecordBatch) -> None:
    with atomic.replacing(path) as temporary:
        pq.write_table(pa.Table.from_batches([rows]), temporary, compression="zstd")


if __name__ == "__main__":
    run(**json.loads(sys.argv[1]))
