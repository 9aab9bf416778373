"""The model without code: the functions of the default trainer, and what they are told."""

from collections.abc import Mapping
from typing import Any

from penstock.pipelines.config.training_pipeline import HYPERPARAMETERS, Config
from penstock.trainer.plan.output_names import OutputNames

PREPROCESSING_FN = "penstock.trainer.default.preprocessing_fn"
RUN_FN = "penstock.trainer.default.run_fn"


def transform_config(config: Config) -> dict[str, Any]:
    """Returns the custom_config of the default preprocessing_fn: what decides how columns are transformed."""
    features = {name: feature.model_dump(exclude_defaults=True) for name, feature in config.features.items()}
    settings = {"features": features, "problem": config.training and config.training.problem}
    return {"label": config.label} | {key: value for key, value in settings.items() if value}


def trainer_config(config: Config) -> dict[str, Any]:
    """Returns the custom_config of the default run_fn."""
    training = config.training.model_dump(include=set(HYPERPARAMETERS), exclude_none=True) if config.training else {}
    split = config.transform.analyze[0] if config.transform else "train"
    return transform_config(config) | {"split": split} | ({"training": training} if training else {})


def transformed_label(config: Config) -> str | None:
    """Returns the label's name in what the default preprocessing_fn makes."""
    if not config.without_code or config.label is None:
        return None
    return OutputNames()(config.label)  # the plan gives the label its name first


def is_trained(spec: Mapping[str, Any]) -> bool:
    """Whether a compiled pipeline trains the model without code, which no step counts: it trains by epochs."""
    tasks = ((spec["root"].get("dag") or {}).get("tasks") or {}).values()
    functions = (((task.get("inputs") or {}).get("parameters") or {}).get("run_fn") or {} for task in tasks)
    return any((function.get("runtimeValue") or {}).get("constant") == RUN_FN for function in functions)
