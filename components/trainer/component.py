"""The Trainer component."""

from kfp.dsl import HTML, Artifact, Dataset, Input, Model, Output

from penstock.components.wrapper import component


@component(imports=["penstock.components.trainer.executor", "penstock.components.trainer.report"])
def trainer(
    model: Output[Model],
    model_run: Output[Artifact],
    report: Output[HTML],
    examples: Input[Dataset],
    transform_graph: Input[Artifact] = None,
    schema: Input[Artifact] = None,
    statistics: Input[Artifact] = None,
    base_model: Input[Model] = None,
    hyperparameters: Input[Artifact] = None,
    cleaning: Input[Artifact] = None,
    module_file: str = "",
    run_fn: str = "",
    train_args: str = "",
    eval_args: str = "",
    custom_config: str = "",
    accelerator: str = "preferred",
    precision: str = "auto",
    workers: int = 1,
    keras: int = 0,
) -> None:
    """Trains a model by calling the user's `run_fn(fn_args)`, as TFX's Trainer does.

    The seeds of Python, NumPy, TensorFlow and Keras are set to a fixed value before the user's module is imported, so
    that a rerun trains the same way; a module that wants another seed sets its own.

    Args:
        examples: The examples to train on: Transform's, or ExampleGen's.
        transform_graph: What Transform learnt; `fn_args.transform_graph_path`.
        schema: The schema of the examples; `fn_args.schema_path`.
        statistics: Statistics of the examples; they set `fn_args.num_examples`, the rows of each split.
        base_model: A model to start from; `fn_args.base_model` is its serving model.
        hyperparameters: Hyperparameters as JSON, such as the Tuner's best; `fn_args.hyperparameters`.
        cleaning: What ExampleCleaner did to the examples: it goes with the model, so that servers do the same to rows.
        module_file: The user's module: a path that ends in `.py`, or a dotted path. One of `module_file` and `run_fn`
            is needed.
        run_fn: With `module_file`, the name of the function in it (default `run_fn`); without, the function's dotted
            path, `package.module.function`.
        train_args: JSON `{"splits": [...], "num_steps": N}`: the splits to train on (default `["train"]`) and the
            number of batches; 0 or nothing is passed on as None.
        eval_args: The same for evaluation while training (default `["eval"]`).
        custom_config: A JSON object, passed on as `fn_args.custom_config`.
        accelerator: `preferred`: a GPU if there is one and a step on it works, else the processor; `required`: fails
            where there is none; `none`: the processor. What was found is `fn_args.device`.
        precision: `float32`, `bfloat16` or `float16`: Keras's dtype policy (mixed precision; with loss scaling for
            float16), set before the user's module is imported. `auto` leaves a user's model as it is; the default
            model then uses bfloat16 on a GPU that has it, float16 on any other, float32 on the processor.
        workers: How many machines train together (TF_CONFIG), where the target says how they are started: this task
            then starts a job of them and waits for it. Elsewhere this machine trains alone, with the same batches.
        keras: Which Keras `tf.keras` is for the module: 2 (tf_keras) or 3; 0 as the environment says
            (TF_USE_LEGACY_KERAS), else 3.

    Returns:
        model: The model: `Format-Serving/`, a SavedModel or a model of another kind, and `Format-TFMA/` if run_fn
            wrote one.
        model_run: What run_fn logs while it trains: TensorBoard's event files, and the epochs as history.json.
        report: The training for a person to look at: learning curves, and what the columns were taken for.
    """
    from penstock.components.trainer import launcher

    result = launcher.run(
        workers=workers,
        model=model.path,
        model_run=model_run.path,
        report=report.path,
        examples=examples.path,
        transform_graph=transform_graph.path if transform_graph else None,
        schema=schema.path if schema else None,
        statistics=statistics.path if statistics else None,
        base_model=base_model.path if base_model else None,
        hyperparameters=hyperparameters.path if hyperparameters else None,
        cleaning=cleaning.path if cleaning else None,
        module_file=module_file,
        run_fn=run_fn,
        train_args=train_args,
        eval_args=eval_args,
        custom_config=custom_config,
        accelerator=accelerator,
        precision=precision,
        keras=keras,
        payload_format=examples.metadata.get("payload_format", ""),
    )
    model.metadata.update(result.metadata["model"])
    model_run.metadata.update(result.metadata["model_run"])
