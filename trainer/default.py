"""The module of a pipeline without code: it decides by the data's schema and statistics how columns are used.

A module file may call these functions and add to what they do:

    from penstock.trainer import default

    def preprocessing_fn(inputs, custom_config, schema, statistics):
        return default.preprocessing_fn(inputs, custom_config, schema, statistics)

    def run_fn(fn_args):
        default.run_fn(fn_args)

custom_config holds, as the configuration file does:

    label       the column to predict
    problem     "binary", "multiclass" or "regression"; without it, the label's values decide
    features    overrides by column (penstock.trainer.plan.features.Override)
    split       the split whose statistics are used; default "train"
    training    hyperparameters (penstock.trainer.network.hyperparameters) and `seed`
"""

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from penstock.core import artifacts, progress
from penstock.core.errors import ConfigError, DataError
from penstock.core.labels import Label
from penstock.trainer import preprocessing
from penstock.trainer.data import input_data
from penstock.trainer.fn_args import FnArgs
from penstock.trainer.hardware import backends, distribution
from penstock.trainer.loop import fitting
from penstock.trainer.network import model
from penstock.trainer.network.calibration import calibrate
from penstock.trainer.plan import columns, date_cells, leaks, plan_file
from penstock.trainer.plan.features import Categorical, Date, Numeric, Sparse, Text
from penstock.trainer.plan.plan import Plan, planned

logger = logging.getLogger(__name__)
_MIN_ROWS = 10  # to train on
_LABEL_BATCH = 8192  # rows whose labels are read at once
_FIRST_ROWS = 20_000  # that are looked at for leaks, of data that is not in memory
_SEED = 1


def preprocessing_fn(
    inputs: preprocessing.Tensors,
    custom_config: Mapping[str, Any],
    schema: schema_pb2.Schema,
    statistics: statistics_pb2.DatasetFeatureStatisticsList,
) -> dict[str, tf.Tensor]:
    """Makes the model's inputs and the label out of raw columns; Transform calls it.

    inputs: a batch of the raw columns, by name.
    custom_config: see this module's docstring.
    schema, statistics: of the raw examples; the statistics are those of the split to train on, then of the others.

    Returns dense tensors whose first dimension is the batch; penstock.trainer.plan.plan gives their shapes. Raises a
    ConfigError or a DataError where the configuration does not fit the data.
    """
    return preprocessing.transform(planned(custom_config, schema, statistics), inputs)


def run_fn(fn_args: FnArgs) -> None:
    """Trains the default model on examples that `preprocessing_fn` transformed, and writes the serving model.

    Needs `statistics_path`, `schema_path` and `transform_graph_path`. `custom_config` must be the one that
    `preprocessing_fn` had; its `training` gives hyperparameters, and those of `fn_args.hyperparameters` come first.

    Raises a ConfigError where the configuration does not fit the data, and what `train` raises.
    """
    config = fn_args.custom_config or {}
    if fn_args.statistics_path is None or fn_args.schema_path is None or fn_args.transform_graph_path is None:
        raise ConfigError(
            "the default trainer needs the statistics, the schema and the transform_graph of its examples"
        )
    schema = artifacts.read_schema(Path(fn_args.schema_path))
    statistics = artifacts.ExampleStatistics(Path(fn_args.statistics_path)).read_all(config.get("split") or "train")
    plan = planned(config, schema, statistics)
    seen = [config.get("split") or "train", *columns.other_splits(statistics)]
    logger.info("what the columns are is told by the statistics of %s", ", ".join(seen))
    plan.log()
    train(plan, config.get("training") or {}, fn_args)


def train(plan: Plan, options: Mapping[str, Any], fn_args: FnArgs) -> None:
    """Trains the default network on transformed examples and exports it to `fn_args.serving_model_dir`.

    The plan is written to plan.json in `fn_args.model_run_dir`, beside the checkpoint and the history. `options` are
    hyperparameters and `seed`; those of `fn_args.hyperparameters` come first. Rows without a label are left out, with
    a line in the log.

    Raises a DataError for fewer than ten rows with a label, and what `fitting.fit` raises.
    """
    assert fn_args.model_run_dir is not None
    folder = Path(fn_args.model_run_dir)
    workers = distribution.start()  # before TensorFlow uses a device: workers must connect first
    transform_output = tft.TFTransformOutput(fn_args.transform_graph_path)
    if workers.is_chief:
        plan_file.write(folder, plan, transform_output, fn_args)
    inputs = model_inputs(plan, transform_output)
    training, labels = read(plan, inputs, fn_args.train_files or [], transform_output)
    evaluation, _ = read(plan, inputs, fn_args.eval_files or [], transform_output)
    if len(labels) < _MIN_ROWS:
        raise DataError(f"expected at least {_MIN_ROWS} rows with a label to train on, found {len(labels)}")
    _warn_of_leaks(plan, training)
    head = model_head(plan.label, labels)
    configured = {name: value for name, value in options.items() if name != "seed"}
    tuned = fn_args.hyperparameters or {}
    hyperparameters = model.Hyperparameters.from_mapping({**configured, **(tuned.get("values") or tuned)}, len(labels))
    settings = fitting.Settings(
        batch_size=hyperparameters.batch_size,
        epochs=hyperparameters.epochs,
        patience=hyperparameters.patience,
        monitor=head.monitor,
        seed=options.get("seed", _SEED),
    )

    def build() -> keras.Model:
        return model.build(inputs, head, hyperparameters)

    fitted = fitting.fit(
        build,
        training,
        evaluation,
        settings,
        folder,
        distribution=workers,
        device=fn_args.device,
        say=progress.say,
    )
    temperature = calibrate(fitted.model, head, *_raw_outputs(fitted.model, evaluation, fitted.rows_at_once))
    logger.info("best epoch %d of %d; temperature %.3f", fitted.best_epoch, len(fitted.history), temperature)
    if workers.is_chief:
        export(fitted.model, plan, head, fn_args)


def export(trained: keras.Model, plan: Plan, head: model.Head, fn_args: FnArgs) -> None:
    """Writes the serving model; penstock.trainer.network.export describes its signatures."""
    arguments = {
        "columns": list(dict.fromkeys(feature.name for feature in plan.features)),
        "label": dataclasses.asdict(plan.label),
        "dates": {name: dataclasses.asdict(cells) for name, cells in date_cells.of(plan.features).items()},
        "head": dataclasses.asdict(head),
        "transform_graph": fn_args.transform_graph_path,
        "folder": fn_args.serving_model_dir,
    }
    backends.on_tensorflow("penstock.trainer.network.export:export", trained, arguments)


def _warn_of_leaks(plan: Plan, data: input_data.Data) -> None:
    """Looks at all rows where they are in memory, else at the first ones."""
    if isinstance(data, input_data.InMemory):
        inputs, label, *_ = data.arrays()
    else:
        inputs, label, *weight = next(data.once(_FIRST_ROWS).as_numpy_iterator())
        if weight:  # rows without a label have none
            inputs, label = {name: values[weight[0] > 0] for name, values in inputs.items()}, label[weight[0] > 0]
    leaks.warn(plan, inputs, label)


def model_inputs(plan: Plan, transform_output: tft.TFTransformOutput) -> list[model.Number | model.Ids]:
    """Returns the model's inputs in the plan's order, with the sizes of the vocabularies that Transform made."""
    inputs: list[model.Number | model.Ids] = []
    for feature in plan.features:
        match feature:
            case Numeric():
                inputs.append(model.Number(feature.output))
            case Date():
                inputs += [model.Number(name) for name in feature.outputs]
            case Categorical():
                size = transform_output.vocabulary_size_by_name(feature.output)
                size += 1 + feature.oov_buckets
                inputs.append(model.Ids(feature.output, size, feature.width, feature.embedding_dim))
            case Text():
                inputs.append(model.Ids(feature.output, 1 + feature.hash_buckets, feature.width))
            case Sparse(width=0):
                inputs += [model.Number(name) for name in feature.outputs]
            case Sparse():
                inputs.append(model.Ids(feature.output, 1 + feature.size, feature.width))
    return inputs


def model_head(label: Label, labels: np.ndarray) -> model.Head:
    """Returns the model's head for this label; mean, deviation and frequencies are those of `labels`, [rows, 1]."""
    if label.problem == "regression":
        values: np.ndarray = labels.astype(np.float64)
        return model.Head("regression", mean=float(values.mean()), deviation=float(values.std()) or 1.0)
    counts = np.bincount(labels[:, 0].astype(np.int64), minlength=len(label.classes))
    return model.Head(label.problem, len(label.classes), frequencies=tuple((counts / len(labels)).tolist()))


def read(
    plan: Plan,
    inputs: Sequence[model.Number | model.Ids],
    file_patterns: Sequence[str],
    transform_output: tft.TFTransformOutput,
) -> tuple[input_data.Data, np.ndarray]:
    """Returns the rows of transformed examples that have a label, and their labels, [rows, 1].

    Rows without a label are left out; where the rows are streamed, they stay, with weight 0. Raises a DataError if no
    row has a label.
    """
    schema, label = transform_output.transformed_metadata.schema, plan.label.output
    names = [feature.name for feature in inputs]
    data = input_data.read(file_patterns, schema, inputs=names, label=label, preprocess=_narrow)
    labels = np.concatenate([batch[1] for batch in data.once(_LABEL_BATCH).as_numpy_iterator()])
    labelled = ~np.isnan(labels[:, 0]) if labels.dtype.kind == "f" else labels[:, 0] >= 0
    if labelled.all():
        return data, labels
    unlabelled = int((~labelled).sum())
    splits = ", ".join(Path(pattern).parent.name for pattern in file_patterns)  # Split-train
    if unlabelled == len(labels):
        raise DataError(f"{splits}: none of {unlabelled:,} rows has a label that the training data has")
    logger.warning(
        "%s: %s of %s rows have no label that the training data has: they are left out",
        splits,
        f"{unlabelled:,}",
        f"{len(labels):,}",
    )
    if isinstance(data, input_data.InMemory):
        return data.take(np.flatnonzero(labelled)), labels[labelled]

    def weighted(parsed: input_data.Features) -> input_data.Features:
        """Gives rows without a label the weight 0."""
        value = tf.cast(parsed[label], tf.float32)
        known = tf.logical_not(tf.math.is_nan(value) | (value < 0 if plan.label.problem == "multiclass" else False))
        return _narrow(parsed) | {
            label: tf.where(known, value, tf.zeros_like(value)),
            f"{label}_weight": tf.cast(known[:, 0], tf.float32),
        }

    streamed = input_data.read(
        file_patterns, schema, inputs=names, label=label, weight=f"{label}_weight", preprocess=weighted, memory_share=0
    )
    return streamed, labels[labelled]


def _raw_outputs(trained: keras.Model, data: input_data.Data, rows_at_once: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the model's raw outputs for all rows with a weight above 0, and their labels."""
    raw_outputs, labels = [], []
    for inputs, label, *weight in data.once(rows_at_once).as_numpy_iterator():
        weighted = weight[0] > 0 if weight else slice(None)
        raw_outputs.append(trained.predict_on_batch(inputs)[weighted])
        labels.append(label[weighted])
    return np.concatenate(raw_outputs), np.concatenate(labels)


def _narrow(parsed: input_data.Features) -> input_data.Features:
    """Makes ids int32: they take half the memory, and JAX has no int64 by default."""
    return {name: tf.cast(values, tf.int32) if values.dtype == tf.int64 else values for name, values in parsed.items()}
