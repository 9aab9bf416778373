"""What is asked of a window's labelled rows: the metrics and slices of the model's evaluation."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa
from tensorflow_model_analysis.proto.config_pb2 import EvalConfig, ModelSpec

from penstock.components.evaluator.eval_config import CANDIDATE_SIGNATURE, candidate
from penstock.components.evaluator.slices import Codes, Slicer
from penstock.components.evaluator.summary import limits, scores
from penstock.components.monitoring.labels import files
from penstock.components.monitoring.windows import columns
from penstock.components.window_monitor.asked import Known, table
from penstock.components.window_monitor.realised.label_codes import LabelCodes
from penstock.core import artifacts
from penstock.core.artifacts.evaluation_summary import Problem
from penstock.core.artifacts.judged import Judged
from penstock.core.artifacts.monitoring import MonitoringBaseline
from penstock.core.errors import DataError
from penstock.core.suggestions import listed


class NotAsked(Exception):
    """Why nothing can be asked, in words."""


@dataclass(frozen=True)
class Question:
    """What is asked. Picklable.

    Args:
        metrics: A serialized EvalConfig of the candidate alone, with metrics that are array operations.
        slicing: One with the slices.
        features: The features that slices and weights are made of, with their types.
        label: The label's type in files: float32, int64 or large_binary.
        codes: What stands for it.
        weight: The feature with the rows' weights; "" without one.
        judged: The evaluation.
    """

    metrics: bytes
    slicing: bytes
    features: Mapping[str, pa.DataType]
    label: pa.DataType
    codes: LabelCodes
    weight: str
    judged: Judged

    @classmethod
    def of(cls, known: Known, column: str, notes: list[str]) -> "Question":
        """Returns what the evaluation asks, of labels in this column; adds to `notes` what it asks in vain.

        Raises a NotAsked where nothing can be computed without the model.
        """
        source, record = known.source, known.record
        judged = record.get("judged")
        if judged is None or not source.eval_config.is_file():
            raise NotAsked("the baseline knows no evaluation of the model: make it of a run that has one")
        config, schema = limits.read_config(source.eval_config), artifacts.read_schema(source.schema)
        spec = candidate(config)
        if spec.label_keys or not spec.label_key:
            raise NotAsked("the evaluation is of several outputs, or of no label")
        if spec.signature_name not in ("", CANDIDATE_SIGNATURE):
            raise NotAsked(f"the evaluation is of the signature {spec.signature_name}, and requests are not")
        metrics = scores.of_model(config)
        notes += _uncovered(config, metrics)
        if not metrics.metrics_specs:
            raise NotAsked("the evaluation has no metric that is computed without the model")
        types = {one.name: columns.TYPES[one.type] for one in schema.feature if one.type in columns.TYPES}
        asked = known.features.types  # of training alone are others, which no request has
        weight = spec.example_weight_key
        if weight and weight not in asked:
            raise NotAsked(f"the evaluation weighs its rows by {weight!r}, which no request has")
        slicing = _slicing(config, spec, set(asked), notes)
        wanted = {*Slicer(slicing, Codes()).features, *filter(None, [weight])}
        kind, codes = _label(known, column, spec, types, judged["problem"])
        return cls(
            metrics.SerializeToString(),
            slicing.SerializeToString(),
            {name: asked[name] for name in sorted(wanted)},
            kind,
            codes,
            weight,
            judged,
        )


def _uncovered(config: EvalConfig, covered: EvalConfig) -> Iterator[str]:
    """Yields a note on the metrics that are no array operations: a window is not evaluated row by row."""
    kept = {metric.class_name for spec in covered.metrics_specs for metric in spec.metrics}
    names = sorted({metric.class_name for spec in config.metrics_specs for metric in spec.metrics} - kept)
    if names:
        yield f"metrics that only the Evaluator computes are not known of windows: {listed(names)}"


def _slicing(config: EvalConfig, spec: ModelSpec, known: set[str], notes: list[str]) -> EvalConfig:
    """Returns the slices of features that requests have, and the slice of all rows."""
    single = EvalConfig(model_specs=[spec])
    single.model_specs[0].name = ""
    single.slicing_specs.add()
    missing: set[str] = set()
    for slicing in config.slicing_specs:
        names = {*slicing.feature_keys, *slicing.feature_values}
        if slicing.slice_keys_sql or not names <= known:
            missing |= names - known or {"SQL"}
        elif names:
            single.slicing_specs.append(slicing)
    if missing:
        notes.append(f"slices of what no request has are left out: {listed(sorted(missing))}")
    return single


def _label(
    known: Known, column: str, spec: ModelSpec, types: Mapping[str, pa.DataType], problem: Problem
) -> tuple[pa.DataType, LabelCodes]:
    """Returns the label's type in files and what stands for it; a NotAsked where only the model knows."""
    name, label, source = known.record["label_name"], known.compared.outputs.label, known.source
    if column == spec.label_key != name:  # as the model makes it already
        return pa.float32(), LabelCodes(None)
    if name not in types:
        raise NotAsked(f"the schema does not know the label {name!r}")
    kind = types[name]
    if label is not None:
        return kind, LabelCodes.of(label)
    made, before = MonitoringBaseline.EVALUATED_LABEL, MonitoringBaseline.LABEL
    evaluation = table(source.evaluation)
    if made not in evaluation.column_names:
        if spec.label_key != name:
            raise NotAsked(f"the evaluation compares {spec.label_key!r}, and nobody knows how the model makes it")
        return kind, LabelCodes(None)
    own, others = (files.first_values(evaluation[one].combine_chunks()) for one in (before, made))
    try:
        return kind, LabelCodes.learnt(own, others, problem)
    except DataError as error:
        raise NotAsked(
            f"{error.message}: expected a column {spec.label_key!r} in the labels, as the model makes it "
            f"(monitoring.labels.column: {spec.label_key})"
        ) from None
