"""The work of ModelMonitor: what the data of a model looks like in training, and from when on a window is another."""

import json
import math
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import pyarrow as pa
import pyarrow.parquet as pq
from tensorflow_metadata.proto.v0 import schema_pb2

from penstock.components.engines import Engine, open_engine
from penstock.components.model_monitor import answered, fixed, report, training_rows
from penstock.components.model_monitor.answered import Answers
from penstock.components.model_monitor.evaluated import Evaluation
from penstock.components.model_monitor.fixed import Fixed
from penstock.components.model_monitor.training_rows import DecodedRows, RowColumns
from penstock.components.model_monitor.watching import Watching
from penstock.components.monitoring import kinds, sensitivity
from penstock.components.monitoring.measures import thresholds as deriving
from penstock.components.monitoring.measures.bins import FeatureBins
from penstock.components.monitoring.measures.reference import Reference
from penstock.components.monitoring.measures.thresholds import Threshold
from penstock.components.monitoring.windows.inputs import Features
from penstock.core import artifacts, progress
from penstock.core.arguments import parse_object
from penstock.core.artifacts import Examples, Model, SavedModel, TaskResult
from penstock.core.artifacts.judged import Judged
from penstock.core.artifacts.monitoring import BaselineRecord, MonitoringBaseline, Subject, ThresholdRecord, TrainedOn
from penstock.core.errors import ConfigError
from penstock.core.files import atomic
from penstock.core.labels import Label
from penstock.core.suggestions import listed

_EXAMPLE = '{"trip_miles": 0.1}'
_SAMPLE_ROWS = 10_000  # in sample.parquet
_REASONS = {
    "chance": "derived: rarely reached by chance",
    "smallest": "derived: a smaller shift is not worth telling",
    "few": f"windows of fewer than {deriving.FEWEST_ROWS} rows are not judged",
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
    service: str = "",
    pushed: Mapping[str, Any] | None = None,
    model_uri: str = "",
    examples_metadata: Mapping[str, Any] | None = None,
) -> TaskResult:
    """Writes the baseline and its page, and has a service monitor the model; component.py describes the arguments.

    pushed: The metadata of the pushed model; None without one.
    examples_metadata: Those of the examples, which say what data they are of.

    Raises a ConfigError for thresholds that cannot be, and a DataError if a split has no examples. A model that takes
    no tf.Examples has no predictions in the baseline, which a note says. services/service.py says what services raise.
    """
    if not 0 < false_alarm_rate < 1:
        raise ConfigError(f"false_alarm_rate: expected a share above 0 and below 1, received {false_alarm_rate}")
    parsed, configured = artifacts.Schema(Path(schema)).read(), parse_object("thresholds", thresholds, example=_EXAMPLE)
    watching, known = Watching.of(service, pushed), _label(model)
    label, source = known.name if known else label, Examples(Path(examples))
    columns, notes = RowColumns.of(parsed, label), list[str]()
    evaluated = Evaluation.read(evaluation, notes)
    with open_engine(engine, Path(baseline)) as opened, progress.task("ModelMonitor") as counts:
        training = _training(opened, source, train_splits, parsed, columns)
        counts.show(rows=training.rows)
        unseen = [name for name in eval_splits if name in source.splits()] or list(train_splits)
        answers = answered.ask(opened, source, unseen, Path(model), known, columns, evaluated, notes) if model else None
        predictions = answers.reference if answers else None
        limits = fixed.read(configured, parsed, [*training.reference.bins.values(), *_bins(predictions)])
        record = BaselineRecord(
            model=model_uri,
            label=asdict(known) if known else None,
            label_name=label,
            rows={"train": training.rows, "eval": answers.rows if answers else 0},
            features=training.reference.document(),
            predictions=predictions.document() if predictions else None,
            false_alarm_rate=false_alarm_rate,
            configured=configured,
            fixed=limits.values,
            sources=limits.sources,
            window_rows=window_rows,
            thresholds=_table(training.reference, predictions, window_rows, false_alarm_rate, limits),
            importance=_importance(evaluated),
            notes=[*notes, *_unmeasured(columns.features, training.reference)],
            created=datetime.now(UTC).isoformat(),
            **_of_run(examples_metadata or {}, evaluated),
        )
        compared = watching and watching.baseline(record, parsed, training.decoded)
        if model and (beside := _rules_beside(Path(model))):
            atomic.write_bytes(MonitoringBaseline(Path(baseline)).cleaning, beside.read_bytes())
        _write(MonitoringBaseline(Path(baseline)), record, parsed, training.decoded, answers, evaluated, report_file)
        counts.update({"features": len(training.reference.bins)})
        monitors = watching.configure(compared) if watching and compared else []
    about = artifacts.metadata(features=len(training.reference.bins), label=label)
    return TaskResult({"baseline": about | ({"monitors": json.dumps(monitors)} if monitors else {})})


def _rules_beside(model: Path) -> Path | None:
    """Returns the rules of cleaning that go with a model, if there are some."""
    folder = Model(model).serving_model()
    path = SavedModel(folder).cleaning if folder else None
    return path if path and path.is_file() else None


class _OfRun(TypedDict):
    """What only some runs know: the data of the training, and the model's evaluation."""

    trained_on: NotRequired[TrainedOn]
    judged: NotRequired[Judged]


def _of_run(examples: Mapping[str, Any], evaluated: Evaluation | None) -> _OfRun:
    known = _OfRun()
    if evaluated and (judged := evaluated.judged):
        known["judged"] = judged
    if examples.get("input_fingerprint"):
        rows = parse_object("num_examples", str(examples.get("num_examples", "")))
        known["trained_on"] = TrainedOn(
            fingerprint=str(examples["input_fingerprint"]),
            span=int(examples.get("span", 0)),
            spans=str(examples.get("spans", "")),
            rows=sum(map(int, rows.values())),
        )
    return known


@dataclass(frozen=True)
class _Training:
    """The training data: how many rows, a sample of them decoded, and the counts of all."""

    rows: int
    decoded: DecodedRows
    reference: Reference


def _training(
    engine: Engine, examples: Examples, splits: Sequence[str], schema: schema_pb2.Schema, columns: RowColumns
) -> _Training:
    sampled = training_rows.sample(engine, examples, splits)
    rows = training_rows.decoded(sampled.records, columns)
    empty = Reference.empty(pa.Table.from_batches([rows.features]), kinds.kinds(schema))
    training_rows.count(engine, examples, splits, empty, columns)
    return _Training(sampled.rows, rows, Reference.counted(empty, [rows.features]))


def _label(model: str | None) -> Label | None:
    return Label.read(Model(Path(model)).require_serving()) if model else None


def _bins(reference: Reference | None) -> list[FeatureBins]:
    return list(reference.bins.values()) if reference else []


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
    return [_threshold(limit, limits) for limit in derived]


def _threshold(limit: Threshold, limits: Fixed) -> ThresholdRecord:
    reason = _REASONS.get(limit.reason) or limits.sources[limit.feature][limit.measure]
    value = limit.value if math.isfinite(limit.value) else None
    return ThresholdRecord(name=limit.feature, measure=limit.measure, value=value, reason=reason)


def _importance(evaluated: Evaluation | None) -> dict[str, float]:
    """Returns how much the model depends on each column, as the Evaluator has measured it; none if it has not."""
    if evaluated is None:
        return {}
    worse = {one["column"]: max(0.0, statistics.fmean(one["worse_by"])) for one in evaluated.summary["importance"]}
    most = max(worse.values(), default=0.0)
    return {name: value / most for name, value in worse.items()} if most else {}


def _write(
    target: MonitoringBaseline,
    record: BaselineRecord,
    schema: schema_pb2.Schema,
    rows: DecodedRows,
    answers: Answers | None,
    evaluated: Evaluation | None,
    report_file: str,
) -> None:
    """Writes the baseline, its record last but for the pages."""
    artifacts.Schema(target.root).write(schema)
    _write_table(target.sample, rows.features.slice(0, _SAMPLE_ROWS))
    if evaluated and evaluated.config:
        atomic.write_bytes(target.eval_config, evaluated.artifact.config.read_bytes())
    if answers:
        names, arrays = list(answers.predictions.schema.names), list(answers.predictions.columns)
        labels = {target.LABEL: answers.decoded.labels, target.EVALUATED_LABEL: answers.evaluated_labels}
        for name, column in labels.items():
            if column is not None:
                names.append(name)
                arrays.append(column)
        _write_table(target.evaluation, pa.RecordBatch.from_arrays(arrays, names))
        _write_table(target.evaluation_rows, answers.decoded.features)
    target.write(record)
    for path in [target.report, *([Path(report_file)] if report_file else [])]:
        report.write(path, record)


def _write_table(path: Path, rows: pa.RecordBatch) -> None:
    with atomic.replacing(path) as temporary:
        pq.write_table(pa.Table.from_batches([rows]), temporary, compression="zstd")


if __name__ == "__main__":
    run(**json.loads(sys.argv[1]))
