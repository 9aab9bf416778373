"""The configuration of a training pipeline: what a person writes, checked, with every default in one place.

Names are TFX's and KFP's. Paths are relative to the configuration file; `package:NAME/path` is inside an installed
package. Sections that are left out leave out their components (pipelines/training.py).
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from penstock.pipelines.config import file as config_file
from penstock.pipelines.config.data import Data, SplitName, Splits
from penstock.pipelines.config.evaluation import Evaluation
from penstock.pipelines.config.features import Feature
from penstock.pipelines.config.resources import ByComponent, Kubeflow, Kubernetes, Resources, Vertex
from penstock.pipelines.config.section import (
    NO_BOOL,
    AnyPath,
    ExistingFile,
    ExistingPath,
    PositiveNumber,
    PositiveWhole,
    Section,
    Seed,
    Whole,
    matching,
)
from penstock.pipelines.config.tuning import Tuning
from penstock.pipelines.modules import default_trainer as without_code

SCHEMA_FILE = Path(__file__).with_name("config.schema.json")
FILLED = ("name", "pipeline_root")  # what `load` fills in where a person leaves it out
_Name = Annotated[
    str, matching(r"^[a-z0-9][a-z0-9-]{0,127}$", "small letters, digits and dashes, a dash not first, 128 at most")
]
_ModulePath = Annotated[
    str, matching(r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$", "a dotted path, such as package.module; a file is a module_file")
]
_Image = Annotated[
    str,
    matching(
        r"^([A-Za-z0-9.-]+(:[0-9]+)?/)?[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*"
        r"(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@[a-z0-9]+:[0-9a-f]{32,})?$",
        "an image's name with its tag or digest, such as registry.example.com/team/penstock-python:1.0",
    ),
]
_Allowed = Annotated[
    str, matching(r"^[a-z0-9-]+(:.+)?$", "a rule's id, such as plain-secret, or plain-secret:NAME for one finding")
]
_Engine = Annotated[str, matching(r"^local(:[1-9][0-9]*)?$", "local or, with N workers, local:N, such as local:4")]


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

    preprocessing_fn: str = Field(default="preprocessing_fn", description="The name of the function in the module.")
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


class Training(Section):
    """How the module's run_fn is called, or, without a module, what the default trainer does."""

    run_fn: str = Field(default="run_fn", description="The name of the function in the module.")
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
    base_model: ExistingPath | None = Field(
        default=None, description="A Model artifact to start from: FnArgs.base_model."
    )
    problem: Literal["binary", "multiclass", "regression"] | None = Field(
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


class Push(Section):
    """Where a blessed model goes."""

    directory: AnyPath = Field(description="The folder that gets a version, <unix seconds>/, for each pushed model.")


class Lint(Section):
    """What the checks of the compiled pipeline let pass."""

    allow: list[_Allowed] = Field(
        default=[], description="Findings to let pass: RULE or RULE:NAME, as they stand in [] at a finding's end."
    )


class Config(Section):
    """A training pipeline."""

    name: _Name = Field(
        description="The pipeline's name: small letters, digits and dashes. By default the name of the file, or of its "
        "folder if it is pipeline.yaml.",
    )
    data: Data = Field(description="Where the data is and how it is written.")
    label: str | None = Field(
        default=None, description="The feature to predict: absent from requests, so from SERVING."
    )
    features: dict[str, Feature] = Field(
        default={}, description="Without a module: what columns are, by name, where the rules are to be overridden."
    )
    module_file: ExistingFile | None = Field(
        default=None,
        description="The Python file with run_fn and, for Transform, preprocessing_fn: TFX's module file. Without one "
        "the default trainer makes both from the data.",
    )
    module_path: _ModulePath | None = Field(
        default=None,
        description="The same as a dotted path: package.module.",
    )
    splits: Splits | None = Field(default=None, description="Output splits, by default train 2 : eval 1.")
    schema_: Schema = Field(default=Schema(), alias="schema", description="The schema: inferred, or a curated file.")
    statistics: Statistics = Field(default=Statistics(), description="How statistics are computed.")
    validation: Validation | None = Field(
        default=Validation(), description="Anomalies; null leaves ExampleValidator out."
    )
    transform: Transform | None = Field(
        default=Transform(), description="Transform; null leaves it out, as does a module without a preprocessing_fn."
    )
    training: Training | None = Field(
        default=None,
        description="How the model is trained. Left out, the default trainer trains where there is a label and no "
        "module; null trains nothing.",
    )
    tuning: Tuning | None = Field(
        default=None, description="How the best hyperparameters are searched for; left out, none are."
    )
    evaluation: Evaluation | None = Field(
        default=None, description="How the model is evaluated and when it is blessed."
    )
    push: Push | None = Field(default=None, description="Where a blessed model goes.")
    engine: _Engine = Field(
        default="local",
        description="What maps the heavy steps over their shards: local, a worker for each core, or local:N.",
    )
    image: _Image | None = Field(
        default=None,
        description="The image of the tasks on Kubeflow, on Vertex and in Docker, with its registry and tag or digest.",
    )
    resources: ByComponent[Resources] = Field(
        default=ByComponent[Resources](), description="What the components' containers may use, by component."
    )
    kubernetes: ByComponent[Kubernetes] | None = Field(
        default=None, description="What only Kubeflow knows of the components' pods, by component."
    )
    kubeflow: Kubeflow = Field(default=Kubeflow(), description="The Kubeflow Pipelines server that runs are sent to.")
    vertex: Vertex = Field(default=Vertex(), description="The project on Vertex AI that runs are sent to.")
    lint: Lint = Field(default=Lint(), description="What the checks of the compiled pipeline let pass.")
    pipeline_root: AnyPath = Field(description="The folder of all runs. By default runs/<name> beside this file.")

    @model_validator(mode="before")
    @classmethod
    def _trains(cls, values: Any) -> Any:
        """Data and a label are enough: then the default trainer trains, unless `training` says otherwise."""
        if not isinstance(values, dict) or "training" in values or not values.get("label"):
            return values
        return values if values.get("module_file") or values.get("module_path") else values | {"training": {}}

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.module_file and self.module_path:
            raise ValueError("expected either module_file or module_path, received both")
        if self.training and not self.module and not self.label:
            raise ValueError("training: expected a label to predict, or a module_file (or module_path) with run_fn")
        without_code.check(self)
        for name in ("tuning", "evaluation", "push"):
            if getattr(self, name) and not self.training:
                raise ValueError(f"{name}: there is no model: expected a training section")
        if self.tuning and self.training:
            self.tuning.check(bool(self.module), bool(self.training.hyperparameters), self.training.problem)
            if self.vertex.tuning_service:
                self.tuning.check_service()
        if self.push and self.evaluation and not self.evaluation.has_thresholds:
            raise ValueError(
                "evaluation: no model is blessed, nor pushed, without thresholds, such as {auc: {min: 0.6}}"
            )
        if self.data.splits and self.splits:
            raise ValueError("splits: expected either data.splits or splits: data that comes in splits keeps them")
        self._check_splits()
        return self

    @property
    def module(self) -> str | None:
        return self.module_file or self.module_path

    @property
    def without_code(self) -> bool:
        """Whether the default trainer makes the model."""
        return self.training is not None and not self.module

    @property
    def split_names(self) -> list[str]:
        """The names of the splits that the examples have."""
        if len(self.data.splits) > 1:
            return list(self.data.splits)
        return list((self.splits or Splits()).hash_buckets)

    def _check_splits(self) -> None:
        used: list[tuple[str, Iterable[str]]] = [("statistics.exclude_splits", self.statistics.exclude_splits)]
        if self.validation:
            used.append(("validation.exclude_splits", self.validation.exclude_splits))
        if self.transform and (self.module or self.training):
            used += [("transform.analyze", self.transform.analyze), ("transform.transform", self.transform.transform)]
        if self.training:
            used += [("training.train_splits", self.training.train_splits)]
            used += [("training.eval_splits", self.training.eval_splits)]
        if self.evaluation:
            used.append(("evaluation.splits", self.evaluation.splits or ["eval"]))
        for key, names in used:
            for name in names:
                if name not in self.split_names:
                    raise ValueError(f"{key}: no split {name!r}: expected one of {', '.join(self.split_names)}")


def load(path: Path, assignments: Iterable[str] = (), values: Iterable[tuple[str, Any, str]] = ()) -> Config:
    """Reads a configuration; a ConfigError tells what is wrong and where.

    `assignments` (`key.key=value`) override what the file holds, and so do `values`: a key, its value, and what a
    message calls the place it is from.
    """
    document = config_file.read(path)
    config_file.override(document, assignments)
    for key, value, place in values:
        config_file.assign(document, key.split("."), value, place)
    folder = path.absolute().parent
    own = folder.name if path.stem == "pipeline" else path.stem  # so that two files in a folder are two pipelines
    document.values.setdefault("name", re.sub(r"[^a-z0-9]+", "-", own.lower()).strip("-") or "pipeline")
    document.values.setdefault("pipeline_root", f"runs/{document.values['name']}")
    return config_file.validate(document, Config, folder)


def json_schema() -> dict[str, Any]:
    """Returns the JSON Schema of a configuration file, which editors complete from."""
    schema = Config.model_json_schema(by_alias=True, mode="validation")
    schema["required"] = [name for name in schema["required"] if name not in FILLED]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA_FILE.name, **schema}


if __name__ == "__main__":  # writes the committed file anew
    SCHEMA_FILE.write_text(json.dumps(json_schema(), indent=1) + "\n", encoding="utf-8")
