"""The JSON parameters of the Trainer and the Tuner: train_args, eval_args, tune_args and custom_config."""

from dataclasses import dataclass
from typing import Any

from penstock.core.arguments import check_strings, check_whole_number, parse_object
from penstock.core.artifacts import check_split_name

_STEP_ARGS = '{"splits": ["train"], "num_steps": 1000}'
_TUNE_ARGS = '{"num_parallel_trials": 2}'


@dataclass(frozen=True)
class StepArgs:
    """TFX's TrainArgs or EvalArgs: the splits to read, and the number of batches; None for no limit."""

    splits: tuple[str, ...]
    num_steps: int | None


def parse_step_args(name: str, text: str, default_split: str) -> StepArgs:
    """Parses `{"splits": [...], "num_steps": N}`; raises a ConfigError, by the parameter's name, for anything else."""
    args = parse_object(name, text, ("splits", "num_steps"), _STEP_ARGS)
    splits = check_strings(f"{name}.splits", args.get("splits") or [default_split])
    for split in splits:
        check_split_name(split)
    steps = check_whole_number(f"{name}.num_steps", args.get("num_steps"), of="batches")
    return StepArgs(tuple(splits), steps or None)


def parse_tune_args(text: str) -> int | None:
    """Parses TFX's TuneArgs, `{"num_parallel_trials": N}`; returns N, and None for 0 or nothing.

    Raises a ConfigError for anything else.
    """
    args = parse_object("tune_args", text, ("num_parallel_trials",), _TUNE_ARGS)
    return check_whole_number("tune_args.num_parallel_trials", args.get("num_parallel_trials"), of="trials") or None


def parse_custom_config(text: str) -> dict[str, Any] | None:
    """Parses custom_config; returns None for "" and `null`. Raises a ConfigError unless it is a JSON object."""
    return parse_object("custom_config", text) if text.strip() not in ("", "null") else None
