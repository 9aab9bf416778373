"""TFDV's StatsOptions from JSON, checked."""

import json
from typing import Any

from google.protobuf import json_format
from tensorflow_data_validation.statistics import stats_options

from penstock.core.arguments import parse_object
from penstock.core.errors import ConfigError
from penstock.core.suggestions import did_you_mean

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
    complete: dict[str, Any] = json.loads(stats_options.StatsOptions().to_json())
    keys = {key.lstrip("_"): key for key in [*complete, *_ENCODED]} | {"TYPE_NAME": "TYPE_NAME"}
    for key, value in parse_object("stats_options", text).items():
        name = key.lstrip("_").replace("experimental_use_sketch", "use_sketch")
        if name not in keys:
            raise ConfigError(f"stats_options: unknown key {key!r}; {did_you_mean(name, sorted(keys))}")
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
