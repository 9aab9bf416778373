"""The Evaluator component."""

from typing import List

from kfp.dsl import HTML, Artifact, ClassificationMetrics, Dataset, Input, Metrics, Model, Output

from penstock.components.wrapper import component


@component(imports=["penstock.components.evaluator.executor"])
def evaluator(
    evaluation: Output[Artifact],
    blessing: Output[Artifact],
    validation: Output[Artifact],
    metrics: Output[Metrics],
    classification_metrics: Output[ClassificationMetrics],
    report: Output[HTML],
    examples: Input[Dataset],
    model: Input[Model],
    baseline_model: Input[Model] = None,
    schema: Input[Artifact] = None,
    eval_config: str = "",
    label: str = "",
    example_splits: List[str] = [],
    train_splits: List[str] = [],
    eval_splits: List[str] = [],
    better_than_trivial: str = "",
    importance_rows: int = -1,
    module_file: str = "",
    engine: str = "local",
    keras: int = 0,
) -> bool:
    """Evaluates a model with TFMA, and blesses it if it meets every threshold of its EvalConfig.

    What does not fit, a signature, a label, a feature to slice on, a metric or a split, is found before any example is
    read. A model without thresholds is never blessed, as in TFX; without a baseline, change thresholds are ignored. An
    empty eval_config, and one without metrics, gets those that suit the model.

    Args:
        examples: The examples to evaluate on.
        model: The candidate: its serving model is evaluated, a SavedModel, or whatever the module loads.
        baseline_model: The model to compare with; an artifact without a model counts as absent.
        schema: The schema of the examples.
        eval_config: A tfma.EvalConfig as YAML, JSON, or protobuf's text form; an empty MetricsSpec in it stands for the
            metrics that suit the model.
        label: The feature to predict, where the eval_config names no label_key: as the model's signature makes it,
            under its own name or with `_xf` at the end, else as the examples have it. By default the feature that the
            schema says is not served.
        example_splits: The splits to evaluate on, by default `eval`.
        train_splits: The splits that the model has learnt from, by default `train`.
        eval_splits: The splits by which its training was stopped, by default `eval`.
        better_than_trivial: JSON: by how much metrics must be better than those of the trivial model, which always
            predicts the most frequent class of the train_splits, or the mean: `{"auc": 0.05}`, or
            `{"root_mean_squared_error": {"relative": 0.1, "every_slice": true}}`.
        importance_rows: Of how many examples to find out which columns matter: the model is asked about each of them
            five times for each column. 0 for none; by default as many as take about a second, but at least 100, which
            takes longer for a wide table.
        module_file: A module with `custom_eval_shared_model` or `custom_extractors`, as in TFX.
        engine: Where examples are evaluated: `local` (a worker for each core), `local:N`, `spark`, `beam`.
        keras: Which Keras `tf.keras` is for the module: 2 (tf_keras) or 3; 0 as the environment says
            (TF_USE_LEGACY_KERAS), else 3.

    Returns:
        evaluation: TFMA's results, which `tfma.load_eval_result` opens, and `summary.json` with the same numbers.
        blessing: An empty file BLESSED or NOT_BLESSED.
        validation: `validation.json`: the verdict, and for each threshold the metric, slice, value and bound.
        metrics: The metrics over all examples, which Kubeflow and Vertex AI show; those of the baseline begin with
            `baseline_`.
        classification_metrics: A ROC curve and a confusion matrix for their pages, as far as the problem has them.
        report: The evaluation for a person to look at: the verdict, the model in numbers, charts, slices, and what
            matters.
        Output: Whether the model is blessed.
    """
    from penstock.components.evaluator import executor

    result = executor.run(
        evaluation=evaluation.path,
        blessing=blessing.path,
        validation=validation.path,
        report=report.path,
        examples=examples.path,
        model=model.path,
        baseline_model=baseline_model.path if baseline_model else None,
        schema=schema.path if schema else None,
        eval_config=eval_config,
        label=label,
        example_splits=example_splits,
        train_splits=train_splits,
        eval_splits=eval_splits,
        better_than_trivial=better_than_trivial,
        importance_rows=importance_rows,
        module_file=module_file,
        engine=engine,
        keras=keras,
        model_uri=model.uri,
        baseline_model_uri=baseline_model.uri if baseline_model else "",
        payload_format=examples.metadata.get("payload_format", ""),
    )
    evaluation.metadata.update(result.metadata["evaluation"])
    blessing.metadata.update(result.metadata["blessing"])
    validation.metadata.update(result.metadata["validation"])
    metrics.metadata.update(result.metadata["metrics"])
    classification_metrics.metadata.update(result.classification)
    return result.blessed
