"""The configuration of a training pipeline: what a person writes, checked, with every default in one place.

Names are TFX's and KFP's. Paths are relative to the configuration file; `package:NAME/path` is inside an installed
package. Sections that are left out leave out their components (pipelines/training.py).
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PrivateAttr, model_validator

from penstock.core.examples.payloads import TF_SEQUENCE_EXAMPLE
from penstock.pipelines import registry
from penstock.pipelines.config import file as config_file
from penstock.pipelines.config.cleaning import Cleaning
from penstock.pipelines.config.components import (
    BulkInference,
    InfraValidation,
    Schema,
    Statistics,
    Training,
    Transform,
    Validation,
)
from penstock.pipelines.config.data import Data, Splits
from penstock.pipelines.config.engine import Engine, EngineName
from penstock.pipelines.config.evaluation import Evaluation
from penstock.pipelines.config.features import Feature
from penstock.pipelines.config.kubernetes import Kubernetes
from penstock.pipelines.config.monitoring import Monitoring
from penstock.pipelines.config.monitoring.labels import Labels
from penstock.pipelines.config.push import Push, vertex_ai
from penstock.pipelines.config.resources import ByComponent, Resources, Task
from penstock.pipelines.config.section import ExistingFile, FolderPath, Section, hidden_models, matching
from penstock.pipelines.config.servers import Kubeflow, Vertex
from penstock.pipelines.config.tuning import Tuning

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


# What only the default trainer knows, and what only a module's functions do.
HYPERPARAMETERS = ("epochs", "batch_size", "learning_rate", "patience", "class_weight", "seed")
OWN = ("problem", *HYPERPARAMETERS)
_OF_A_MODULE = {
    "training": ("run_fn", "train_steps", "eval_steps", "custom_config", "base_model"),
    "transform": ("preprocessing_fn", "stats_options_updater_fn", "custom_config"),
}
_DOTTED = "; expected a dotted path, package.module.function, or a module_file"
_INSTEAD = {"train_steps": "; expected epochs", "run_fn": _DOTTED, "preprocessing_fn": _DOTTED}


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
        description="The same as a dotted path, package.module: beside this file, or of an installed package.",
    )
    keras: Literal[2, 3] | None = Field(
        default=None,
        description="The Keras that tf.keras is for the module, 2 (tf_keras) or 3. Left out, it is the one that the "
        "module means, by what only one of them has, and else 3.",
    )
    splits: Splits | None = Field(default=None, description="Output splits, by default train 2 : eval 1.")
    cleaning: Cleaning | None = Field(
        default=None,
        description="Rules that mend the examples, or drop them, before anything is learned from them; left out, the "
        "examples stay as they are.",
    )
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
        default=Evaluation(),
        description="How the model is evaluated and when it is blessed. Left out, it is evaluated by the metrics that "
        "suit it, and never blessed; null leaves Evaluator out.",
    )
    infra_validation: InfraValidation | None = Field(
        default=InfraValidation(),
        description="How the model is tried in a model server before it is pushed; null leaves InfraValidator out.",
    )
    push: Push | None = Field(default=None, description="Where a blessed model goes.")
    monitoring: Monitoring | None = Field(
        default=None,
        description="How the requests of the model that serves are monitored: a run makes the baseline for `penstock "
        "monitor`, which makes one itself where this is left out.",
    )
    bulk_inference: BulkInference | None = Field(
        default=None, description="What a blessed model is asked about in the same run; left out, nothing."
    )
    engine_: EngineName | Engine = Field(
        default="local",
        alias="engine",
        description="What maps the heavy steps over their shards: local, a worker for each core, or local:N; spark or "
        "beam, or a section that says more of one.",
    )
    image: _Image | None = Field(
        default=None,
        description="The image of the tasks on Kubeflow, on Vertex and in Docker, with its registry and tag or digest.",
    )
    resources: ByComponent[Resources] = Field(
        default=ByComponent[Resources](), description="What the components' containers may use, by component."
    )
    tasks: ByComponent[Task] = Field(
        default=ByComponent[Task](),
        description="Retries, caching and variables of the components' tasks, by component.",
    )
    kubernetes: ByComponent[Kubernetes] | None = Field(
        default=None, description="What only Kubeflow knows of the components' pods, by component."
    )
    kubeflow: Kubeflow = Field(default=Kubeflow(), description="The Kubeflow Pipelines server that runs are sent to.")
    vertex: Vertex = Field(default=Vertex(), description="The project on Vertex AI that runs are sent to.")
    lint: Lint = Field(default=Lint(), description="What the checks of the compiled pipeline let pass.")
    pipeline_root: FolderPath = Field(description="The folder of all runs. By default runs/<name> beside this file.")
    _folder: Path = PrivateAttr(default=Path())

    def model_post_init(self, context: Any) -> None:
        self._folder = Path((context or {}).get("folder", Path())).absolute()

    @model_validator(mode="before")
    @classmethod
    def _trains(cls, values: Any) -> Any:
        """Data and a label are enough: then the default trainer trains, unless `training` says otherwise."""
        if not isinstance(values, dict) or "training" in values or not values.get("label"):
            return values
        return values if values.get("module_file") or values.get("module_path") else values | {"training": {}}

    @model_validator(mode="before")
    @classmethod
    def _pushes(cls, values: Any) -> Any:
        return vertex_ai.fill(values)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.module_file and self.module_path:
            raise ValueError("expected either module_file or module_path, received both")
        reason = hidden_models(self.pipeline_root)
        if reason and (self.training or self.module):
            raise ValueError(f"pipeline_root: {reason}")
        if self.training and not self.module and not self.label:
            raise ValueError("training: expected a label to predict, or a module_file (or module_path) with run_fn")
        if self.keras == 2 and self.without_code:
            raise ValueError("keras: 2 is for a module: the model without code is one of Keras 3")
        _check_without_code(self)
        for name in ("tuning", "evaluation", "push", "bulk_inference", "monitoring"):
            if name in self.model_fields_set and getattr(self, name) and not self.training:
                raise ValueError(f"{name}: there is no model: expected a training section")
        if self.push and self.evaluation and self.evaluation.blesses_none:
            raise ValueError(
                "evaluation.eval_config: no metric has a threshold, so no model is ever blessed, and none is pushed: "
                "give one a threshold, or leave out push"
            )
        if self.tuning and self.training:
            self.tuning.check(bool(self.module), bool(self.training.hyperparameters), self.training.problem)
            if self.vertex.tuning_service:
                self.tuning.check_service()
        self._check_monitoring()
        if self.cleaning:
            self._check_cleaning(self.cleaning)
        if self.data.splits and self.splits:
            raise ValueError("splits: expected either data.splits or splits: data that comes in splits keeps them")
        if self.splits and self.splits.stratify and not self.label:
            raise ValueError("splits.stratify: expected a label, by whose classes the rows are divided")
        self._check_splits()
        return self

    @property
    def monitoring_service(self) -> dict[str, Any] | None:
        """The service that watches the pushed model's endpoint by itself, as ModelMonitor takes it; None without."""
        service = self.monitoring and self.monitoring.vertex_ai
        push = self.push and self.push.vertex_ai
        return service.service(push, self.monitoring.window) if self.monitoring and service and push else None

    def _check_cleaning(self, cleaning: Cleaning) -> None:
        try:
            cleaning.check(self.label or "")
        except ValueError as error:
            raise ValueError(f"cleaning.{error}") from None
        if self.data.payload_format == TF_SEQUENCE_EXAMPLE:
            raise ValueError("cleaning: rules clean the columns of tf.Examples, which tf.SequenceExamples have not")

    def _check_monitoring(self) -> None:
        service, push = self.monitoring and self.monitoring.vertex_ai, self.push and self.push.vertex_ai
        if service and not push:
            raise ValueError("monitoring.vertex_ai: there is no endpoint to monitor: expected push.vertex_ai")
        if service and push:
            service.check_attributions(push)

    @property
    def engine(self) -> str:
        """What maps the heavy steps over their shards, as components are told."""
        return self.engine_ if isinstance(self.engine_, str) else self.engine_.parameter

    @property
    def folder(self) -> Path:
        """The project: the folder of the configuration file, from which modules can be imported."""
        return self._folder

    @property
    def module(self) -> str | None:
        """The user's module with the run_fn, a path or a dotted path; None for the model without code."""
        settings = self.training or Training()
        return settings.module_file or settings.run_fn.rpartition(".")[0] or self.module_file or self.module_path

    @property
    def without_code(self) -> bool:
        """Whether the default trainer makes the model."""
        return self.training is not None and not self.module

    @property
    def tries_servers(self) -> bool:
        """Whether the model is tried in a model server: one that is to be pushed, or where a person asks for it."""
        asked = self.push or "infra_validation" in self.model_fields_set
        return bool(self.training and self.infra_validation and asked)

    @property
    def split_names(self) -> list[str]:
        """The names of the splits that the examples have."""
        if len(self.data.splits) > 1:
            return list(self.data.splits)
        return list((self.splits or Splits()).hash_buckets)

    @property
    def evaluated_splits(self) -> list[str]:
        """The splits that the model is evaluated on: by default one that training does not see, if there is any."""
        training = self.training or Training()
        if self.evaluation and self.evaluation.splits:
            return self.evaluation.splits
        unseen = [name for name in self.split_names if name not in (*training.train_splits, *training.eval_splits)]
        return ["test"] if "test" in unseen else unseen[:1] or training.eval_splits

    @property
    def baseline_arguments(self) -> dict[str, Any]:
        """What ModelMonitor is told beside artifacts, in a pipeline and by `penstock monitor`."""
        settings, training = self.monitoring or Monitoring(), self.training or Training()
        return {
            "label": self.label or "",
            "train_splits": training.train_splits,
            "eval_splits": self.evaluated_splits,
            "thresholds": settings.thresholds_json,
            "false_alarm_rate": settings.false_alarm_rate,
            "window_rows": settings.window_rows,
        }

    def window_arguments(self, labels: str = "") -> dict[str, Any]:
        """What WindowMonitor is told beside the window, in a pipeline and by `penstock monitor`.

        labels: Files with labels, in place of the configuration's.
        """
        settings = self.monitoring or Monitoring()
        known = settings.labels
        if labels:
            known = known.model_copy(update={"files": labels}) if known else Labels(files=labels)
        csv = self.data.csv_options(self.without_code)
        return {
            "instances": settings.instances.settings,
            "labels": known.source(csv) if known else "",
            "performance": settings.performance_json,
            "drift": settings.drift_window,
        }

    @property
    def compares_models(self) -> bool:
        """Whether the model is compared with the newest blessed one: without an evaluation section none is blessed."""
        return bool(self.training and self.evaluation and "evaluation" in self.model_fields_set)

    @property
    def retrains(self) -> bool:
        """Whether monitored windows lead to retrainings: then the model is compared with the one that serves."""
        return bool(self.monitoring and self.monitoring.retraining)

    @property
    def pushes_any(self) -> str:
        """A sentence if a retrained model is pushed however good it is; else ""."""
        if not self.retrains or not self.push or self.gates:
            return ""
        return (
            "monitoring.retraining: evaluation has no threshold, so a retrained model is pushed however good it is: "
            "give it one, such as {min: 0.8, change: {absolute: -0.01}}"
        )

    @property
    def gates(self) -> bool:
        """Whether the Evaluator decides what is pushed."""
        return bool(self.training and self.evaluation and self.evaluation.has_thresholds)

    @property
    def idle_settings(self) -> str:
        """A sentence that names settings of components that the pipeline does not have; "" if there are none."""
        there = {"latest_blessed_model": self.compares_models, "evaluator": self.training is not None}
        without = [
            entry
            for entry in registry.COMPONENTS
            if getattr(self, entry.section, None) is None or not there.get(entry.name, True)
        ]
        sections = {"resources": self.resources, "tasks": self.tasks, "kubernetes": self.kubernetes}
        idle = {
            f"{section}.{entry.name}": entry.section
            for section, settings in sections.items()
            for entry in without
            if settings and getattr(settings, entry.name) is not None
        }
        if not idle:
            return ""
        missing = ", ".join(dict.fromkeys(filter(None, idle.values())))
        left_out = f"; sections that are left out: {missing}" if missing else ""
        return f"{', '.join(idle)}: the pipeline has no such task{left_out}"

    def _check_splits(self) -> None:
        used: list[tuple[str, Iterable[str]]] = [("statistics.exclude_splits", self.statistics.exclude_splits)]
        if self.validation:
            used.append(("validation.exclude_splits", self.validation.exclude_splits))
        if self.transform and (self.module or self.training):
            used += [("transform.analyze", self.transform.analyze), ("transform.transform", self.transform.transform)]
        if self.training:
            used += [("training.train_splits", self.training.train_splits)]
            used += [("training.eval_splits", self.training.eval_splits)]
        if self.evaluation and self.training:
            used.append(("evaluation.splits", self.evaluated_splits))
        if self.infra_validation and self.infra_validation.split_name:
            used.append(("infra_validation.split_name", [self.infra_validation.split_name]))
        if self.bulk_inference:
            used.append(("bulk_inference.data_spec.example_splits", self.bulk_inference.data_spec.example_splits))
        for key, names in used:
            for name in names:
                if name not in self.split_names:
                    raise ValueError(f"{key}: no split {name!r}: expected one of {', '.join(self.split_names)}")


def _check_without_code(config: Config) -> None:
    """Raises a ValueError for keys of a module's functions without a module, and of the default trainer with one."""
    own = [f"training.{key}" for key in OWN if config.training and getattr(config.training, key) is not None]
    own += ["features"] if config.features else []
    if not config.without_code:
        if own and config.module:
            raise ValueError(
                f"{own[0]}: it is for the model without code, and there is a {_module(config)}: expected one or the "
                "other; run_fn and preprocessing_fn get custom_config"
            )
        if own:
            raise ValueError(f"{own[0]}: there is no model: expected a label to predict")
        return
    if config.transform and config.transform.own_module:
        raise ValueError(
            f"transform.{config.transform.own_module}: there is no run_fn, which trains on what it makes: expected a "
            "dotted path as training.run_fn, or training.module_file; training: null stops after Transform"
        )
    for section, keys in _OF_A_MODULE.items():
        settings = getattr(config, section)
        for key in keys:
            if settings is not None and getattr(settings, key) != type(settings).model_fields[key].default:
                instead = _INSTEAD.get(key, "")
                raise ValueError(f"{section}.{key}: there is no module_file whose function it is for{instead}")
    if config.data.payload_format == TF_SEQUENCE_EXAMPLE:
        raise ValueError(
            "data.payload_format: the model without code takes tf.Examples: expected a module_file with run_fn, which "
            "says what is made of the sequences"
        )
    if config.transform is None:
        raise ValueError("transform: the model without code needs it: expected no null, or a module_file with run_fn")
    if not config.transform.materialize:
        raise ValueError("transform.materialize: the model without code is trained on transformed examples")
    if config.transform.analyze[0] in config.statistics.exclude_splits:
        raise ValueError(
            f"statistics.exclude_splits: the model without code is made of {config.transform.analyze[0]}'s"
        )
    if config.training and config.training.problem == "regression" and config.training.class_weight:
        raise ValueError("training.class_weight: expected none for a regression, which has no classes")
    if config.label in config.features:
        raise ValueError(f"features.{config.label}: it is the label; training.problem says what kind it is")


def _module(config: Config) -> str:
    return "module_file" if config.module_file else "module_path"


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
