"""ExampleGen: the rows of files, databases, topics and services to tf.Examples in splits."""

from penstock.components.example_gen.component import (
    csv_example_gen,
    file_example_gen,
    import_example_gen,
    input_resolver,
    parquet_example_gen,
    source_example_gen,
)

__all__ = [
    "csv_example_gen",
    "file_example_gen",
    "import_example_gen",
    "input_resolver",
    "parquet_example_gen",
    "source_example_gen",
]
