"""The Tuner component."""

from kfp.dsl import HTML, Artifact, Dataset, Input, Model, Output

from penstock.components.wrapper import component


@component(imports=["penstock.components.tuner.executor"])
def tuner(
    best_hyperparameters: Output[Artifact],
    tuner_results: Output[Artifact],
    report: Output[HTML],
    examples: Input[Dataset],
    transform_graph: Input[Artifact] = None,
    schema: Input[Artifact] = None,
    statistics: Input[Artifact] = None,
    base_model: Input[Model] = None,
    raw_examples: Input[Dataset] = None,
    module_file: str = "",
    tuner_fn: str = "",
    train_args: str = "",
    eval_args: str = "",
    tune_args: str = "",
    custom_config: str = "",
    working_dir: str = "",
    workers: int = 1,
) -> None:
    """Searches for the best hyperparameters with the user's `tuner_fn(fn_args)`, as TFX's Tuner does.

    Trials run one at a time in the task's process or, with `num_parallel_trials`, in worker processes under
    KerasTuner's chief, each with its share of the cores, or a GPU. A trial whose worker dies is run again. Where
    `working_dir` outlives the task, a search that was killed goes on with the trials that it has. A search without code
    may be the target's own service's (PENSTOCK_TUNING_SERVICE), which runs each trial as a job of its own.

    Args:
        examples: The examples to train on: Transform's, or ExampleGen's.
        transform_graph: What Transform learnt; `fn_args.transform_graph_path`.
        schema: The schema of the examples; `fn_args.schema_path`.
        statistics: Statistics of the examples, for the search without code; they set `fn_args.num_examples`.
        base_model: A model to start from; `fn_args.base_model` is its serving model.
        raw_examples: ExampleGen's examples, where `examples` are Transform's: for a search without code whose folds
            are divided by a feature of the data.
        module_file: The user's module: a path that ends in `.py`, or a dotted path. One of `module_file` and `tuner_fn`
            is needed.
        tuner_fn: With `module_file`, the name of the function in it (default `tuner_fn`); without, the function's
            dotted path, `package.module.function`. It returns a TunerFnResult: a KerasTuner tuner whose directory is
            `fn_args.working_dir`, and the arguments of its search.
        train_args: JSON `{"splits": [...], "num_steps": N}`: the splits to train on (default `["train"]`) and the
            number of batches; 0 or nothing is passed on as None.
        eval_args: The same for the evaluation of trials (default `["eval"]`).
        tune_args: JSON `{"num_parallel_trials": N}`: how many trials run at a time (default 1; of a search without
            code, one for each GPU or core).
        custom_config: A JSON object, passed on as `fn_args.custom_config`.
        working_dir: A folder for searches under way, each in a folder of its own there, which is removed when the
            search is done. Without one, or if its bucket is not mounted, a killed search starts from its beginning.
            Where Kubeflow's workers search, it is on their shared volume.
        workers: How many machines search together (TF_CONFIG), each with `num_parallel_trials`, where the target says
            how they are started: this task then starts a job of them and waits for it. Elsewhere this machine searches
            alone.

    Returns:
        best_hyperparameters: `best_hyperparameters.txt`: KerasTuner's `HyperParameters.get_config()` as JSON, alone in
            its folder; the Trainer's `hyperparameters`.
        tuner_results: `tuner_results.json`: a list of `{"trial_id": …, "score": …, <name>: <value>, …}`, best first.
        report: The trials for a person to read: a table, and plots of the scores over time and against each parameter.
    """
    from penstock.components.tuner import launcher

    result = launcher.run(
        workers=workers,
        best_hyperparameters=best_hyperparameters.path,
        tuner_results=tuner_results.path,
        report=report.path,
        examples=examples.path,
        transform_graph=transform_graph.path if transform_graph else None,
        schema=schema.path if schema else None,
        statistics=statistics.path if statistics else None,
        base_model=base_model.path if base_model else None,
        raw_examples=raw_examples.path if raw_examples else None,
        module_file=module_file,
        tuner_fn=tuner_fn,
        train_args=train_args,
        eval_args=eval_args,
        tune_args=tune_args,
        custom_config=custom_config,
        working_dir=working_dir,
        payload_format=examples.metadata.get("payload_format", ""),
    )
    best_hyperparameters.metadata.update(result.metadata["best_hyperparameters"])
    tuner_results.metadata.update(result.metadata["tuner_results"])
