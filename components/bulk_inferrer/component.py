"""The BulkInferrer component."""

from kfp.dsl import Artifact, Dataset, Input, Model, Output

from penstock.components.wrapper import component


@component(imports=["penstock.components.bulk_inferrer.executor"])
def bulk_inferrer(
    inference_result: Output[Artifact],
    output_examples: Output[Dataset],
    examples: Input[Dataset],
    model: Input[Model],
    model_blessing: Input[Artifact] = None,
    data_spec: str = "",
    model_spec: str = "",
    output_example_spec: str = "",
    engine: str = "local",
) -> None:
    """Asks a model about every example, and writes what it was asked and what it answered, or examples with answers.

    A model that is not blessed is not asked: that is no error, and nothing is written. Without a blessing the model is
    asked. The files are the same bytes whatever the number of workers. There is one for each file of examples, with its
    rows in their order; a file of more than a megabyte becomes up to four, among which its batches go round. A task
    that is killed and tried again in the same folder goes on after the files that it has written. Rules of cleaning
    that go with the model are applied to examples that are not ExampleCleaner's; they are written as they came.

    Args:
        examples: The examples to ask about.
        model: The model: its serving model is asked, a SavedModel whose signature takes serialized tf.Examples.
        model_blessing: The Evaluator's blessing of the model; its metadata `blessed` decides, else the mark in it.
        data_spec: TFX's DataSpec as JSON: `example_splits`, by default all splits.
        model_spec: TFX's ModelSpec as JSON: `model_signature_name`, a list, by default of `serving_default`; several
            must be of the methods classify or regress. `tag`, the tags of the model's graph, by default `serve`.
        output_example_spec: TFX's OutputExampleSpec as JSON, for examples in place of PredictionLogs: for each
            signature the columns that its outputs become, such as `{"output_columns_spec": [{"predict_output":
            {"output_columns": [{"output_key": "outputs", "output_column": "score"}]}}]}`.
        engine: Where the work is done: `local` (a worker for each core), `local:N`, `spark`, `beam`.

    Returns:
        inference_result: `prediction_logs-*-of-*.gz`, gzip TFRecords of PredictionLog, one for each example; empty with
            an output_example_spec.
        output_examples: `Split-<name>/examples-*-of-*.gz`, the examples with the columns of the spec; empty without it.
            Metadata as of other examples.
    """
    from penstock.components.bulk_inferrer import executor

    result = executor.run(
        inference_result=inference_result.path,
        output_examples=output_examples.path,
        examples=examples.path,
        model=model.path,
        model_blessing=model_blessing.path if model_blessing else None,
        blessed=model_blessing.metadata.get("blessed") if model_blessing else None,
        data_spec=data_spec,
        model_spec=model_spec,
        output_example_spec=output_example_spec,
        engine=engine,
        payload_format=examples.metadata.get("payload_format", ""),
        cleaned=bool(examples.metadata.get("cleaning")),
    )
    inference_result.metadata.update(result.metadata["inference_result"])
    output_examples.metadata.update(result.metadata["output_examples"])
