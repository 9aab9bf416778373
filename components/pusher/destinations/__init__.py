"""The destinations that models are pushed to: a module each, registered here by its key in push_destination.

A module has a function that reads the settings below its key and returns the function that pushes a SavedModel there.
A module of a service has `destination(name, settings) -> Service` (destination.py). It checks the settings, whose keys
are COMMON_KEYS and its own, and connects when it is first asked. Vendors' clients are imported in functions.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from penstock.components.pusher.destinations import filesystem
from penstock.components.pusher.destinations.version import Version
from penstock.core.arguments import parse_object
from penstock.core.errors import ConfigError

type Push = Callable[[Path], Version]

DESTINATIONS: Mapping[str, Callable[[str, object], Push]] = {"filesystem": filesystem.destination}
_DEFAULT = "filesystem"


def destination(push_destination: str) -> Push:
    """Returns the function that pushes a SavedModel to TFX's PushDestination, given as JSON.

    Raises a ConfigError if the destination is unknown or its settings do not fit, or if there are several.
    """
    name = "push_destination"
    example = f'{{"{_DEFAULT}": {filesystem.EXAMPLE}}}'
    destinations = parse_object(name, push_destination, DESTINATIONS, example) or {_DEFAULT: None}
    if len(destinations) > 1:
        raise ConfigError(f"{name}: expected one destination, received {' and '.join(destinations)}")
    ((key, settings),) = destinations.items()
    return DESTINATIONS[key](f"{name}.{key}", settings)
