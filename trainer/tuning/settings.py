"""The settings of a search without code: the configuration's `tuning` section, passed in custom_config as JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Algorithm = Literal["grid", "random", "bayesian", "hyperband"]
Method = Literal["k_fold", "stratified", "group", "time_series"]
CUSTOM_CONFIG = "tuning"  # the key in custom_config
# The metrics of the default model by problem, and which direction is better (penstock.trainer.network.losses).
MEASURED: Mapping[str, Mapping[str, Literal["min", "max"]]] = {
    "binary": {"val_loss": "min", "val_log_loss": "min", "val_auc": "max"},
    "multiclass": {"val_loss": "min", "val_log_loss": "min", "val_accuracy": "max"},
    "regression": {"val_loss": "min", "val_mean_squared_error": "min", "val_r2": "max"},
}
DIRECTIONS = {name: direction for metrics in MEASURED.values() for name, direction in metrics.items()}

type Value = int | float | str | bool  # of a hyperparameter


@dataclass(frozen=True)
class Range:
    """The values that a hyperparameter may take: those in `values`, or the range from `min` to `max`, both included.

    step: the difference between two values, or on a logarithmic scale their ratio. Without it, the range holds every
        number, or every whole number of an int.
    """

    min: float | None = None
    max: float | None = None
    step: float | None = None
    scale: Literal["linear", "log"] = "linear"
    values: tuple[Value, ...] = ()


@dataclass(frozen=True)
class CrossValidation:
    """How the training split is divided into folds. `feature` names the feature with the groups or the times."""

    method: Method = "k_fold"
    folds: int = 5
    feature: str = ""


@dataclass(frozen=True)
class Search:
    """What is searched, how, and for how long.

    parameters: the ranges of the hyperparameters that are searched, by name.
    objective: a metric on the evaluation data, such as val_auc; "" for the default model's own.
    direction: "min" or "max" of the objective.
    trials, minutes: the search ends when either is used up. None sets no limit of time.
    early_stopping: whether a trial ends early if it is worse than the median of the others at the same epoch.
    accelerator, precision: as penstock.trainer.hardware.devices.prepare takes them.
    """

    parameters: Mapping[str, Range]
    algorithm: Algorithm = "bayesian"
    objective: str = ""
    direction: str = "min"
    trials: int = 20
    minutes: float | None = None
    early_stopping: bool = True
    seed: int = 1
    cross_validation: CrossValidation | None = None
    accelerator: str = "preferred"
    precision: str = "auto"

    @classmethod
    def from_json(cls, section: Mapping[str, Any]) -> "Search":
        """Returns the settings in a `tuning` section, which the configuration has checked."""
        parameters = {
            name: Range(**{**entry, "values": tuple(entry.get("values") or ())})
            for name, entry in section["parameters"].items()
        }
        folds = section.get("cross_validation")
        cross_validation = CrossValidation(**folds) if folds else None
        return cls(**{**section, "parameters": parameters, "cross_validation": cross_validation})
