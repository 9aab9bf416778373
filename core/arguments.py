"""The parameters of components that hold JSON: read in one place, with one sentence for each kind of mistake.

`name` is what a person calls the value: the parameter, and the keys down to it, `train_args.num_steps`.
"""

import re
from collections.abc import Collection
from typing import Any

from penstock.core.errors import ConfigError
from penstock.core.files import documents
from penstock.core.suggestions import did_you_mean
from penstock.core.text import printable

_LARGEST = 1 << 63  # what protobuf's and Arrow's integers hold
_CAPITAL = re.compile(r"(?<=[a-z])([A-Z])")


def parse_object(name: str, text: str, keys: Collection[str] = (), example: str = "") -> dict[str, Any]:
    """Returns the JSON object that a parameter holds, as `check_object` does; {} for an empty parameter.

    Raises a ConfigError that says where the JSON is broken, by line and column.
    """
    if not text.strip():
        return {}
    try:
        value = documents.parse_json(text)
    except ValueError as error:
        received = printable.value(text)
        raise ConfigError(f"{name}: expected JSON{_such_as(example)}, received {received}: {error}") from None
    return check_object(name, value, keys, example)


def check_object(name: str, value: Any, keys: Collection[str] = (), example: str = "") -> dict[str, Any]:
    """Returns an object's items by their keys, which may be any if no `keys` are given.

    A key may be written as protobuf writes it in JSON, `numSteps` for `num_steps`. Raises a ConfigError for what is no
    object, and for an unknown key with the nearest one.
    """
    if not isinstance(value, dict):
        raise ConfigError(f"{name}: expected an object{_such_as(example)}, received {printable.value(value)}")
    if not keys:
        return value
    items = {}
    for key, item in value.items():
        known = key if key in keys else _CAPITAL.sub(lambda capital: f"_{capital[1].lower()}", key)
        if known not in keys:
            raise ConfigError(f"{name}: unknown key {key!r}; {did_you_mean(known, keys)}")
        items[known] = item
    return items


def check_list(name: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ConfigError(f"{name}: expected a list, received {printable.value(value)}")
    return value


def check_strings(name: str, value: Any, of: str = "names") -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ConfigError(f"{name}: expected a list of {of}, received {printable.value(value)}")
    return value


def check_string(name: str, value: Any, what: str) -> str:
    """Returns a string that is not empty; `what` says what it is to be, "a folder"."""
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{name}: expected {what}, received {printable.value(value)}")
    return value


def check_whole_number(name: str, value: Any, least: int = 0, of: str = "") -> int:
    """Returns a whole number, also as protobuf's JSON and KFP may write it: "100", 100.0; 0 for None."""
    try:
        number = 0 if value is None else int(value)
        if isinstance(value, bool) or not least <= number < _LARGEST or (isinstance(value, float) and number != value):
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        whole = f"a whole number of {of}" if of else "a whole number"
        raise ConfigError(f"{name}: expected {whole}, {least} or more, received {printable.value(value)}") from None
    return number


def _such_as(example: str) -> str:
    return f" such as {example}" if example else ""
