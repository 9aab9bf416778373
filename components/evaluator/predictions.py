"""The models and the examples of an evaluation, in TFMA's form."""

from collections.abc import Iterator, Sequence

import pyarrow as pa
import tensorflow_model_analysis as tfma
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.api.types import EvalSharedModel
from tensorflow_model_analysis.proto.config_pb2 import EvalConfig
from tfx_bsl.tfxio import tensor_adapter, tf_example_record, tf_sequence_example_record

from penstock.components.engines.fold import Stripe
from penstock.core.examples import payloads, records
from penstock.core.examples.payloads import PayloadFormat

_BATCH_SIZE = 4096
_EXAMPLES = pa.large_list(pa.large_binary())


def shared_models(config: EvalConfig, folders: dict[str, str]) -> list[EvalSharedModel]:
    """Returns the models in the order of the config's model_specs; `folders` holds each one's folder by its name."""
    return [
        tfma.default_eval_shared_model(
            eval_saved_model_path=folders[spec.name], model_name=spec.name, eval_config=config
        )
        for spec in config.model_specs
    ]


def adapter_config(
    schema: schema_pb2.Schema | None, payload_format: PayloadFormat
) -> tensor_adapter.TensorAdapterConfig | None:
    """Returns how TFMA makes tensors from the batches of `example_batches`; None without a schema."""
    if schema is None:
        return None
    schema = _without_reserved(schema)
    record = (
        tf_sequence_example_record.TFSequenceExampleRecord
        if payload_format == payloads.TF_SEQUENCE_EXAMPLE
        else tf_example_record.TFExampleRecord
    )
    tfxio = record("", ["penstock"], schema=schema, raw_record_column_name=constants.ARROW_INPUT_COLUMN)
    return tensor_adapter.TensorAdapterConfig(
        arrow_schema=tfxio.ArrowSchema(), tensor_representations=tfxio.TensorRepresentations()
    )


def example_batches(stripe: Stripe, schema: bytes | None, payload_format: PayloadFormat) -> Iterator[pa.RecordBatch]:
    """Yields the examples of a stripe, of the file the only ones that are decoded: a column for each feature, and one
    with the serialized examples.

    `schema` is a serialized Schema.
    """
    parsed = schema_pb2.Schema.FromString(schema) if schema is not None else None
    for serialized in stripe.of(records.read(stripe.file, _BATCH_SIZE)):
        yield example_batch(serialized, parsed, payload_format)


def example_batch(
    serialized: Sequence[bytes], schema: schema_pb2.Schema | None, payload_format: PayloadFormat
) -> pa.RecordBatch:
    """Returns a batch as of `example_batches` of serialized examples."""
    batch = records.decode(serialized, None if schema is None else _without_reserved(schema), payload_format)
    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
    columns[constants.ARROW_INPUT_COLUMN] = pa.array([[record] for record in serialized], _EXAMPLES)
    return pa.RecordBatch.from_arrays(list(columns.values()), list(columns))


def _without_reserved(schema: schema_pb2.Schema) -> schema_pb2.Schema:
    """Returns the schema without a feature that has the name under which TFMA keeps the serialized examples.

    Models have that feature nevertheless, in the examples.
    """
    kept = schema_pb2.Schema()
    kept.CopyFrom(schema)
    del kept.feature[:]
    kept.feature.extend(feature for feature in schema.feature if feature.name != constants.ARROW_INPUT_COLUMN)
    return kept
