"""The tuner_fn of a pipeline without code: it searches the hyperparameters of the default model.

custom_config is that of the default trainer (penstock.trainer.default) with a section `tuning` (settings.py). Every
trial trains as the Trainer does, with checkpoints: a trial that was killed resumes.
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
from penstock.trainer.plan.features import Date
from penstock.trainer.plan.plan import Plan, planned
from penstock.trainer.tuning import folds, oracles, row_order, space
from penstock.trainer.tuning.results import Values
from penstock.trainer.tuning.settings import CUSTOM_CONFIG, CrossValidation, Search
from penstock.trainer.tuning.trials import Tell, Tuner


def tuner_fn(fn_args: FnArgs) -> TunerFnResult:
    """Returns the tuner of the search in `fn_args.custom_config`.

    Raises a ConfigError for an objective that the model does not measure, and a DataError if there are too few rows for
    the folds.
    """
    search, trainer = search_settings(fn_args), trial_trainer(fn_args, trains=not is_chief_oracle())
    objective = keras_tuner.Objective(trainer.objective.name, trainer.objective.direction)
    epochs = Hyperparameters.from_mapping(trainer.configured, trainer.divisions[0][0].rows).epochs
    oracle = oracles.make(search, space.hyperparameters(search.parameters, Hyperparameters.kinds()), objective, epochs)
    return TunerFnResult(Tuner(oracle, trainer, len(trainer.divisions), str(fn_args.working_dir)), {})


@dataclass(frozen=True)
class Objective:
    """The metric that decides which trial is best, and whether "min" or "max" of it is sought."""

    name: str
    direction: str


def search_settings(fn_args: FnArgs) -> Search:
    """Returns the settings of the search in `fn_args.custom_config`."""
    return Search.from_json((fn_args.custom_config or {})[CUSTOM_CONFIG])


def objective(fn_args: FnArgs) -> Objective:
    """Returns the objective of the search, without reading examples.

    Raises a ConfigError for an objective that the model does not measure.
    """
    return _objective(search_settings(fn_args), _plan(fn_args).label)


def _objective(search: Search, label: Label) -> Objective:
    head = model.Head(label.problem, len(label.classes))
    chosen = Objective(search.objective, search.direction) if search.objective else Objective(head.monitor, "min")
    _require_measured(chosen.name, head)
    return chosen


@dataclass(frozen=True)
class TrialTrainer:
    """Trains the default model for a trial, on one division of the rows: a Score of the tuner.

    divisions: for each fold, the rows to train on and those to evaluate on.
    configured: hyperparameters that are not searched. device: None if trials run in other processes.
    """

    inputs: list[model.Number | model.Ids]
    head: model.Head
    divisions: list[tuple[input_data.Data, input_data.Data]]
    configured: Values
    objective: Objective
    seed: int
    device: devices.Device | None

    def __call__(self, values: Values, fold: int, epochs: int | None, folder: Path, tell: Tell) -> float:
        train, evaluate = self.divisions[fold]
        limit = {} if epochs is None else {"epochs": epochs}
        hyperparameters = Hyperparameters.from_mapping({**self.configured, **values, **limit}, train.rows)
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
        if fitted.finished == "stop":  # an earlier attempt of this trial may have been told so, and not this one
            last = fitted.history[-1]
            tell(last["epoch"], last[self.objective.name])
        return float(fitted.history[fitted.best_epoch - 1][self.objective.name])


def trial_trainer(fn_args: FnArgs, trains: bool = True) -> TrialTrainer:
    """Returns what trains the trials of the search in `fn_args.custom_config`; it reads the rows.

    trains: whether trials train in this process. Then a device is prepared, before TensorFlow uses one.

    Raises a ConfigError for an objective that the model does not measure, and a DataError if there are too few rows for
    the folds.
    """
    config, search = fn_args.custom_config or {}, search_settings(fn_args)
    device = devices.prepare(search.accelerator, search.precision) if trains else None
    plan = _plan(fn_args)
    chosen_objective = _objective(search, plan.label)
    transform_output = tft.TFTransformOutput(fn_args.transform_graph_path)
    inputs = default.model_inputs(plan, transform_output)
    training, labels = default.read(plan, inputs, fn_args.train_files or [], transform_output)
    if search.cross_validation is None:
        evaluation, _ = default.read(plan, inputs, fn_args.eval_files or [], transform_output)
        divisions = [(training, evaluation)]
    else:
        column = None
        if feature := search.cross_validation.feature:
            column = row_order.labelled(fn_args, feature, plan.label.output)
            if search.cross_validation.method == "time_series":
                column = row_order.in_time(feature, column, _date_format(plan, config, feature))
        classes = np.asarray(plan.label.classes)[labels[:, 0].astype(np.int64)] if plan.label.classes else labels[:, 0]
        divisions = _divisions(training, classes, search.cross_validation, search.seed, column)
    options = config.get("training") or {}
    return TrialTrainer(
        inputs=inputs,
        head=default.model_head(plan.label, labels),
        divisions=divisions,
        configured={name: value for name, value in options.items() if name != "seed" and value is not None},
        objective=chosen_objective,
        seed=search.seed,
        device=device,
    )


def _plan(fn_args: FnArgs) -> Plan:
    if fn_args.statistics_path is None or fn_args.schema_path is None or fn_args.transform_graph_path is None:
        raise ConfigError("the default tuner needs the statistics, the schema and the transform_graph of its examples")
    config = fn_args.custom_config or {}
    schema = artifacts.read_schema(Path(fn_args.schema_path))
    statistics = artifacts.ExampleStatistics(Path(fn_args.statistics_path)).read_all(config.get("split") or "train")
    return planned(config, schema, statistics)


def _date_format(plan: Plan, config: Mapping[str, Any], feature: str) -> str:
    """Returns the format of a feature's dates, from the configuration or the plan; "" if neither has one."""
    override = (config.get("features") or {}).get(feature) or {}
    formats = (date.format for date in plan.features if isinstance(date, Date) and date.name == feature)
    return override.get("format") or next(formats, "")


def _divisions(
    training: input_data.Data,
    classes: np.ndarray,
    cross_validation: CrossValidation,
    seed: int,
    column: np.ndarray | None,
) -> list[tuple[input_data.Data, input_data.Data]]:
    """Divides the training rows into folds; `column` holds the groups or the times of the rows."""
    if not isinstance(training, input_data.InMemory):
        raise DataError(
            "cross_validation: expected examples that fit into memory, since folds are taken out of them: give the "
            "task more memory, or leave it out and score on the eval split"
        )
    count = cross_validation.folds
    if cross_validation.method == "stratified":
        divisions = folds.stratified(classes, count, seed)
    elif cross_validation.method == "group":
        assert column is not None
        divisions = folds.group(column, count, seed)
    elif cross_validation.method == "time_series":
        assert column is not None
        divisions = folds.time_series(column, count)
    else:
        divisions = folds.k_fold(training.rows, count, seed)
    return [(training.take(train), training.take(evaluate)) for train, evaluate in divisions]


def _require_measured(monitor: str, head: model.Head) -> None:
    measured = [f"val_{name}" for name in ("loss", *(metric.name for metric in metrics(head)))]
    if monitor not in measured:
        hint = did_you_mean(monitor, measured, "it measures")
        raise ConfigError(f"tuning.objective: the model does not measure {monitor!r}; {hint}")
