"""The metrics that suit a model, where the EvalConfig leaves a MetricsSpec empty, or has none."""

import json
from collections.abc import Iterator

from tensorflow_model_analysis.proto.config_pb2 import EvalConfig, MetricConfig, MetricsSpec

from penstock.components.evaluator.defaults.problem import Problem

_BY_CLASS = 20  # classes of which each has a precision and a recall of its own
_BINARY = ("AUC", "AUCPrecisionRecall", "BinaryAccuracy", "Precision", "Recall", "F1Score", "BinaryCrossentropy")
_REGRESSION = ("RootMeanSquaredError", "MeanAbsoluteError", "R2Score")


def are_asked_for(config: EvalConfig) -> bool:
    """Whether the config asks for anything: a metric, a slice, a threshold."""
    return any(not _is_empty(spec) for spec in config.metrics_specs) or any(
        spec.ByteSize() for spec in (*config.slicing_specs, *config.cross_slicing_specs)
    )


def are_left_out(config: EvalConfig) -> bool:
    """Whether metrics are to be filled in."""
    return not config.metrics_specs or any(map(_is_empty, config.metrics_specs))


def fill(config: EvalConfig, problem: Problem) -> None:
    """Puts the metrics that suit the problem in place of empty MetricsSpecs, but for those that are there already."""
    written = {metric.class_name for spec in config.metrics_specs for metric in spec.metrics}
    weighted = any(spec.example_weight_key or spec.example_weight_keys for spec in config.model_specs)
    specs = []
    for spec in config.metrics_specs:
        if not _is_empty(spec):
            specs.append(spec)
            continue
        for suiting in _suiting(problem, weighted):
            kept = [metric for metric in suiting.metrics if metric.class_name not in written]
            del suiting.metrics[:]
            suiting.metrics.extend(kept)
            suiting.model_names.extend(spec.model_names)
            specs += [suiting] if kept else []
    del config.metrics_specs[:]
    config.metrics_specs.extend(specs)


def _is_empty(spec: MetricsSpec) -> bool:
    """Whether a spec says nothing but which models it is for, which TFMA fills in."""
    rest = MetricsSpec()
    rest.CopyFrom(spec)
    del rest.model_names[:]
    return not rest.ByteSize()


def _suiting(problem: Problem, weighted: bool) -> Iterator[MetricsSpec]:
    counts = ["ExampleCount", "WeightedExampleCount"] if weighted else ["ExampleCount"]
    if problem.kind == "binary":
        yield MetricsSpec(metrics=[*map(_metric, counts), *(_of_logits() if problem.logits else map(_metric, _BINARY))])
    elif problem.kind == "multiclass":
        kind = "Categorical" if problem.one_hot else "SparseCategorical"
        loss = _metric(f"{kind}Crossentropy", **({"from_logits": True} if problem.logits else {}))
        yield MetricsSpec(metrics=[*map(_metric, counts), _metric(f"{kind}Accuracy"), loss])
        if problem.classes <= _BY_CLASS and not problem.logits:
            yield _by_class(problem.classes)
    else:
        yield MetricsSpec(metrics=map(_metric, counts + list(_REGRESSION if problem.kind == "regression" else ())))


def _of_logits() -> Iterator[MetricConfig]:
    yield _metric("BinaryAccuracy", threshold=0.0)
    yield _metric("BinaryCrossentropy", from_logits=True)


def _by_class(classes: int) -> MetricsSpec:
    """Returns the metrics of each class against all others, and their means."""
    spec = MetricsSpec(metrics=map(_metric, ("Precision", "Recall", "F1Score")))
    spec.binarize.class_ids.values.extend(range(classes))
    spec.aggregate.macro_average = True
    spec.aggregate.class_weights.update(dict.fromkeys(range(classes), 1.0))
    return spec


def _metric(class_name: str, **settings: float | bool) -> MetricConfig:
    return MetricConfig(class_name=class_name, config=json.dumps(settings) if settings else "")
