"""SchemaGen and ImportSchemaGen: the schema, inferred from statistics or read from a file."""

from penstock.components.schema_gen.component import import_schema_gen, schema_gen

__all__ = ["import_schema_gen", "schema_gen"]
