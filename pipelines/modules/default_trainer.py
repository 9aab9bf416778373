"""The model without code: the functions of the default trainer, what they are told, and what does not go with them."""

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock.pipelines.config.training_pipeline import Config

PREPROCESSING_FN = "penstock.trainer.default.preprocessing_fn"
RUN_FN = "penstock.trainer.default.run_fn"
# What only the default trainer knows, and what only a module's functions do.
_HYPERPARAMETERS = ("epochs", "batch_size", "learning_rate", "patience", "class_weight", "seed")
OWN = ("problem", *_HYPERPARAMETERS)
_OF_A_MODULE = {
    "training": ("run_fn", "train_steps", "eval_steps", "custom_config", "base_model"),
    "transform": ("preprocessing_fn", "stats_options_updater_fn", "custom_config"),
}


def check(config: "Config") -> None:
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
    for section, keys in _OF_A_MODULE.items():
        given = getattr(config, section)
        for key in keys:
            if given is not None and getattr(given, key) != type(given).model_fields[key].default:
                instead = "; expected epochs" if key == "train_steps" else ""
                raise ValueError(f"{section}.{key}: there is no module_file whose function it is for{instead}")
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


def transform_config(config: "Config") -> dict[str, Any]:
    """Returns the custom_config of the default preprocessing_fn: what decides how columns are transformed."""
    features = {name: feature.model_dump(exclude_defaults=True) for name, feature in config.features.items()}
    given = {"features": features, "problem": config.training and config.training.problem}
    return {"label": config.label} | {key: value for key, value in given.items() if value}


def trainer_config(config: "Config") -> dict[str, Any]:
    """Returns the custom_config of the default run_fn."""
    training = config.training.model_dump(include=set(_HYPERPARAMETERS), exclude_none=True) if config.training else {}
    split = config.transform.analyze[0] if config.transform else "train"
    return transform_config(config) | {"split": split} | ({"training": training} if training else {})


def transformed_label(config: "Config") -> str | None:
    """Returns the label's name in what the default preprocessing_fn makes, as penstock.trainer.plan.plan names it."""
    if not config.without_code or config.label is None:
        return None
    return (re.sub(r"[^A-Za-z0-9_.-]", "_", config.label).lstrip("_.-") or "column") + "_xf"


def _module(config: "Config") -> str:
    return "module_file" if config.module_file else "module_path"
