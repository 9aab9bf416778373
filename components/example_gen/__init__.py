"""ExampleGen: data files to tf.Examples in splits."""

from penstock.components.example_gen.component import (
    csv_example_gen,
    import_example_gen,
    input_resolver,
    parquet_example_gen,
)

__all__ = ["csv_example_gen", "import_example_gen", "input_resolver", "parquet_example_gen"]
