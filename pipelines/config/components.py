"""The sections of the components: what each of them is told."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from penstock.core.errors import ConfigError
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
    Quantity,
    Section,
    Seed,
    Whole,
    json_text,
    matching,
)

_BUDGETS = ("latency_p50_ms", "latency_p95_ms", "memory", "cold_start_seconds")
_OWN_MODULE = "The Python file with the function, where it is another than the pipeline's module_file."
ModelUrl = Annotated[
    str,
    matching(
        r"^https?://[^/@?#]+(/[^?#]*)?/v[12]/models/[^/?#]+(/versions/[0-9]+)?/?$",
        "a model's URL, such as http://host:8501/v1/models/NAME or http://host:8080/v2/models/NAME",
    ),
]


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


class DataSpec(Section):
    """Which of the examples the model is asked about."""

    example_splits: list[SplitName] = Field(default=[], description="Their splits, by default all of them.")


class ModelSpec(Section):
    """What of the model is asked."""

    model_signature_name: list[str] = Field(
        default=[],
        description="Signatures, by default serving_default; several must be of the methods classify or regress.",
    )
    tag: list[str] = Field(default=[], description="The tags of the model's graph, by default serve.")


class BulkInference(Section):
    """What the model is asked about once it is trained and, where there are thresholds, blessed; as TFX's messages."""

    data_spec: DataSpec = Field(default=DataSpec(), description="Which of the examples it is asked about.")
    model_spec: ModelSpec = Field(default=ModelSpec(), description="What of the model is asked.")
    output_example_spec: dict[str, Any] | None = Field(
        default=None,
        description="For examples with its answers in columns, in place of PredictionLogs: for each signature the "
        "columns that its outputs become, as in TFX's OutputExampleSpec.",
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        from penstock.components.bulk_inferrer import specs

        arguments = self.arguments()
        try:
            signatures = specs.read_model_spec(arguments["model_spec"]).signatures
            specs.output_columns(arguments["output_example_spec"], signatures)
        except ConfigError as error:
            raise ValueError(error.message) from None
        return self

    def arguments(self) -> dict[str, str]:
        """Returns the component's arguments."""
        return {
            "data_spec": json_text(self.data_spec.model_dump()),
            "model_spec": json_text(self.model_spec.model_dump()),
            "output_example_spec": json_text(self.output_example_spec),
        }


class InfraValidation(Section):
    """How a model is tried in a model server before it is pushed, and what the server may need."""

    split_name: SplitName | None = Field(
        default=None, description="The split whose examples the server is asked about, by default eval."
    )
    num_examples: Annotated[int, Field(ge=0, le=1000), NO_BOOL] = Field(
        default=20, description="How many examples; 0 only loads the model."
    )
    signature_names: list[str] = Field(
        default=[], description="The signatures that are asked, by default serving_default."
    )
    make_warmup: bool = Field(
        default=True,
        description="Whether the pushed model has these examples as warm-up requests, which model servers ask first.",
    )
    max_loading_time_seconds: PositiveWhole = Field(default=300, description="In how many seconds it must be ready.")
    num_tries: PositiveWhole = Field(default=5, description="How often it is tried where that may help.")
    latency_p50_ms: PositiveNumber | None = Field(
        default=None, description="Within how many milliseconds half of the single rows must be answered."
    )
    latency_p95_ms: PositiveNumber | None = Field(default=None, description="And within how many 95 % of them.")
    memory: Quantity | None = Field(default=None, description="Memory that the server's process may have, such as 2Gi.")
    cold_start_seconds: PositiveNumber | None = Field(
        default=None, description="In how many seconds from its start the server must be ready, imports included."
    )
    server_url: ModelUrl | None = Field(
        default=None,
        description="The model's URL in a server that runs already, in place of Penstock's own: "
        "http://host:8501/v1/models/NAME or http://host:8080/v2/models/NAME.",
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for name in ("memory", "cold_start_seconds"):
            if self.server_url and getattr(self, name):
                raise ValueError(f"{name}: of a server_url only latencies are measured")
        for name in ("latency_p50_ms", "latency_p95_ms"):
            if not self.num_examples and getattr(self, name):
                raise ValueError(f"{name}: expected num_examples to be 1 or more: nothing is asked without them")
        return self

    def arguments(self, splits: Sequence[str]) -> dict[str, str]:
        """Returns the component's arguments, where the examples have these splits."""
        split = self.split_name or ("eval" if "eval" in splits else splits[0])
        request = {
            "tensorflow_serving": {"signature_names": self.signature_names},
            "split_name": split,
            "num_examples": self.num_examples,
            "make_warmup": self.make_warmup,
        }
        budgets = self.model_dump(include=set(_BUDGETS), exclude_none=True)
        return {
            "request_spec": json_text(request if self.num_examples else None),
            "validation_spec": json_text(self.model_dump(include={"max_loading_time_seconds", "num_tries"})),
            "budgets": json_text(budgets or None),
            "server_url": self.server_url or "",
        }
