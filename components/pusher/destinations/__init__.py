"""Where models are pushed to: a module each, which is entered here by its key in push_destination.

A module has a function that reads the settings below the key, and returns the function that pushes a SavedModel there.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from penstock.components.pusher.destinations import filesystem
from penstock.components.pusher.destinations.version import Version
from penstock.core.arguments import parse_object
from penstock.core.errors import ConfigError

type Push = Callable[[Path], Version]

DESTINATIONS: Mapping[str, Callable[[str, Any], Push]] = {"filesystem": filesystem.destination}
_DEFAULT = "filesystem"


def destination(push_destination: str) -> Push:
    """Returns what pushes a SavedModel, by JSON of TFX's PushDestination, which is one of several.

    Raises a ConfigError for a destination that is not known, for more than one, and for settings that do not fit.
    """
    name = "push_destination"
    example = f'{{"{_DEFAULT}": {filesystem.EXAMPLE}}}'
    chosen = parse_object(name, push_destination, DESTINATIONS, example) or {_DEFAULT: None}
    if len(chosen) > 1:
        raise ConfigError(f"{name}: expected one destination, received {' and '.join(chosen)}")
    ((key, settings),) = chosen.items()
    return DESTINATIONS[key](f"{name}.{key}", settings)
