"""Tables as what stands before the default trainer: examples, statistics, schema and, transformed, model inputs."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import tensorflow as tf
import tensorflow_transform as tft

from penstock.components.schema_gen import executor as schema_gen
from penstock.components.statistics_gen import executor as statistics_gen
from penstock.components.transform import executor as transform
from penstock.core import artifacts
from penstock.core.examples import records

ENGINE = "local:1"  # one process: TensorFlow, which runs in this one, does not survive a fork
OUTPUTS = (
    "transform_graph",
    "transformed_examples",
    "updated_analyzer_cache",
    "pre_transform_schema",
    "pre_transform_stats",
    "post_transform_schema",
    "post_transform_stats",
    "post_transform_anomalies",
)


@dataclass(frozen=True)
class Table:
    """A table's artifacts under one folder. The rows keep their order."""

    root: Path

    @property
    def schema(self) -> Any:
        return artifacts.Schema(self.root / "schema").read()

    @property
    def statistics(self) -> Any:
        return artifacts.ExampleStatistics(self.root / "statistics").read_all("train")

    def examples(self, split: str, name: str = "examples") -> list[bytes]:
        files = artifacts.Examples(self.root / name).files(split)
        return [record for file in files for batch in records.read(file) for record in batch]

    @property
    def transform_output(self) -> tft.TFTransformOutput:
        return tft.TFTransformOutput(str(self.root / "transform_graph"))

    def transformed(self, split: str = "train") -> dict[str, np.ndarray]:
        """The transformed rows by column; all of them are dense."""
        rows = self.examples(split, "transformed_examples")
        parsed = tf.io.parse_example(rows, self.transform_output.transformed_feature_spec())
        return {name: tensor.numpy() for name, tensor in parsed.items()}

    def transform(self, custom_config: Mapping[str, Any], **arguments: Any) -> "Table":
        outputs = {name: str(self.root / name) for name in OUTPUTS}
        for folder in outputs.values():
            Path(folder).mkdir(exist_ok=True)
        function = "penstock.trainer.default.preprocessing_fn"
        arguments = {"preprocessing_fn": function, "statistics": str(self.root / "statistics"), **arguments}
        transform.run(
            **outputs,
            examples=str(self.root / "examples"),
            schema=str(self.root / "schema"),
            custom_config=json.dumps(custom_config),
            engine=ENGINE,
            **arguments,
        )
        return self


def write(root: Path, table: Mapping[str, Any] | pd.DataFrame, eval_rows: int = 0, schema: Any = None) -> Table:
    """Writes a table, its last rows as split eval, and its statistics; the schema is inferred if none is given."""
    frame = pd.DataFrame(table)
    cut = len(frame) - eval_rows
    for split, part in (("train", frame[:cut]), ("eval", frame[cut:])):
        if len(part):
            path = artifacts.Examples(root / "examples").shard(split, 0, 1)
            records.write(path, records.encode(list_columns(part)))
    target = {name: root / name for name in ("statistics", "schema")}
    for folder in target.values():
        folder.mkdir(parents=True)
    if schema is not None:
        artifacts.Schema(target["schema"]).write(schema)
    given = {} if schema is None else {"schema": str(target["schema"])}
    statistics_gen.run(statistics=str(target["statistics"]), examples=str(root / "examples"), engine=ENGINE, **given)
    if schema is None:
        schema_gen.run(schema=str(target["schema"]), statistics=str(target["statistics"]))
    return Table(root)


def list_columns(table: pd.DataFrame) -> pa.RecordBatch:
    """Cells as lists of one value, lists as they are, None and NaN as nulls; numbers that are whole are integers."""
    columns = {name: _column(list(table[name])) for name in table}
    return pa.RecordBatch.from_arrays(list(columns.values()), list(columns))


def _column(cells: list[Any]) -> pa.Array:
    lists = [cell if isinstance(cell, list) else None if _missing(cell) else [cell] for cell in cells]
    values = [value for cell in lists for value in cell or []]
    if any(isinstance(value, str) for value in values):
        texts = [cell and [str(value).encode() for value in cell] for cell in lists]
        return pa.array(texts, pa.large_list(pa.large_binary()))
    if all(float(value).is_integer() for value in values):
        return pa.array([cell and [int(value) for value in cell] for cell in lists], pa.large_list(pa.int64()))
    return pa.array(lists, pa.large_list(pa.float32()))


def _missing(cell: Any) -> bool:
    return cell is None or cell is pd.NA or (isinstance(cell, float) and np.isnan(cell))
