"""ModelMonitor as a pipeline component."""

from typing import List

from kfp.dsl import HTML, Artifact, Dataset, Input, Model, Output

from penstock.components.wrapper import component


@component(imports=["penstock.components.model_monitor.executor"])
def model_monitor(
    baseline: Output[Artifact],
    report: Output[HTML],
    examples: Input[Dataset],
    schema: Input[Artifact],
    model: Input[Model] = None,
    evaluation: Input[Artifact] = None,
    pushed_model: Input[Model] = None,
    label: str = "",
    train_splits: List[str] = ["train"],
    eval_splits: List[str] = ["eval"],
    thresholds: str = "",
    false_alarm_rate: float = 0.05,
    window_rows: int = 1000,
    engine: str = "local",
    service: str = "",
) -> None:
    """Makes the baseline that windows of a model's requests are compared with.

    It is what the training data looks like, what the model answers to the evaluation's, and from which distance on a
    window alerts. Thresholds are those that are set, else those of the schema's comparators, else derived: so that
    chance alone makes at most `false_alarm_rate` of the windows alert, by any feature and measure.

    With `service` it acts on the world as well, and must not be cached: the endpoint's own service is told to compare
    requests with the baseline. What is as it should be there is left alone.

    Args:
        examples: Examples that the model was trained on, before Transform: what requests look like.
        schema: Their schema, by which requests are read.
        model: The model, a SavedModel: its predictions are monitored as well.
        evaluation: Its evaluation, which says how much the model depends on each feature.
        pushed_model: The model as the Pusher has pushed it: where it serves, for `service`.
        label: Name of the label, which requests lack.
        train_splits: The splits that features are compared with.
        eval_splits: Those that predictions are compared with, which the model was not trained on.
        thresholds: JSON with thresholds by feature: a number (Jensen-Shannon divergence of numbers, L-infinity distance
            of categories), an object with a number for each measure, or null for a feature that never alerts.
        false_alarm_rate: The share of windows that may alert although nothing has changed.
        window_rows: The size of the windows that the table of thresholds is for.
        engine: Where shards are computed: `local` (a worker for each core), `local:N`, `spark`, `beam`.
        service: JSON `{"vertex_ai": {"storage": "gs://..."}}`, for a ModelDeploymentMonitoringJob of the endpoint, or a
            ModelMonitor of the version with `"version": 2`; with the keys of the section `monitoring.vertex_ai` in a
            configuration.
        baseline: The baseline: `baseline.json`, a sample of the rows, predictions with labels, and the schema.
        report: The thresholds, with the reason for each, for a person to look at.
    """
    from penstock.components.model_monitor import executor

    result = executor.run(
        baseline=baseline.path,
        report_file=report.path,
        examples=examples.path,
        schema=schema.path,
        model=model.path if model else None,
        evaluation=evaluation.path if evaluation else None,
        label=label,
        train_splits=train_splits,
        eval_splits=eval_splits,
        thresholds=thresholds,
        false_alarm_rate=false_alarm_rate,
        window_rows=window_rows,
        engine=engine,
        service=service,
        pushed=pushed_model.metadata if pushed_model else None,
        model_uri=model.uri if model else "",
        examples_metadata=examples.metadata,
    )
    baseline.metadata.update(result.metadata["baseline"])
