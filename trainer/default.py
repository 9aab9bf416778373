"""The module that is used without code: TFX's module functions, made of the data's schema and statistics.

custom_config is what the configuration says: `label`; `features`, overrides by column (features.py); `problem`;
`split`, the one that Transform analyzes, whose statistics count; and `training`, hyperparameters and the seed.
"""

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
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
from penstock.trainer.plan import leaks, plan, plan_file
from penstock.trainer.plan.plan import Categorical, Date, Numeric, Plan, Sparse, Text

logger = logging.getLogger(__name__)
_FEWEST = 10  # rows to train on
_AT_ONCE = 8192  # rows
_SEED = 1


def preprocessing_fn(
    inputs: Mapping[str, Any],
    custom_config: Mapping[str, Any],
    schema: schema_pb2.Schema,
    statistics: statistics_pb2.DatasetFeatureStatisticsList,
) -> dict[str, Any]:
    return preprocessing.transform(plan.planned(custom_config, schema, statistics), inputs)


def run_fn(fn_args: FnArgs) -> None:
    config = fn_args.custom_config or {}
    if fn_args.statistics_path is None or fn_args.schema_path is None or fn_args.transform_graph_path is None:
        raise ConfigError(
            "the default trainer needs the statistics, the schema and the transform_graph of its examples"
        )
    schema = artifacts.read_schema(Path(fn_args.schema_path))
    statistics = artifacts.ExampleStatistics(Path(fn_args.statistics_path)).read(config.get("split") or "train")
    made = plan.planned(config, schema, statistics)
    made.log()
    train(made, config.get("training") or {}, fn_args)


def train(made: Plan, options: Mapping[str, Any], fn_args: FnArgs) -> None:
    """Trains the default network on transformed examples and exports it to `fn_args.serving_model_dir`.

    What the columns are stands in plan.json in `fn_args.model_run_dir`, beside what the training loop writes there.
    `options` are hyperparameters, and `seed`; those of `fn_args.hyperparameters` come before them. Rows without the
    label are left out, which the log tells. Raises a DataError for fewer than ten rows with one.
    """
    assert fn_args.model_run_dir is not None
    folder = Path(fn_args.model_run_dir)
    together = distribution.start()  # before TensorFlow uses a device: workers must meet
    transform_output = tft.TFTransformOutput(fn_args.transform_graph_path)
    if together.is_chief:
        plan_file.write(folder, made, transform_output, fn_args)
    inputs = model_inputs(made, transform_output)
    training, labels = read(made, inputs, fn_args.train_files or [], transform_output)
    evaluation, _ = read(made, inputs, fn_args.eval_files or [], transform_output)
    if len(labels) < _FEWEST:
        raise DataError(f"expected {_FEWEST} rows with a label to train on at least, found {len(labels)}")
    if isinstance(training, input_data.InMemory):
        leaks.warn(made, *training.arrays()[:2])
    head = model_head(made.label, labels)
    given = {name: value for name, value in options.items() if name != "seed"}
    tuned = fn_args.hyperparameters or {}
    hyperparameters = model.Hyperparameters.from_mapping({**given, **(tuned.get("values") or tuned)}, len(labels))
    settings = fitting.Settings(
        batch_size=hyperparameters.batch_size,
        epochs=hyperparameters.epochs,
        patience=hyperparameters.patience,
        monitor=head.monitor,
        seed=options.get("seed", _SEED),
    )

    def build() -> keras.Model:
        return model.build(inputs, head, hyperparameters)

    fitted = fitting.fit(build, training, evaluation, settings, folder, together, fn_args.device, say=progress.say)
    temperature = calibrate(fitted.model, head, *_predicted(fitted.model, evaluation, fitted.rows_at_once))
    logger.info("best epoch %d of %d; temperature %.3f", fitted.best_epoch, len(fitted.history), temperature)
    if together.is_chief:
        export(fitted.model, made, head, fn_args)


def export(trained: keras.Model, made: Plan, head: model.Head, fn_args: FnArgs) -> None:
    """Writes the serving model; see penstock.trainer.network.export for its signatures."""
    arguments: dict[str, Any] = {
        "columns": list(dict.fromkeys(feature.name for feature in made.features)),
        "label": dataclasses.asdict(made.label),
        "head": dataclasses.asdict(head),
        "transform_graph": fn_args.transform_graph_path,
        "folder": fn_args.serving_model_dir,
    }
    backends.on_tensorflow("penstock.trainer.network.export:export", trained, arguments)


def model_inputs(made: Plan, transform_output: tft.TFTransformOutput) -> list[model.Number | model.Ids]:
    """Returns the model's inputs, in the plan's order; vocabularies are as large as Transform found them."""
    found: list[model.Number | model.Ids] = []
    for feature in made.features:
        match feature:
            case Numeric():
                found.append(model.Number(feature.output))
            case Date():
                found += [model.Number(name) for name in feature.outputs]
            case Categorical():
                size = transform_output.vocabulary_size_by_name(feature.output)
                size += 1 + feature.oov_buckets
                found.append(model.Ids(feature.output, size, feature.width, feature.embedding_dim))
            case Text():
                found.append(model.Ids(feature.output, 1 + feature.hash_buckets, feature.width))
            case Sparse(width=0):
                found += [model.Number(name) for name in feature.outputs]
            case Sparse():
                found.append(model.Ids(feature.output, 1 + feature.size, feature.width))
    return found


def model_head(label: Label, labels: npt.NDArray[Any]) -> model.Head:
    """Returns what is predicted, as the training data's labels, [rows, 1], have it."""
    if label.problem == "regression":
        values = labels.astype(np.float64)
        return model.Head("regression", mean=float(values.mean()), deviation=float(values.std()) or 1.0)
    counts = np.bincount(labels[:, 0].astype(np.int64), minlength=len(label.classes))
    return model.Head(label.problem, len(label.classes), frequencies=tuple((counts / len(labels)).tolist()))


def read(
    made: Plan,
    inputs: Sequence[model.Number | model.Ids],
    file_patterns: Sequence[str],
    transform_output: tft.TFTransformOutput,
) -> tuple[input_data.Data, npt.NDArray[Any]]:
    """Returns the rows of transformed examples that have a label, and the labels, [rows, 1]."""
    schema, label = transform_output.transformed_metadata.schema, made.label.output
    names = [feature.name for feature in inputs]
    data = input_data.read(file_patterns, schema, inputs=names, label=label, preprocess=_narrow)
    labels = np.concatenate([batch[1] for batch in data.once(_AT_ONCE).as_numpy_iterator()])
    there = ~np.isnan(labels[:, 0]) if labels.dtype.kind == "f" else labels[:, 0] >= 0
    if there.all():
        return data, labels
    without = int((~there).sum())
    splits = ", ".join(Path(pattern).parent.name for pattern in file_patterns)  # Split-train
    if without == len(labels):
        raise DataError(f"{splits}: none of {without:,} rows has a label that the training data has")
    logger.warning(
        "%s: %s of %s rows have no label that the training data has: they are left out",
        splits,
        f"{without:,}",
        f"{len(labels):,}",
    )
    if isinstance(data, input_data.InMemory):
        return data.take(np.flatnonzero(there)), labels[there]

    def weighted(parsed: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Rows of a stream stay where they are, with no weight."""
        value = tf.cast(parsed[label], tf.float32)
        known = tf.logical_not(tf.math.is_nan(value) | (value < 0 if made.label.problem == "multiclass" else False))
        return _narrow(parsed) | {
            label: tf.where(known, value, tf.zeros_like(value)),
            f"{label}_weight": tf.cast(known[:, 0], tf.float32),
        }

    kept = input_data.read(
        file_patterns, schema, inputs=names, label=label, weight=f"{label}_weight", preprocess=weighted, memory_share=0
    )
    return kept, labels[there]


def _predicted(
    trained: keras.Model, data: input_data.Data, rows_at_once: int
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Returns the model's raw outputs of all rows with a weight, and their labels."""
    raw_outputs, labels = [], []
    for inputs, label, *weight in data.once(rows_at_once).as_numpy_iterator():
        chosen = weight[0] > 0 if weight else slice(None)
        raw_outputs.append(trained.predict_on_batch(inputs)[chosen])
        labels.append(label[chosen])
    return np.concatenate(raw_outputs), np.concatenate(labels)


def _narrow(parsed: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Ids take half the memory so, and JAX has no others."""
    return {name: tf.cast(values, tf.int32) if values.dtype == tf.int64 else values for name, values in parsed.items()}
