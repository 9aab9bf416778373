"""StatisticsGen as a pipeline component."""

from typing import List

from kfp.dsl import HTML, Artifact, Dataset, Input, Output

from penstock.components.wrapper import component


@component(imports=["penstock.components.statistics_gen.executor"])
def statistics_gen(
    statistics: Output[Artifact],
    report: Output[HTML],
    examples: Input[Dataset],
    schema: Input[Artifact] = None,
    stats_options: str = "",
    exclude_splits: List[str] = [],
    engine: str = "local",
    label: str = "",
) -> None:
    """Computes statistics of every split: counts, missing values, quantiles, histograms and exact top values.

    The statistics are those of TFX's StatisticsGen, and the same bytes for the same examples on any number of workers.

    Args:
        examples: Examples, one folder of gzip TFRecord files per split.
        schema: A schema that says which numbers are categories, which strings are raw bytes, and the domains of text,
            images and times.
        stats_options: TFDV's StatsOptions as JSON, as `StatsOptions.to_json` writes it or with some of its keys, such
            as {"sample_rate": 0.1}. A sample is the same in every run.
        exclude_splits: Splits without statistics.
        engine: Where shards are computed: `local` (a worker for each core), `local:N`, `spark`, `beam`.
        label: Name of the label, by which the page shows the columns as well.
        statistics: Statistics, `Split-<name>/FeatureStats.pb`.
        report: The columns for a person to look at: what each is, what is missing, and how it is distributed.
    """
    from penstock.components.statistics_gen import executor

    result = executor.run(
        statistics=statistics.path,
        examples=examples.path,
        schema=schema.path if schema else None,
        stats_options=stats_options,
        exclude_splits=exclude_splits,
        engine=engine,
        report=report.path,
        label=label,
        examples_metadata=dict(examples.metadata),
    )
    statistics.metadata.update(result.metadata["statistics"])
