"""Reads Examples for training: the two factories of FnArgs.data_accessor.

The elements equal those of TFX (TFExampleRecord and TFSequenceExampleRecord of tfx_bsl.tfxio). The schema's tensor
representations decide which feature is dense, sparse or ragged, and TensorFlow's C++ parser makes the tensors, a batch
at a time. Unlike in TFX, the order of the records depends neither on the number of cores nor on timing; with
`shuffle=False` it is the files'.
"""

import functools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

import pyarrow as pa
import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx_bsl.tfxio import dataset_options, tensor_representation_util

from penstock.core.errors import DataError, SchemaError
from penstock.core.examples import payloads, records
from penstock.core.examples.payloads import PayloadFormat
from penstock.core.suggestions import did_you_mean
from penstock.trainer.fn_args import DataAccessor

type ParsingSpec = tf.io.FixedLenFeature | tf.io.VarLenFeature | tf.io.SparseFeature | tf.io.RaggedFeature
type _Representations = dict[str, schema_pb2.TensorRepresentation]
type _Parse = Callable[[tf.Tensor], dict[str, tf.Tensor]]

# A shuffled data set reads so many files at once, and so many records from one before it turns to the next. Both are
# constants, since they decide the order of the records.
_OPEN_FILES = 8
_BLOCK = 16
_LONG_BLOCK = 512  # without shuffling


def data_accessor(payload_format: PayloadFormat = payloads.TF_EXAMPLE) -> DataAccessor:
    """Returns the value of FnArgs.data_accessor for Examples whose records are of this format."""
    return DataAccessor(
        functools.partial(tf_dataset, payload_format=payload_format),
        functools.partial(record_batches, payload_format=payload_format),
    )


def tf_dataset(
    file_pattern: Sequence[str],
    options: dataset_options.TensorFlowDatasetOptions,
    schema: schema_pb2.Schema | None,
    payload_format: PayloadFormat = payloads.TF_EXAMPLE,
) -> tf.data.Dataset:
    """Returns batches of the records in TFRecord files (gzip, where the name ends in .gz; plain otherwise).

    An element is a dict from the schema's tensor names to dense, sparse or ragged tensors, whose first dimension is
    the batch. With `options.label_key` it is a pair: that dict without the label, and the label's tensor. As in TFX,
    an endless data set (`num_epochs=None`, the default) has whole batches only, so its batch dimension is static.

    Raises a SchemaError if there is no schema or if the records cannot be parsed by it. Raises a DataError if no file
    matches or if the schema has no such label.
    """
    make_parser = _sequence_parser if payload_format == payloads.TF_SEQUENCE_EXAMPLE else _example_parser
    names, parse_tensors = make_parser(schema)
    label = options.label_key
    if label is not None and label not in names:
        hint = did_you_mean(label, sorted(names), "it has")
        raise DataError(f"label_key: the schema of the training data has no feature {label!r}; {hint}")

    def parse(serialized: tf.Tensor) -> dict[str, tf.Tensor] | tuple[dict[str, tf.Tensor], tf.Tensor]:
        tensors = parse_tensors(serialized)
        return tensors if label is None else (tensors, tensors.pop(label))

    return (
        _serialized(file_pattern, options, options.reader_num_threads, options.sloppy_ordering)
        .map(parse, num_parallel_calls=options.parser_num_threads, deterministic=not options.sloppy_ordering)
        .prefetch(options.prefetch_buffer_size)
    )


def record_batches(
    file_pattern: Sequence[str],
    options: dataset_options.RecordBatchesOptions,
    schema: schema_pb2.Schema | None,
    payload_format: PayloadFormat = payloads.TF_EXAMPLE,
) -> Iterator[pa.RecordBatch]:
    """Yields record batches of list columns: those of the schema, or without a schema all that occur in a batch.

    Those of tf.SequenceExamples are as records.decode returns them.

    If `options.num_epochs` is None, it never ends, and every batch is whole. Raises a DataError if no file matches.
    """
    batches = _serialized(file_pattern, options)
    decode = functools.partial(records.decode, schema=schema, payload_format=payload_format)
    return (decode(examples) for examples in batches.as_numpy_iterator())


def _serialized(
    file_pattern: Sequence[str],
    options: dataset_options.TensorFlowDatasetOptions | dataset_options.RecordBatchesOptions,
    reader_threads: int = tf.data.AUTOTUNE,
    sloppy: bool = False,
) -> tf.data.Dataset:
    """Returns batches of serialized examples, string tensors of shape [batch]."""
    names = matching_files(file_pattern)
    files = tf.data.Dataset.from_tensor_slices(names)
    if options.shuffle and len(names) > 1:
        files = files.shuffle(len(names), options.shuffle_seed)
    open_files = min(_OPEN_FILES, len(names)) if options.shuffle else 1
    # Blocks of records take half the processor time that single records take in interleave.
    blocks = files.interleave(
        lambda name: tfrecords(name).batch(_BLOCK if options.shuffle else _LONG_BLOCK),
        cycle_length=open_files,
        block_length=1,
        num_parallel_calls=min(reader_threads, open_files),  # AUTOTUNE is -1
        deterministic=not sloppy,
    )
    whole_only = options.drop_final_batch or options.num_epochs is None
    if not options.shuffle:
        return _repeated(blocks, options).rebatch(options.batch_size, drop_remainder=whole_only)
    shuffled = blocks.unbatch().shuffle(options.shuffle_buffer_size, options.shuffle_seed)
    return _repeated(shuffled, options).batch(options.batch_size, drop_remainder=whole_only)


def _repeated(
    dataset: tf.data.Dataset, options: dataset_options.TensorFlowDatasetOptions | dataset_options.RecordBatchesOptions
) -> tf.data.Dataset:
    return dataset if options.num_epochs == 1 else dataset.repeat(options.num_epochs)


def tfrecords(name: tf.Tensor) -> tf.data.Dataset:
    """Returns the records of a TFRecord file, which is gzip if its name ends in .gz."""
    compression = tf.where(tf.strings.regex_full_match(name, r".*\.gz"), "GZIP", "")
    return tf.data.TFRecordDataset(name, compression, buffer_size=1 << 20)


def matching_files(file_pattern: Sequence[str]) -> list[str]:
    """Returns the files that match any of the glob patterns, sorted. Raises a DataError if none does."""
    patterns = [file_pattern] if isinstance(file_pattern, str) else list(file_pattern)
    names = sorted({name for pattern in patterns for name in tf.io.gfile.glob(pattern)})
    if not names:
        raise DataError(f"no file matches {', '.join(map(str, patterns)) or 'an empty list of patterns'}")
    return names


def _example_parser(schema: schema_pb2.Schema | None) -> tuple[Collection[str], _Parse]:
    """Returns the names of the tensors of tf.Examples, and what parses a batch of them."""
    specs, tensor_names = parsing_specs(schema)

    def parse(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        return _named(tf.io.parse_example(serialized, specs), tensor_names, serialized)

    return tensor_names.values(), parse


def _sequence_parser(schema: schema_pb2.Schema | None) -> tuple[Collection[str], _Parse]:
    """Returns the names of the tensors of tf.SequenceExamples, and what parses a batch of them.

    As in TFX these are the tensors that the schema represents and no others; all, if it represents none.
    """
    schema = _required(schema)
    representations = tensor_representation_util.GetTensorRepresentationsFromSchema(schema)
    if representations is None:
        representations = tensor_representation_util.InferTensorRepresentationsFromMixedSchema(schema)
    of_context: _Representations = {}
    of_sequences: _Representations = {}
    for name, representation in representations.items():
        steps = representation.ragged_tensor.feature_path.step
        if len(steps) == 2:  # a part of the struct of the feature_lists, which the parser knows by its own name
            of_sequences[name] = within = schema_pb2.TensorRepresentation()
            within.CopyFrom(representation)
            within.ragged_tensor.feature_path.step[:] = steps[1:]
        else:
            of_context[name] = representation
    parts = [part for feature in schema.feature for part in feature.struct_domain.feature]
    context, context_names = _specs(of_context, schema.feature)
    lists, list_names = _specs(of_sequences, parts)

    def parse(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        parsed, parsed_lists, _ = tf.io.parse_sequence_example(serialized, context, lists)
        return _named(parsed, context_names, serialized) | _named(parsed_lists, list_names, serialized)

    return representations.keys(), parse


def _named(
    parsed: dict[str, tf.Tensor], tensor_names: Mapping[str, str], serialized: tf.Tensor
) -> dict[str, tf.Tensor]:
    for tensor in parsed.values():
        if isinstance(tensor, tf.SparseTensor):  # for which the parser loses the static batch size
            tensor.set_shape([serialized.shape[0], *tensor.shape[1:]])
    return {tensor_names[name]: tensor for name, tensor in parsed.items()}


def parsing_specs(schema: schema_pb2.Schema | None) -> tuple[dict[str, ParsingSpec], dict[str, str]]:
    """Returns the specs for tf.io.parse_example, and the tensor's name for each of their keys.

    A key is a feature's name, or "tensor <name>" for a tensor that is made of several features. Raises a SchemaError
    if there is no schema, or if tf.Examples cannot be parsed by it.
    """
    schema = _required(schema)
    return _specs(tensor_representation_util.InferTensorRepresentationsFromMixedSchema(schema), schema.feature)


def _required(schema: schema_pb2.Schema | None) -> schema_pb2.Schema:
    if schema is None:
        raise SchemaError(
            "tf_dataset_factory needs a schema: give it tft.TFTransformOutput(…).transformed_metadata.schema, or the "
            "schema at fn_args.schema_path"
        )
    return schema


def _specs(
    representations: _Representations, features: Iterable[schema_pb2.Feature]
) -> tuple[dict[str, ParsingSpec], dict[str, str]]:
    types = {feature.name: feature.type for feature in features}
    specs: dict[str, ParsingSpec] = {}
    tensor_names: dict[str, str] = {}
    for tensor_name, representation in representations.items():
        try:
            value = tensor_representation_util.GetSourceValueColumnFromTensorRepresentation(representation)
            feature = value.initial_step()
            spec = tensor_representation_util.CreateTfExampleParserConfig(representation, types[feature])
        except (KeyError, ValueError, NotImplementedError) as error:
            raise SchemaError(
                f"the schema's tensor {tensor_name!r} cannot be parsed from tf.Examples: {error}"
            ) from None
        composed = isinstance(spec, tf.io.SparseFeature | tf.io.RaggedFeature)
        key = f"tensor {tensor_name}" if composed else feature
        if key in specs:
            raise SchemaError(f"the schema's tensors {tensor_names[key]!r} and {tensor_name!r} are both {feature!r}")
        specs[key], tensor_names[key] = spec, tensor_name
    return specs, tensor_names
