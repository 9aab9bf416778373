"""ExampleValidator as a pipeline component."""

from typing import List

from kfp.dsl import HTML, Artifact, Input, Output

from penstock.components.wrapper import component


@component(imports=["penstock.components.example_validator.executor"])
def example_validator(
    anomalies: Output[Artifact],
    report: Output[HTML],
    statistics: Input[Artifact],
    schema: Input[Artifact],
    previous_statistics: Input[Artifact] = None,
    serving_statistics: Input[Artifact] = None,
    exclude_splits: List[str] = [],
    fail_on_anomalies: bool = False,
    label: str = "",
) -> bool:
    """Finds what is wrong with the data: values, types and missing features against the schema, drift and skew.

    A schema with the environment TRAINING is applied as in that environment. Returns whether no split has an anomaly.

    Args:
        statistics: Statistics of the data, from StatisticsGen.
        schema: The schema that the data has to meet, with the comparators for drift and skew.
        previous_statistics: Statistics of earlier data, such as another span: drift against them is measured.
        serving_statistics: Statistics of the data that is served: skew against them is measured.
        exclude_splits: Splits that are not validated.
        fail_on_anomalies: Whether the task fails, after writing its outputs, if there is an anomaly.
        label: Name of the label. A class of it that one split has and another has not is an anomaly; a label that is
            missing or constant in all splits fails the task in any case.
        anomalies: Anomalies, `Split-<name>/SchemaDiff.pb`; the metadata `blessed` is JSON, {split: 1 or 0}.
        report: The anomalies for a person to read, with the offending values.
    """
    from penstock.components.example_validator import executor

    result = executor.run(
        anomalies=anomalies.path,
        report=report.path,
        statistics=statistics.path,
        schema=schema.path,
        previous_statistics=previous_statistics.path if previous_statistics else None,
        serving_statistics=serving_statistics.path if serving_statistics else None,
        exclude_splits=exclude_splits,
        fail_on_anomalies=fail_on_anomalies,
        label=label,
        statistics_metadata=dict(statistics.metadata),
    )
    anomalies.metadata.update(result.metadata["anomalies"])
    return result.blessed
