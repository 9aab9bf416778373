"""ImportSchemaGen: a schema that a person wrote or edited, checked before anything uses it."""

import json
import sys
from pathlib import Path

from penstock.components.schema_gen import check
from penstock.core import artifacts, progress
from penstock.core.artifacts import TaskResult
from penstock.core.files import atomic, object_stores


def run(*, schema: str, schema_file: str) -> TaskResult:
    """Copies a schema file into the folder `schema`.

    Raises a SchemaError if the file does not exist, is not a Schema in protobuf's text form, or contradicts itself. The
    error names the file, and the line or the feature.
    """
    with progress.task("ImportSchemaGen") as counts, object_stores.reading(schema_file) as source:
        parsed = artifacts.read_schema(source)
        check.schema(parsed, f"schema file {source}")
        atomic.write_bytes(artifacts.Schema(Path(schema)).path, source.read_bytes())
        counts["features"] = len(parsed.feature)
    return TaskResult({"schema": artifacts.metadata()})


if __name__ == "__main__":
    run(**json.loads(sys.argv[1]))
