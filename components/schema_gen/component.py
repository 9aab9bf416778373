"""SchemaGen and ImportSchemaGen as pipeline components."""

from typing import List

from kfp.dsl import Artifact, Input, Output

from penstock.components.wrapper import component


@component(imports=["penstock.components.schema_gen.executor"])
def schema_gen(
    schema: Output[Artifact],
    statistics: Input[Artifact],
    infer_feature_shape: bool = True,
    exclude_splits: List[str] = [],
    label: str = "",
) -> None:
    """Infers a schema from the statistics of all splits, as TFX's SchemaGen does.

    Args:
        statistics: Statistics, from StatisticsGen.
        infer_feature_shape: Whether a feature that is there in every example, with the same number of values, gets
            that fixed shape. A feature without a shape is parsed as a sparse one by TFX's readers.
        exclude_splits: Splits that the schema does not take into account.
        label: Name of the label. It is then declared absent at serving: the schema has the environments TRAINING and
            SERVING, and the label is not in SERVING.
        schema: The schema, `schema.pbtxt`.
    """
    from penstock.components.schema_gen import executor

    result = executor.run(
        schema=schema.path,
        statistics=statistics.path,
        infer_feature_shape=infer_feature_shape,
        exclude_splits=exclude_splits,
        label=label,
        statistics_metadata=dict(statistics.metadata),
    )
    schema.metadata.update(result.metadata["schema"])


@component(imports=[])
def import_schema_gen(schema: Output[Artifact], schema_file: str) -> None:
    """Takes a schema from a file, after checking it.

    Args:
        schema_file: Path of a Schema in protobuf's text form.
        schema: The schema, `schema.pbtxt`, the same bytes as the file.
    """
    from penstock.components.schema_gen import import_executor

    result = import_executor.run(schema=schema.path, schema_file=schema_file)
    schema.metadata.update(result.metadata["schema"])
