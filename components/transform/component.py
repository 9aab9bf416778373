"""The Transform component."""

from kfp.dsl import Artifact, Dataset, Input, Output

from penstock.components.wrapper import component


@component(imports=["penstock.components.transform.executor"])
def transform(
    transform_graph: Output[Artifact],
    transformed_examples: Output[Dataset],
    updated_analyzer_cache: Output[Artifact],
    pre_transform_schema: Output[Artifact],
    pre_transform_stats: Output[Artifact],
    post_transform_schema: Output[Artifact],
    post_transform_stats: Output[Artifact],
    post_transform_anomalies: Output[Artifact],
    examples: Input[Dataset],
    schema: Input[Artifact],
    module_file: str = "",
    preprocessing_fn: str = "",
    splits_config: str = "",
    analyzer_cache: Input[Artifact] = None,
    materialize: bool = True,
    disable_analyzer_cache: bool = False,
    custom_config: str = "",
    disable_statistics: bool = False,
    stats_options_updater_fn: str = "",
    statistics: Input[Artifact] = None,
    engine: str = "local",
    keras: int = 0,
) -> None:
    """Analyzes examples with the user's `preprocessing_fn(inputs)` and transforms them, as TFX's Transform does.

    TFT's analysis is evaluated in process over the engine; only a custom PTransform analyzer
    (`tft.experimental.ptransform_analyzer`) makes the analysis run on Beam, which the log says. The transformed
    examples are the same bytes whatever the number of workers.

    Args:
        examples: The examples of ExampleGen.
        schema: Their schema. All of its features are given to preprocessing_fn, the label too. Of tf.SequenceExamples
            its tensor_representation_group says which tensors; without it `raw_example`, a serialized record, is given.
        module_file: The user's module: a path that ends in `.py`, or a dotted path. It defines
            `preprocessing_fn(inputs)`, with parameters `custom_config`, `schema` and `statistics` if it wants them, and
            may define `stats_options_updater_fn(stats_type, stats_options)`. One of `module_file` and
            `preprocessing_fn` is needed.
        preprocessing_fn: With `module_file`, the name of the function in it; without, the function's dotted path,
            `package.module.function`.
        splits_config: JSON `{"analyze": [...], "transform": [...]}`, names of splits. By default `train` is analyzed
            and all splits are transformed.
        analyzer_cache: An earlier `updated_analyzer_cache`: files that it knows are not analyzed again.
        materialize: Whether to write transformed examples.
        disable_analyzer_cache: Whether to neither read nor write the cache.
        custom_config: A JSON object for functions with a parameter `custom_config`.
        disable_statistics: Whether to leave out statistics, schemas and anomalies.
        stats_options_updater_fn: As `preprocessing_fn`, for the function that changes TFDV's StatsOptions.
        statistics: Statistics of the examples, for a preprocessing_fn with a parameter `statistics`: it gets a
            DatasetFeatureStatisticsList, first the dataset of the first analyzed split, then one of each other split,
            named `Split-<name>`.
        engine: Where the work is done: `local` (a worker for each core), `local:N`, `spark`, `beam`.
        keras: Which Keras `tf.keras` is for the module: 2 (tf_keras) or 3; 0 as the environment says
            (TF_USE_LEGACY_KERAS), else 3.

    Returns:
        transform_graph: What was learnt, and the graph that applies it; read with `tft.TFTransformOutput`.
        transformed_examples: `Split-<name>/transformed_examples-*.gz`; empty without `materialize`.
        updated_analyzer_cache: What the analysis added up over each file, for later runs.
        pre_transform_schema: The schema of the features that preprocessing_fn uses, as the statistics had it.
        pre_transform_stats: Statistics of the analyzed splits.
        post_transform_schema: The schema of the transformed data, as the statistics had it.
        post_transform_stats: Statistics of the transformed splits.
        post_transform_anomalies: Where those differ from that schema.
    """
    from penstock.components.transform import executor

    outputs = {
        "transform_graph": transform_graph,
        "transformed_examples": transformed_examples,
        "updated_analyzer_cache": updated_analyzer_cache,
        "pre_transform_schema": pre_transform_schema,
        "pre_transform_stats": pre_transform_stats,
        "post_transform_schema": post_transform_schema,
        "post_transform_stats": post_transform_stats,
        "post_transform_anomalies": post_transform_anomalies,
    }
    result = executor.run(
        **{name: artifact.path for name, artifact in outputs.items()},
        examples=examples.path,
        schema=schema.path,
        module_file=module_file,
        preprocessing_fn=preprocessing_fn,
        splits_config=splits_config,
        analyzer_cache=analyzer_cache.path if analyzer_cache else None,
        materialize=materialize,
        disable_analyzer_cache=disable_analyzer_cache,
        custom_config=custom_config,
        disable_statistics=disable_statistics,
        stats_options_updater_fn=stats_options_updater_fn,
        statistics=statistics.path if statistics else None,
        engine=engine,
        keras=keras,
        payload_format=examples.metadata.get("payload_format", ""),
    )
    for name, artifact in outputs.items():
        artifact.metadata.update(result.metadata[name])
    transformed_examples.metadata.update(
        {k: examples.metadata[k] for k in ("span", "version") if k in examples.metadata}
    )
