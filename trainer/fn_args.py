"""What a user's run_fn receives: TFX's FnArgs, field by field.

    import keras
    import tensorflow_transform as tft
    from tfx_bsl.public import tfxio

    def run_fn(fn_args):
        schema = tft.TFTransformOutput(fn_args.transform_graph_path).transformed_metadata.schema
        options = tfxio.TensorFlowDatasetOptions(batch_size=32, label_key="species_xf")
        read = fn_args.data_accessor.tf_dataset_factory
        train = read(fn_args.train_files, options, schema)  # batches of (features by name, labels)
        specs = train.element_spec[0]
        inputs = {name: keras.Input(tuple(specs[name].shape[1:]), name=name) for name in specs}
        scores = keras.layers.Dense(3)(keras.layers.Concatenate()(list(inputs.values())))
        model = keras.Model(inputs, scores)
        model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        model.fit(train, steps_per_epoch=fn_args.train_steps or 100)
        model.export(fn_args.serving_model_dir)

These classes are ours, since importing TFX takes ten seconds. A module file that was written for TFX works with them
unchanged: it only reads attributes. One that annotates `tfx.components.FnArgs` imports TFX itself.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from penstock.core.examples import payloads
from penstock.core.examples.payloads import PayloadFormat

if TYPE_CHECKING:
    import pyarrow as pa
    import tensorflow as tf
    from keras_tuner.src.engine.base_tuner import BaseTuner
    from tensorflow_metadata.proto.v0.schema_pb2 import Schema
    from tfx_bsl.tfxio.dataset_options import RecordBatchesOptions, TensorFlowDatasetOptions

    from penstock.trainer.hardware.devices import Device


class DataAccessor(NamedTuple):
    """Factories that read Examples, so that a module file need not know how they are stored.

    tf_dataset_factory(file_pattern, options, schema) returns batches that are parsed as the schema says: see
        penstock.trainer.data.reader.tf_dataset. The options are `tfx_bsl.public.tfxio.TensorFlowDatasetOptions`.
    record_batch_factory(file_pattern, options, schema) returns an iterator of Arrow record batches: see
        penstock.trainer.data.reader.record_batches. The options are `tfx_bsl.public.tfxio.RecordBatchesOptions`.
    data_view_decode_fn is None: tf.Example and tf.SequenceExample need no data view.
    """

    tf_dataset_factory: "Callable[[Sequence[str], TensorFlowDatasetOptions, Schema | None], tf.data.Dataset]"
    record_batch_factory: "Callable[[Sequence[str], RecordBatchesOptions, Schema | None], Iterator[pa.RecordBatch]]"
    data_view_decode_fn: "Callable[[tf.Tensor], dict[str, tf.Tensor]] | None" = None


@dataclass
class FnArgs:
    """Arguments of run_fn. Paths are strings; an argument that was not given is None. More attributes may be set.

    working_dir: a folder for temporary files (tuning only).
    train_files, eval_files: glob patterns, one for each split: `<examples>/Split-<split>/*`.
    train_steps, eval_steps: numbers of batches; None if train_args or eval_args say 0 or nothing.
    schema_path: the schema in protobuf's text format; `schema_file` is its deprecated name.
    transform_graph_path: the argument of `tft.TFTransformOutput`; `transform_output` is its deprecated name.
    data_accessor: see DataAccessor.
    serving_model_dir: run_fn must write a SavedModel here.
    eval_model_dir: run_fn may write a second model, for evaluation, here.
    model_run_dir: a folder for TensorBoard's logs and for checkpoints.
    base_model: the serving model to start from.
    hyperparameters: KerasTuner's `HyperParameters.get_config()`, or whatever JSON the artifact holds.
    custom_config: the component's custom_config.
    statistics_path: the folder of the statistics, with `Split-<split>/FeatureStats.pb`. Not in TFX.
    device: what trains. Not in TFX.
    payload_format: what the records of train_files and eval_files are, by TFX's name. Not in TFX.
    num_examples: {split: rows} of the statistics. As in TFX, the attribute exists only if there are statistics.
    """

    working_dir: str | None = None
    train_files: list[str] | None = None
    eval_files: list[str] | None = None
    train_steps: int | None = None
    eval_steps: int | None = None
    schema_path: str | None = None
    schema_file: str | None = None
    transform_graph_path: str | None = None
    transform_output: str | None = None
    data_accessor: DataAccessor | None = None
    serving_model_dir: str | None = None
    eval_model_dir: str | None = None
    model_run_dir: str | None = None
    base_model: str | None = None
    hyperparameters: Any = None
    custom_config: dict[str, Any] | None = None
    statistics_path: str | None = None
    device: "Device | None" = None
    payload_format: PayloadFormat = payloads.TF_EXAMPLE


class TunerFnResult(NamedTuple):
    """What a tuner_fn returns. TFX's class of this name is accepted as well.

    tuner: a tuner of KerasTuner.
    fit_kwargs: the keyword arguments of its `search`.
    """

    tuner: "BaseTuner"
    fit_kwargs: dict[str, Any]
