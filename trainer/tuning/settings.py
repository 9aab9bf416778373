"""A search without code, as the configuration's `tuning` section writes it into custom_config, JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Algorithm = Literal["grid", "random", "bayesian", "hyperband"]
Method = Literal["k_fold", "stratified", "group", "time_series"]
CUSTOM_CONFIG = "tuning"
# What the default model measures of a problem, and whether less or more is better (penstock.trainer.network.losses).
MEASURED: Mapping[str, Mapping[str, Literal["min", "max"]]] = {
    "binary": {"val_loss": "min", "val_log_loss": "min", "val_auc": "max"},
    "multiclass": {"val_loss": "min", "val_log_loss": "min", "val_accuracy": "max"},
    "regression": {"val_loss": "min", "val_mean_squared_error": "min", "val_r2": "max"},
}
DIRECTIONS = {name: direction for metrics in MEASURED.values() for name, direction in metrics.items()}


@dataclass(frozen=True)
class Range:
    """The values that a hyperparameter may take: `values`, or what lies from `min` to `max`, both included.

    step: between two values of the range; on a logarithmic scale what a value is multiplied by. Without one, every
        whole number, or every number.
    """

    min: float | None = None
    max: float | None = None
    step: float | None = None
    scale: Literal["linear", "log"] = "linear"
    values: tuple[Any, ...] = ()


@dataclass(frozen=True)
class CrossValidation:
    """How the training split is divided into folds. `feature` holds the groups, or the order in time."""

    method: Method = "k_fold"
    folds: int = 5
    feature: str = ""


@dataclass(frozen=True)
class Search:
    """What is searched for, how, and for how long.

    objective: a metric as `fit` names it, such as val_auc; "" for the one that the default model is trained for.
    direction: "min" or "max".
    trials, minutes: the search ends with whichever comes first; minutes None for no limit.
    accelerator, precision: as the Trainer has them (penstock.trainer.hardware.devices).
    early_stopping: whether trials are ended that do worse than the median of the others at the same epoch.
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
    def from_json(cls, given: Mapping[str, Any]) -> "Search":
        """Reads what the configuration's section has checked."""
        parameters = {
            name: Range(**{**entry, "values": tuple(entry.get("values") or ())})
            for name, entry in given["parameters"].items()
        }
        folds = given.get("cross_validation")
        return cls(
            **{
                **given,
                "parameters": parameters,
                "cross_validation": CrossValidation(**folds) if folds else None,
            }
        )
