"""The `tuning` section of a configuration: the module's tuner_fn, or a search without code."""

import math
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from penstock.core.errors import ConfigError
from penstock.core.suggestions import did_you_mean
from penstock.pipelines.config.section import (
    FUNCTION,
    NO_BOOL,
    ExistingFile,
    FunctionName,
    Number,
    PositiveNumber,
    PositiveWhole,
    Section,
    Seed,
    Whole,
    json_text,
)
from penstock.trainer.network.hyperparameters import Hyperparameters
from penstock.trainer.tuning import vertex_study
from penstock.trainer.tuning.settings import DIRECTIONS, MEASURED, Search

# What searches without code.
TUNER_FN = "penstock.trainer.tuning.default.tuner_fn"
_MANY = 10**15  # points: a range with more, up to no end of them, counts as one with these
_OF_A_MODULE = ("module_file", "tuner_fn", "custom_config")
_OF_A_SEARCH = ("parameters", "algorithm", "objective", "direction", "trials", "minutes", "early_stopping", "seed")
_WITHOUT_CODE = (*_OF_A_SEARCH, "cross_validation")


class Parameter(Section):
    """What a hyperparameter may be: a range, or a list of values."""

    min: Number | None = Field(default=None, description="The least value.")
    max: Number | None = Field(default=None, description="The greatest value.")
    step: PositiveNumber | None = Field(
        default=None,
        description="The step between two values; on a logarithmic scale the factor. By default every value.",
    )
    scale: Literal["linear", "log"] = Field(
        default="linear", description="How values are spread over the range: linear or log."
    )
    values: list[Number] = Field(default=[], description="The values, instead of a range.")

    @property
    def ends(self) -> list[float]:
        """The ends of the range, or the values in its place."""
        return self.values or [end for end in (self.min, self.max) if end is not None]

    def points(self, whole: bool) -> int | None:
        """Returns how many values there are, as KerasTuner counts them; None if there is no end of them."""
        if self.values or self.min is None or self.max is None:
            return len(self.values)
        if self.step is None:
            return int(self.max - self.min) + 1 if whole and self.scale == "linear" else None
        if self.scale == "linear":
            return int(min((self.max - self.min) / self.step, _MANY) + 1e-8) + 1
        return int(min(math.log(self.max / self.min, self.step), _MANY) + 1e-8) + 1

    @model_validator(mode="after")
    def _range(self) -> Self:
        if self.values:
            if self.min is not None or self.max is not None or self.step is not None or self.scale != "linear":
                raise ValueError("values: expected either values or a range, received both")
            return self
        if self.min is None or self.max is None:
            raise ValueError("expected min and max, such as {min: 1e-4, max: 1e-2, scale: log}, or values")
        if self.min >= self.max:
            raise ValueError(f"min: expected less than max, received min {self.min:g} and max {self.max:g}")
        if self.scale == "log" and self.min <= 0:
            raise ValueError(f"min: expected more than 0 on a logarithmic scale, received {self.min:g}")
        if self.scale == "log" and self.step is not None and self.step <= 1:
            raise ValueError(f"step: expected a factor above 1 on a logarithmic scale, received {self.step:g}")
        return self


class CrossValidation(Section):
    """How trials are scored: by the mean over folds of the training split, rather than by the eval split."""

    method: Literal["k_fold", "stratified", "group", "time_series"] = Field(
        default="k_fold",
        description="k_fold: at random; stratified: with equal shares of the classes; group: a group stays in one "
        "fold; time_series: trained on the past, evaluated on what follows.",
    )
    folds: Annotated[int, Field(ge=2), NO_BOOL] = Field(default=5, description="How many folds.")
    feature: str | None = Field(
        default=None, description="The feature of the data that holds the groups, or the order in time."
    )

    @model_validator(mode="after")
    def _feature(self) -> Self:
        needed = self.method in ("group", "time_series")
        if needed and not self.feature:
            what = "the groups" if self.method == "group" else "the order in time"
            raise ValueError(f"feature: expected the name of the feature that holds {what}")
        if self.feature and not needed:
            raise ValueError(f"feature: expected none for method {self.method}, received {self.feature!r}")
        return self


class Tuning(Section):
    """How the best hyperparameters are searched for: with the module's tuner_fn, or over the default model's."""

    module_file: ExistingFile | None = Field(
        default=None,
        description="The Python file with the tuner_fn, where it is another than the pipeline's module_file.",
    )
    tuner_fn: FunctionName = Field(default="tuner_fn", description=FUNCTION)
    custom_config: dict[str, Any] | None = Field(
        default=None, description="The tuner_fn's FnArgs.custom_config; by default the training's."
    )
    parallel_trials: Whole = Field(
        default=0,
        description="How many trials run at a time on a machine. By default one, and without a module one for each GPU "
        "or core.",
    )
    workers: PositiveWhole = Field(
        default=1,
        description="Machines that search together, each with resources.tuner; on this machine one does.",
    )
    parameters: dict[str, Parameter] = Field(
        default={}, description="Without a module: what is searched, hyperparameters of the default model."
    )
    algorithm: Literal["grid", "random", "bayesian", "hyperband"] = Field(
        default="bayesian", description="Without a module: how parameters are chosen."
    )
    objective: str | None = Field(
        default=None,
        description="Without a module: the metric that decides, such as val_auc; by default the one trained for.",
    )
    direction: Literal["min", "max"] | None = Field(
        default=None, description="Without a module: whether less or more is better; by default as the metric says."
    )
    trials: PositiveWhole = Field(default=20, description="Without a module: at most so many trials.")
    minutes: PositiveNumber | None = Field(
        default=None, description="Without a module: no trial is begun after so many minutes."
    )
    early_stopping: bool = Field(
        default=True, description="Without a module: whether trials end early that are worse than the others' median."
    )
    seed: Seed = Field(default=1, description="Without a module: of the search and of every trial.")
    cross_validation: CrossValidation | None = Field(
        default=None, description="Without a module: scores by cross-validation; by default on the eval split."
    )

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.algorithm == "hyperband" and "epochs" in self.parameters:
            raise ValueError("parameters.epochs: expected none with hyperband, which decides on the epochs itself")
        for name, parameter in self.parameters.items():
            for value in parameter.ends:
                try:
                    Hyperparameters.from_mapping({name: value}, rows=1)
                except ConfigError as error:
                    raise ValueError(f"parameters: {error.message}") from None
            if Hyperparameters.kinds()[name] is int and parameter.step is not None and parameter.step % 1:
                raise ValueError(f"parameters.{name}.step: expected a whole number, received {parameter.step:g}")
        if self.objective is None and self.direction is not None:
            raise ValueError("direction: expected none without an objective, whose it is")
        if self.objective is not None:
            self._check_objective(self.objective)
        if self.algorithm == "grid":
            self._check_grid()
        return self

    def _check_objective(self, objective: str) -> None:
        if objective not in DIRECTIONS:
            raise ValueError(
                f"objective: the model does not measure {objective!r}; {did_you_mean(objective, DIRECTIONS)}"
            )
        better = DIRECTIONS[objective]
        if self.direction not in (None, better):
            more = "more" if better == "max" else "less"
            raise ValueError(f"direction: expected {better} or none, as {more} of {objective} is better")

    def _check_grid(self) -> None:
        total = 1
        for name, parameter in self.parameters.items():
            points = parameter.points(Hyperparameters.kinds()[name] is int)
            if points is None:
                raise ValueError(
                    f"parameters.{name}: expected a step, or values: a grid has no other points in a range"
                )
            total *= points
        if total > self.trials:
            raise ValueError(
                f"the grid has {total:,} points, more than the {self.trials:,} trials: expected trials: {total}, or "
                "algorithm: random, which takes some of them"
            )

    @property
    def divides(self) -> bool:
        """Whether rows are divided into folds by a feature of the data, which Transform may have changed."""
        return bool(self.parameters and self.cross_validation and self.cross_validation.feature)

    def check(self, has_module: bool, has_hyperparameters: bool, problem: str | None) -> None:
        """Raises a ValueError if the section does not fit the rest of the configuration."""
        if has_hyperparameters:
            raise ValueError("tuning: expected either a tuning section or training.hyperparameters, received both")
        for name in _WITHOUT_CODE if has_module else _OF_A_MODULE:
            if getattr(self, name) != type(self).model_fields[name].default:
                why = "with a module, whose tuner_fn says what is searched" if has_module else "without a module"
                raise ValueError(f"tuning.{name}: expected none {why}")
        if not has_module and not self.parameters:
            raise ValueError(
                "tuning.parameters: expected some, such as learning_rate: {min: 1e-4, max: 1e-2, scale: log}"
            )
        if problem is None:
            return
        if self.objective is not None and self.objective not in MEASURED[problem]:
            measured = ", ".join(MEASURED[problem])
            raise ValueError(f"tuning.objective: expected one of {measured} for {problem}, received {self.objective!r}")
        if problem == "regression" and self.cross_validation and self.cross_validation.method == "stratified":
            raise ValueError(
                "tuning.cross_validation.method: stratified is for classes, and training.problem is regression"
            )

    def check_service(self) -> None:
        """Raises a ValueError for a search that is none for Vertex AI's own tuning service."""
        if not self.parameters:
            raise ValueError(
                "vertex.tuning_service: it searches tuning.parameters, and a module's tuner_fn makes a search of its "
                "own: expected false"
            )
        try:
            vertex_study.check(Search.from_json(self.search()), Hyperparameters.kinds())
        except ConfigError as error:
            raise ValueError(error.message) from None

    def function(
        self, module_file: Any, tuner_fn: str, custom_config: dict[str, Any] | None, device: dict[str, str]
    ) -> dict[str, Any]:
        """Returns the Tuner's arguments that name the function, in the module file, and its custom_config.

        `custom_config` and `device`, the accelerator and the precision, are the training's.
        """
        own = self.custom_config if self.custom_config is not None else custom_config
        if not self.parameters:
            return {"module_file": module_file, "tuner_fn": tuner_fn, "custom_config": json_text(own)}
        config = {**(own or {}), "tuning": self.search() | device}
        return {"tuner_fn": TUNER_FN, "custom_config": json_text(config)}

    def search(self) -> dict[str, Any]:
        """Returns the search without code as its tuner_fn reads it (penstock.trainer.tuning.settings)."""
        others = {*_OF_A_MODULE, "parallel_trials", "workers"}
        search = self.model_dump(exclude_none=True, exclude=others)
        objective = self.objective or ""
        return {**search, "objective": objective, "direction": DIRECTIONS.get(objective, "min")}
