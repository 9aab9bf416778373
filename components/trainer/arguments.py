"""The JSON parameters of the Trainer and the Tuner: train_args, eval_args, tune_args and custom_config."""

import difflib
import json
from dataclasses import dataclass
from typing import Any

from penstock.core.artifacts import check_split_name
from penstock.core.errors import ConfigError

# The names of TFX's TrainArgs and EvalArgs, and how protobuf spells them in JSON.
_KEYS = {"splits": "splits", "num_steps": "num_steps", "numSteps": "num_steps"}
_TUNE_KEYS = {"num_parallel_trials": "num_parallel_trials", "numParallelTrials": "num_parallel_trials"}


@dataclass(frozen=True)
class StepArgs:
    """TFX's TrainArgs and EvalArgs: the splits to read, and the number of batches; None for no limit."""

    splits: tuple[str, ...]
    num_steps: int | None


def parse_step_args(name: str, value: str, default_split: str) -> StepArgs:
    """Reads `{"splits": [...], "num_steps": N}`; a ConfigError says what is wrong with it, by the parameter's name."""
    known = _known(name, _json_object(name, value, 'an object such as {"splits": ["train"], "num_steps": 1000}'), _KEYS)
    splits = known.get("splits") or [default_split]
    if not isinstance(splits, list) or not all(isinstance(split, str) for split in splits):
        raise ConfigError(f"{name}.splits: expected a list of names, received {splits!r}")
    for split in splits:
        check_split_name(split)
    return StepArgs(tuple(splits), _whole(f"{name}.num_steps", known.get("num_steps"), "batches"))


def parse_tune_args(value: str) -> int | None:
    """Reads TFX's TuneArgs, `{"num_parallel_trials": N}`; returns N, and None for 0 or nothing."""
    given = _json_object("tune_args", value, 'an object such as {"num_parallel_trials": 2}')
    count = _known("tune_args", given, _TUNE_KEYS).get("num_parallel_trials")
    return _whole("tune_args.num_parallel_trials", count, "trials")


def parse_custom_config(value: str) -> dict[str, Any] | None:
    """Reads custom_config; None if it is absent or `null`."""
    return _json_object("custom_config", value, "an object") if value and value.strip() != "null" else None


def _json_object(name: str, value: str, expected: str) -> dict[str, Any]:
    try:
        parsed = json.loads(value or "{}")
    except json.JSONDecodeError as error:
        raise ConfigError(f"{name}: expected {expected} as JSON, received {value!r}: {error}") from None
    if not isinstance(parsed, dict):
        raise ConfigError(f"{name}: expected {expected}, received {parsed!r}")
    return parsed


def _known(name: str, given: dict[str, Any], keys: dict[str, str]) -> dict[str, Any]:
    for key in given:
        if key not in keys:
            nearest = difflib.get_close_matches(key, keys, n=1) or ["' or '".join(dict.fromkeys(keys.values()))]
            raise ConfigError(f"{name}: unknown key {key!r}; did you mean {nearest[0]!r}?")
    return {keys[key]: item for key, item in given.items()}


def _whole(name: str, value: Any, of: str) -> int | None:
    """A whole number, also as protobuf's JSON and KFP may write it: "100", 100.0; None for 0."""
    try:
        number = 0 if value is None else int(value)
        if isinstance(value, bool) or number < 0 or (isinstance(value, float) and number != value):
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise ConfigError(f"{name}: expected a whole number of {of}, received {value!r}") from None
    return number or None
