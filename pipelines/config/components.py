"""The sections of the components: what each of them is told."""

from typing import Annotated, Any, Literal

from pydantic import Field

from penstock.core.labels import Problem
from penstock.pipelines.config.data import SplitName
from penstock.pipelines.config.section import (
    FUNCTION,
    NO_BOOL,
    ExistingFile,
    ExistingModel,
    ExistingPath,
    FunctionName,
    PositiveNumber,
    PositiveWhole,
    Section,
    Seed,
    Whole,
)

_OWN_MODULE = "The Python file with the function, where it is another than the pipeline's module_file."


class Schema(Section):
    """The schema: inferred from the training data, or a curated file."""

    file: ExistingFile | None = Field(default=None, description="A schema.pbtxt to use instead of an inferred schema.")
    infer_feature_shape: bool = Field(
        default=True, description="Whether features that are always there get a fixed shape."
    )


class Statistics(Section):
    """How statistics are computed."""

    sample_rate: Annotated[float, Field(gt=0, le=1), NO_BOOL] | None = Field(
        default=None, description="The share of the examples to look at."
    )
    exclude_splits: list[SplitName] = Field(default=[], description="Splits without statistics.")
    stats_options: dict[str, Any] = Field(default={}, description="More options of tfdv.StatsOptions.")


class Validation(Section):
    """What happens with anomalies, and which statistics the data is compared with."""

    fail_on_anomalies: bool = Field(
        default=False, description="Whether anomalies end the run before anything is trained."
    )
    exclude_splits: list[SplitName] = Field(default=[], description="Splits that are not validated.")
    previous_statistics: ExistingPath | None = Field(
        default=None, description="Statistics of an earlier span, for the schema's drift comparators."
    )
    serving_statistics: ExistingPath | None = Field(
        default=None, description="Statistics of serving data, for the schema's skew comparators."
    )


class Transform(Section):
    """How the module's preprocessing_fn is applied."""

    module_file: ExistingFile | None = Field(default=None, description=_OWN_MODULE)
    preprocessing_fn: FunctionName = Field(default="preprocessing_fn", description=FUNCTION)
    stats_options_updater_fn: str | None = Field(
        default=None, description="The name of the updater, if the module has one."
    )
    analyze: list[SplitName] = Field(default=["train"], min_length=1, description="Splits that analyzers learn from.")
    transform: list[SplitName] = Field(default=[], description="Splits that are transformed, by default all of them.")
    materialize: bool = Field(default=True, description="Whether transformed examples are written, and trained on.")
    custom_config: dict[str, Any] | None = Field(default=None, description="The preprocessing_fn's custom_config.")
    analyzer_cache: ExistingPath | None = Field(
        default=None, description="An updated_analyzer_cache of an earlier run."
    )
    disable_analyzer_cache: bool = Field(default=False, description="Whether no analyzer cache is read or written.")
    disable_statistics: bool = Field(
        default=False, description="Whether pre- and post-transform statistics are left out."
    )

    @property
    def own_module(self) -> str:
        """The key that names a module for Transform alone; "" if none does."""
        if self.module_file:
            return "module_file"
        return "preprocessing_fn" if "." in self.preprocessing_fn else ""


class Training(Section):
    """How the module's run_fn is called, or, without a module, what the default trainer does."""

    module_file: ExistingFile | None = Field(default=None, description=_OWN_MODULE)
    run_fn: FunctionName = Field(default="run_fn", description=FUNCTION)
    train_steps: Whole = Field(default=0, description="FnArgs.train_steps; 0 leaves it to run_fn.")
    eval_steps: Whole = Field(default=0, description="FnArgs.eval_steps; 0 leaves it to run_fn.")
    train_splits: list[SplitName] = Field(default=["train"], min_length=1, description="Splits that train_files hold.")
    eval_splits: list[SplitName] = Field(default=["eval"], min_length=1, description="Splits that eval_files hold.")
    custom_config: dict[str, Any] | None = Field(default=None, description="FnArgs.custom_config.")
    accelerator: Literal["none", "preferred", "required"] = Field(
        default="preferred",
        description="preferred: a GPU if there is one and a step on it works, else the processor; required: fails "
        "where there is none; none: the processor.",
    )
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto",
        description="Keras's dtype policy; auto leaves a module's model as it is, and is for the default model what "
        "the device is best at.",
    )
    workers: PositiveWhole = Field(
        default=1,
        description="Machines that train one model together, each with resources.trainer; on this machine one does.",
    )
    hyperparameters: ExistingFile | None = Field(
        default=None, description="A JSON file, read into FnArgs.hyperparameters."
    )
    base_model: ExistingModel | None = Field(
        default=None, description="A Model artifact to start from: FnArgs.base_model."
    )
    problem: Problem | None = Field(
        default=None, description="Without a module: what kind of label it is, by default as its values say."
    )
    epochs: PositiveWhole | None = Field(
        default=None, description="Without a module: passes over the data at most, by default as many as suit its rows."
    )
    batch_size: PositiveWhole | None = Field(
        default=None, description="Without a module: rows of a step, by default as many as suit the data's rows."
    )
    learning_rate: PositiveNumber | None = Field(
        default=None, description="Without a module: the peak of the learning rate, by default 0.003."
    )
    patience: Whole | None = Field(
        default=None,
        description="Without a module: epochs without a better eval result, after which training stops; 0: never.",
    )
    class_weight: Annotated[float, Field(ge=0, le=1), NO_BOOL] | None = Field(
        default=None,
        description="Without a module: from 0, all rows weigh the same, to 1, all classes do, by default 0.5.",
    )
    seed: Seed | None = Field(
        default=None, description="Without a module: of the weights and the order of the rows, by default 1."
    )
