"""What an evaluation is made of: the models and the examples, as TFMA takes them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import tensorflow_model_analysis as tfma
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_model_analysis import constants
from tfx_bsl.tfxio import tensor_adapter, tf_example_record

from penstock.core.examples import records

_BATCH_SIZE = 4096


def shared_models(config: Any, folders: dict[str, str]) -> list[Any]:
    """Returns the models as TFMA takes them, in the order of the config's model_specs."""
    return [
        tfma.default_eval_shared_model(
            eval_saved_model_path=folders[spec.name], model_name=spec.name, eval_config=config
        )
        for spec in config.model_specs
    ]


def adapter_config(schema: schema_pb2.Schema | None) -> tensor_adapter.TensorAdapterConfig | None:
    if schema is None:
        return None
    tfxio = tf_example_record.TFExampleRecord("", schema=schema, raw_record_column_name=constants.ARROW_INPUT_COLUMN)
    return tensor_adapter.TensorAdapterConfig(
        arrow_schema=tfxio.ArrowSchema(), tensor_representations=tfxio.TensorRepresentations()
    )


def example_batches(file: Path, schema: bytes | None) -> Iterator[pa.RecordBatch]:
    """Yields examples as TFMA takes them: their features, and the serialized examples in a column of their own."""
    parsed = schema_pb2.Schema.FromString(schema) if schema is not None else None
    for serialized in records.read(file, _BATCH_SIZE):
        batch = records.decode(serialized, parsed)
        raw = pa.array([[record] for record in serialized], pa.large_list(pa.large_binary()))
        names = [*batch.schema.names, constants.ARROW_INPUT_COLUMN]
        yield pa.RecordBatch.from_arrays([*batch.columns, raw], names)
