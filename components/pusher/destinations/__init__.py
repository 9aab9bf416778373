"""The destinations that models are pushed to: a module each, registered here by its key in push_destination.

A module of a service has `destination(name, settings) -> Service` (destination.py). It checks the settings, whose keys
are COMMON_KEYS and its own, and connects when it is first asked. Vendors' clients are imported in functions, and
TensorFlow nowhere: the commands promote, rollback and endpoints use the destinations on the user's machine.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from penstock.components.pusher.destinations import folder, kserve, rollout, sagemaker, vertex_ai
from penstock.components.pusher.destinations.destination import Pushed, Service
from penstock.components.pusher.destinations.folder import Folder
from penstock.core.arguments import parse_object

__all__ = ["DESTINATIONS", "Folder", "Pushed", "Service", "promote", "push", "read", "rollback"]

DESTINATIONS: Mapping[str, Callable[[str, object], Folder | Service]] = {
    "filesystem": folder.destination,
    "kserve": kserve.destination,
    "sagemaker": sagemaker.destination,
    "vertex_ai": vertex_ai.destination,
}


def read(push_destination: str) -> list[Folder | Service]:
    """Returns the destinations that TFX's PushDestination names, given as JSON, in its order.

    Raises a ConfigError if one is unknown or its settings do not fit.
    """
    name = "push_destination"
    example = f'{{"{Folder.key}": {folder.EXAMPLE}}}'
    destinations = parse_object(name, push_destination, DESTINATIONS, example) or {Folder.key: None}
    return [DESTINATIONS[key](f"{name}.{key}", settings) for key, settings in destinations.items()]


def push(destination: Folder | Service, serving: Path) -> Pushed:
    """Pushes the model in the folder `serving`, unless it serves there already."""
    return destination.push(serving) if isinstance(destination, Folder) else rollout.push(destination, serving)


def promote(destination: Folder | Service) -> Pushed:
    """Gives the canary all requests; a UserError if there is none."""
    return destination.promote() if isinstance(destination, Folder) else rollout.promote(destination)


def rollback(destination: Folder | Service) -> Pushed:
    """Takes the canary away, or without one brings back the previous version; a UserError if there is none."""
    return destination.rollback() if isinstance(destination, Folder) else rollout.rollback(destination)
