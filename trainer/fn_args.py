"""What a user's run_fn receives: TFX's FnArgs, field by field.

These classes are ours, so that training does not import TFX (ten seconds); a module file written for TFX works with
them unchanged, since it only reads attributes. One that annotates `tfx.components.FnArgs` imports that itself.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple


class DataAccessor(NamedTuple):
    """Factories that read Examples, so that a module file need not know how they are stored.

    tf_dataset_factory(file_pattern, options, schema) returns a `tf.data.Dataset` of batches parsed as the schema says,
        options being a `tfx_bsl.public.tfxio.TensorFlowDatasetOptions` (see penstock.trainer.data.reader.tf_dataset).
    record_batch_factory(file_pattern, options, schema) returns an iterator of Arrow record batches, options being a
        `tfx_bsl.public.tfxio.RecordBatchesOptions` (see penstock.trainer.data.reader.record_batches).
    data_view_decode_fn is None: Examples hold tf.Example, which needs no data view.
    """

    tf_dataset_factory: Callable[[Sequence[str], Any, Any], Any]
    record_batch_factory: Callable[[Sequence[str], Any, Any], Iterator[Any]]
    data_view_decode_fn: Callable[[Any], dict[str, Any]] | None = None


@dataclass
class FnArgs:
    """Arguments of run_fn. Paths are strings; what was not given is None; more attributes may be set.

    working_dir: a folder for temporary files (tuning only).
    train_files, eval_files: glob patterns, one for each split: `<examples>/Split-<split>/*`.
    train_steps, eval_steps: numbers of batches; None if the step's arguments say 0 or nothing.
    schema_path: the schema in protobuf's text form; `schema_file` is its deprecated name.
    transform_graph_path: for `tft.TFTransformOutput`; `transform_output` is its deprecated name.
    data_accessor: see DataAccessor.
    serving_model_dir: run_fn must write a SavedModel here.
    eval_model_dir: run_fn may write a second one for evaluation here.
    model_run_dir: TensorBoard logs, checkpoints.
    base_model: the serving model to start from.
    hyperparameters: KerasTuner's `HyperParameters.get_config()`, or whatever JSON the artifact holds.
    custom_config: the component's custom_config.
    statistics_path: the statistics that the component was given, `Split-<split>/FeatureStats.pb` in this folder. TFX
        has no such attribute.
    device: what trains, a `penstock.trainer.hardware.devices.Device`; TFX has no such attribute.
    num_examples: {split: rows} of the statistics. As in TFX, the attribute is there only if the component was given
        statistics.
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
    device: Any = None


class TunerFnResult(NamedTuple):
    """What a tuner_fn returns: TFX's, or this one, which needs no TFX.

    tuner: a KerasTuner tuner (`keras_tuner.engine.base_tuner.BaseTuner`).
    fit_kwargs: the arguments of its `search`.
    """

    tuner: Any
    fit_kwargs: dict[str, Any]
