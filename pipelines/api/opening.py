"""Opens artifacts with the libraries that own them, which are imported when they are needed."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from penstock.core import artifacts


def open_artifact(name: str, folder: Path) -> Any:
    """Returns what an output of that name holds; its path for one that no library owns.

    A schema is a Schema (as of tfdv.load_schema_text), statistics are a DatasetFeatureStatisticsList with a dataset for
    each split (tfdv.visualize_statistics shows it), anomalies are Anomalies by split. A transform_graph is a
    tft.TFTransformOutput, an evaluation a tfma.EvalResult, a model what tf.saved_model.load returns. Examples are a
    tf.data.TFRecordDataset by split. Verdicts and hyperparameters are dictionaries.
    """
    opener = _OPENERS.get(name)
    return folder if opener is None else opener(folder)


def _schema(folder: Path) -> Any:
    return artifacts.Schema(folder).read()


def _statistics(folder: Path) -> Any:
    statistics = artifacts.ExampleStatistics(folder)
    splits = statistics.splits()
    return statistics.read_all("train" if "train" in splits else splits[0])


def _anomalies(folder: Path) -> Any:
    anomalies = artifacts.ExampleAnomalies(folder)
    return {split: anomalies.read(split) for split in anomalies.splits()}


def _transform_graph(folder: Path) -> Any:
    import tensorflow_transform as tft

    return tft.TFTransformOutput(str(folder))


def _evaluation(folder: Path) -> Any:
    import tensorflow_model_analysis as tfma

    return tfma.load_eval_result(str(folder))


def _model(folder: Path) -> Any:
    import tensorflow as tf

    from penstock.core.models.predict import saved_model_folder

    return tf.saved_model.load(str(saved_model_folder(folder)))


def _examples(folder: Path) -> Any:
    import tensorflow as tf

    examples = artifacts.Examples(folder)
    files = {split: [str(path) for path in examples.files(split)] for split in examples.splits()}
    return {split: tf.data.TFRecordDataset(paths, compression_type="GZIP") for split, paths in files.items()}


def _quarantine(folder: Path) -> Any:
    import pandas as pd

    return pd.concat(map(pd.read_parquet, artifacts.Quarantine(folder).files()), ignore_index=True)


_OPENERS: Mapping[str, Callable[[Path], Any]] = {
    "schema": _schema,
    "statistics": _statistics,
    "anomalies": _anomalies,
    "examples": _examples,
    "cleaned_examples": _examples,
    "quarantine": _quarantine,
    "transformed_examples": _examples,
    "transform_graph": _transform_graph,
    "model": _model,
    "evaluation": _evaluation,
    "validation": lambda folder: artifacts.ModelValidation(folder).read(),
    "infra_validation": lambda folder: artifacts.InfraValidation(folder).read(),
    "best_hyperparameters": lambda folder: artifacts.HyperParameters(folder).read(),
}
