"""TFDV's StatsOptions from JSON, checked."""

import difflib
import json
from typing import Any

from google.protobuf import json_format
from tensorflow_data_validation.statistics import stats_options

from penstock.core.errors import ConfigError

_ENCODED = ("schema_json", "slicing_config_json", "per_feature_weight_override_json", "TYPE_NAME")
_CHECKED = sorted(
    name
    for name, member in vars(stats_options.StatsOptions).items()
    if isinstance(member, property) and member.fset and name != "per_feature_stats_config"
)


def parse(text: str) -> stats_options.StatsOptions:
    """Returns the options that `text` holds: what `StatsOptions.to_json` writes, or any of its keys.

    A key may be written with its leading underscore, as `to_json` does, or without. Raises a ConfigError for an
    unknown key, with the nearest one, and for a value that TFDV refuses.
    """
    try:
        given = json.loads(text) if text else {}
    except json.JSONDecodeError as error:
        raise ConfigError(f"stats_options: expected JSON, received {text!r:.80}: {error}") from None
    if not isinstance(given, dict):
        raise ConfigError(f"stats_options: expected a JSON object, received {text!r:.80}")
    complete: dict[str, Any] = json.loads(stats_options.StatsOptions().to_json())
    keys = {key.lstrip("_"): key for key in [*complete, *_ENCODED]} | {"TYPE_NAME": "TYPE_NAME"}
    for key, value in given.items():
        name = key.lstrip("_").replace("experimental_use_sketch", "use_sketch")
        if name not in keys:
            nearest = difflib.get_close_matches(name, keys, n=1)
            hint = f"did you mean {nearest[0]!r}?" if nearest else f"it has {', '.join(sorted(keys))}"
            raise ConfigError(f"stats_options: StatsOptions has no option {key!r}; {hint}")
        default = complete.get(keys[name])
        if isinstance(default, bool) and not isinstance(value, bool):
            raise ConfigError(f"stats_options: {name}: expected true or false, received {value!r}")
        if isinstance(default, int | float) and not isinstance(value, int | float):
            raise ConfigError(f"stats_options: {name}: expected a number, received {value!r}")
        complete[keys[name]] = value
    return _checked(complete)


def _checked(fields: dict[str, Any]) -> stats_options.StatsOptions:
    """`from_json` only sets the fields; here each goes through its setter, which checks it."""
    try:
        options = stats_options.StatsOptions.from_json(json.dumps(fields))
        for name in _CHECKED:
            setattr(options, name, getattr(options, name))
    except (ValueError, TypeError, json_format.ParseError) as error:
        raise ConfigError(f"stats_options: {error}") from None
    return options
