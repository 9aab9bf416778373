"""Reads TFDV's StatsOptions from JSON and checks them."""

import json

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
    """Returns the options in a text: the JSON of `StatsOptions.to_json`, or only some of its keys.

    The leading underscore of a key, which `to_json` writes, may be left out: `parse('{"sample_rate": 0.1}')`. Raises a
    ConfigError for an unknown key, with the nearest one, and for a value that TFDV refuses.
    """
    fields: dict[str, object] = json.loads(stats_options.StatsOptions().to_json())
    keys = {key.lstrip("_"): key for key in [*fields, *_ENCODED]} | {"TYPE_NAME": "TYPE_NAME"}
    for key, value in parse_object("stats_options", text).items():
        name = key.lstrip("_").replace("experimental_use_sketch", "use_sketch")
        if name not in keys:
            raise ConfigError(f"stats_options: unknown key {key!r}; {did_you_mean(name, sorted(keys))}")
        default = fields.get(keys[name])
        if isinstance(default, bool) and not isinstance(value, bool):
            raise ConfigError(f"stats_options: {name}: expected true or false, received {value!r}")
        if isinstance(default, int | float) and not isinstance(value, int | float):
            raise ConfigError(f"stats_options: {name}: expected a number, received {value!r}")
        fields[keys[name]] = value
    return _checked(fields)


def _checked(fields: dict[str, object]) -> stats_options.StatsOptions:
    """Makes options of the fields, and sets each again: `from_json` does not check them, the setters do."""
    try:
        options = stats_options.StatsOptions.from_json(json.dumps(fields))
        for name in _CHECKED:
            setattr(options, name, getattr(options, name))
    except (ValueError, TypeError, json_format.ParseError) as error:
        raise ConfigError(f"stats_options: {error}") from None
    return options
