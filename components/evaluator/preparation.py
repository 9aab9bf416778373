"""What is to be evaluated: the artifacts, and what is decided about them before any example is read."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from tensorflow_metadata.proto.v0.schema_pb2 import Schema
from tensorflow_model_analysis.proto.config_pb2 import EvalConfig

from penstock.components.evaluator import checks, labels
from penstock.components.evaluator import eval_config as eval_configs
from penstock.components.evaluator import models as evaluated_models
from penstock.components.evaluator.models import EvaluatedModel
from penstock.components.evaluator.trivial.margins import Margin
from penstock.core import artifacts, user_modules
from penstock.core.errors import DataError, ModelError
from penstock.core.examples import records
from penstock.core.examples.payloads import PayloadFormat


@dataclass(frozen=True)
class Inputs:
    """The artifacts to evaluate, and what a person says of them; the baseline is None if there is none."""

    data: artifacts.Examples
    splits: list[str]
    trained_on: list[str]  # the splits that the model has learnt from, whose labels teach the trivial one
    payload_format: PayloadFormat
    schema: Schema | None
    label: str
    margins: list[Margin]
    candidate: Path
    baseline: Path | None
    module: ModuleType | None  # the user's
    importance_rows: int | None


@dataclass(frozen=True)
class Evaluation:
    """What is evaluated, and the folder for TFMA's results."""

    config: EvalConfig
    schema: Schema | None
    folders: dict[str, str]  # of the SavedModels, by the name of their model_spec
    models: Sequence[EvaluatedModel]  # what these say of themselves; none where a module customizes the evaluation
    labels: list[str]  # if not empty, nothing else is taken from the features that models transform
    module: ModuleType | None
    splits: list[str]
    files: list[Path]
    output: str
    payload_format: PayloadFormat
    margins: list[Margin]
    trained_on: list[str]
    train_files: list[Path]  # if there are margins
    sampled: dict[str, list[Path]]  # the files of each split, the evaluated ones first
    importance_rows: int | None

    @property
    def candidate(self) -> EvaluatedModel:
        """The model that is evaluated, in a case that no module customizes."""
        return next(model for model in self.models if not model.spec.is_baseline)


def prepare(inputs: Inputs, config: EvalConfig, output: str) -> Evaluation:
    """Checks that everything fits, and decides what the EvalConfig leaves open.

    Raises a ConfigError or ModelError for what does not fit, a DataError for a split that is missing or empty.
    """
    is_customized = defines(inputs.module, "custom_eval_shared_model", "custom_extractors")
    if not config.metrics_specs and not is_customized:
        config.metrics_specs.add()  # for the metrics that suit
    config = eval_configs.complete(config, has_baseline=inputs.baseline is not None)
    folders = _folders(config, inputs.candidate, inputs.baseline)
    if not defines(inputs.module, "custom_eval_shared_model"):
        evaluated_models.require_saved_models(config, folders)
    models = () if is_customized else evaluated_models.read(config, folders)
    decided = labels.decide(models, inputs.schema, inputs.label)
    decided += labels.transformed(models, config, inputs.schema)
    checks.check(config, models, inputs.schema, inputs.module)
    return Evaluation(
        config,
        inputs.schema,
        folders,
        models,
        decided,
        inputs.module,
        inputs.splits,
        _files(inputs, inputs.splits, "evaluate on"),
        output,
        inputs.payload_format,
        inputs.margins,
        inputs.trained_on,
        _files(inputs, inputs.trained_on, "learn from") if inputs.margins else [],
        {split: inputs.data.files(split) for split in dict.fromkeys([*inputs.splits, *inputs.data.splits()])},
        inputs.importance_rows,
    )


def defines(module: ModuleType | None, *names: str) -> bool:
    """Whether there is a module with one of these functions."""
    return module is not None and any(user_modules.optional_function(module, name) for name in names)


def _files(inputs: Inputs, splits: Sequence[str], purpose: str) -> list[Path]:
    inputs.data.require_splits(splits)
    files = [path for split in splits for path in inputs.data.files(split)]
    if not records.any_record(files, inputs.payload_format):
        raise DataError(f"split {', '.join(splits)} has no examples to {purpose}")
    return files


def _folders(config: EvalConfig, candidate: Path, baseline: Path | None) -> dict[str, str]:
    """Returns the folder of the model for each of the config's model_specs, by its name."""
    folders = {}
    for spec in config.model_specs:
        path = baseline if spec.is_baseline else candidate
        if path is None:
            raise ModelError(f"eval_config: model {spec.name!r} is a baseline, but there is no baseline model")
        folders[spec.name] = str(path)
    return folders
