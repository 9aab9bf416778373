"""The tuner_fn that is used without code: it searches the hyperparameters of the default model.

custom_config is the default trainer's (penstock.trainer.default) with `tuning`, what to search and how (settings.py).
Every trial is a training as the Trainer's own, with its checkpoints: one that was killed goes on where it was.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras_tuner
import numpy as np
import tensorflow_transform as tft
from keras_tuner.src.distribute.utils import is_chief_oracle

from penstock.core import artifacts
from penstock.core.errors import ConfigError, DataError
from penstock.core.labels import Label
from penstock.core.suggestions import did_you_mean
from penstock.trainer import default
from penstock.trainer.data import input_data
from penstock.trainer.fn_args import FnArgs, TunerFnResult
from penstock.trainer.hardware import devices
from penstock.trainer.loop import fitting
from penstock.trainer.network import model
from penstock.trainer.network.hyperparameters import Hyperparameters
from penstock.trainer.network.losses import metrics
from penstock.trainer.plan import plan
from penstock.trainer.tuning import folds, oracles, row_order, space
from penstock.trainer.tuning.settings import CUSTOM_CONFIG, CrossValidation, Search
from penstock.trainer.tuning.trials import Tell, Tuner


def tuner_fn(fn_args: FnArgs) -> TunerFnResult:
    """Returns the tuner of the search that the configuration describes.

    Raises a ConfigError for an objective that the model does not measure, and a DataError if the rows are too few for
    the folds.
    """
    search, trained = searched(fn_args), trainee(fn_args, runs=not is_chief_oracle())
    decides = keras_tuner.Objective(trained.objective.name, trained.objective.direction)
    epochs = Hyperparameters.from_mapping(trained.given, trained.divisions[0][0].rows).epochs
    oracle = oracles.make(search, space.hyperparameters(search.parameters, Hyperparameters.kinds()), decides, epochs)
    return TunerFnResult(Tuner(oracle, trained, len(trained.divisions), str(fn_args.working_dir)), {})


@dataclass(frozen=True)
class Objective:
    """What decides: a metric as `fit` names it, and whether "min" or "max" of it is sought."""

    name: str
    direction: str


def searched(fn_args: FnArgs) -> Search:
    """Returns the search that the configuration describes."""
    return Search.from_json((fn_args.custom_config or {})[CUSTOM_CONFIG])


def objective(fn_args: FnArgs) -> Objective:
    """Returns what the search of the configuration is for; it reads no examples.

    Raises a ConfigError for an objective that the model does not measure.
    """
    return _objective(searched(fn_args), _planned(fn_args).label)


def _objective(search: Search, label: Label) -> Objective:
    head = model.Head(label.problem, len(label.classes))
    chosen = Objective(search.objective, search.direction) if search.objective else Objective(head.monitor, "min")
    _require_measured(chosen.name, head)
    return chosen


@dataclass(frozen=True)
class Trainee:
    """Trains the default model on a division of the rows: a Score of the tuner. `given` are hyperparameters too."""

    inputs: list[model.Number | model.Ids]
    head: model.Head
    divisions: list[tuple[input_data.Data, input_data.Data]]
    given: Mapping[str, Any]
    objective: Objective
    seed: int
    device: devices.Device | None

    def __call__(self, values: Mapping[str, Any], fold: int, epochs: int | None, folder: Path, tell: Tell) -> float:
        train, evaluate = self.divisions[fold]
        limit = {} if epochs is None else {"epochs": epochs}
        hyperparameters = Hyperparameters.from_mapping({**self.given, **values, **limit}, train.rows)
        settings = fitting.Settings(
            batch_size=hyperparameters.batch_size,
            epochs=hyperparameters.epochs,
            patience=hyperparameters.patience,
            monitor=self.objective.name,
            direction=self.objective.direction,
            seed=self.seed,
        )
        fitted = fitting.fit(
            lambda: model.build(self.inputs, self.head, hyperparameters),
            train,
            evaluate,
            settings,
            folder,
            device=self.device,
            stop=lambda record: tell(record["epoch"], record[self.objective.name]),
        )
        return float(fitted.history[fitted.best_epoch - 1][self.objective.name])


def trainee(fn_args: FnArgs, runs: bool = True) -> Trainee:
    """Returns what trains the trials of the search that the configuration describes, with its rows.

    runs: whether trials run in this process, which then takes hold of a device: before TensorFlow uses one.

    Raises a ConfigError for an objective that the model does not measure, and a DataError if the rows are too few for
    the folds.
    """
    config, search = fn_args.custom_config or {}, searched(fn_args)
    device = devices.prepare(search.accelerator, search.precision) if runs else None
    made = _planned(fn_args)
    decides = _objective(search, made.label)
    transform_output = tft.TFTransformOutput(fn_args.transform_graph_path)
    inputs = default.model_inputs(made, transform_output)
    training, labels = default.read(made, inputs, fn_args.train_files or [], transform_output)
    if search.cross_validation is None:
        evaluation, _ = default.read(made, inputs, fn_args.eval_files or [], transform_output)
        divisions = [(training, evaluation)]
    else:
        column = None
        if feature := search.cross_validation.feature:
            column = row_order.labelled(fn_args, feature, made.label.output)
            if search.cross_validation.method == "time_series":
                column = row_order.in_time(feature, column, _format(made, config, feature))
        classes = np.asarray(made.label.classes)[labels[:, 0].astype(np.int64)] if made.label.classes else labels[:, 0]
        divisions = _divisions(training, classes, search.cross_validation, search.seed, column)
    options = config.get("training") or {}
    given = {name: value for name, value in options.items() if name != "seed" and value is not None}
    return Trainee(inputs, default.model_head(made.label, labels), divisions, given, decides, search.seed, device)


def _planned(fn_args: FnArgs) -> plan.Plan:
    if fn_args.statistics_path is None or fn_args.schema_path is None or fn_args.transform_graph_path is None:
        raise ConfigError("the default tuner needs the statistics, the schema and the transform_graph of its examples")
    config = fn_args.custom_config or {}
    schema = artifacts.read_schema(Path(fn_args.schema_path))
    statistics = artifacts.ExampleStatistics(Path(fn_args.statistics_path)).read(config.get("split") or "train")
    return plan.planned(config, schema, statistics)


def _format(made: plan.Plan, config: Mapping[str, Any], feature: str) -> str:
    """Returns how a feature's dates are written, "" if nothing says so."""
    said = (config.get("features") or {}).get(feature) or {}
    planned = (one.format for one in made.features if isinstance(one, plan.Date) and one.name == feature)
    return said.get("format") or next(planned, "")


def _divisions(
    training: input_data.Data, classes: Any, how: CrossValidation, seed: int, column: Any
) -> list[tuple[input_data.Data, input_data.Data]]:
    if not isinstance(training, input_data.InMemory):
        raise DataError(
            "cross_validation: expected examples that fit into memory, since folds are taken out of them: give the "
            "task more memory, or leave it out and score on the eval split"
        )
    if how.method == "stratified":
        made = folds.stratified(classes, how.folds, seed)
    elif how.method == "group":
        made = folds.group(column, how.folds, seed)
    elif how.method == "time_series":
        made = folds.time_series(column, how.folds)
    else:
        made = folds.k_fold(training.rows, how.folds, seed)
    return [(training.take(train), training.take(evaluate)) for train, evaluate in made]


def _require_measured(monitor: str, head: model.Head) -> None:
    measured = [f"val_{name}" for name in ("loss", *(metric.name for metric in metrics(head)))]
    if monitor not in measured:
        hint = did_you_mean(monitor, measured, "it measures")
        raise ConfigError(f"tuning.objective: the model does not measure {monitor!r}; {hint}")
