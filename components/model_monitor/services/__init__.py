"""The services that watch an endpoint by themselves: a package each, registered here by its key in `service`.

A service has `service(name, settings) -> Service` (service.py). It checks the settings and connects when it is first
asked. Vendors' clients are imported in functions.
"""

from collections.abc import Callable, Mapping

from penstock.components.model_monitor.services import vertex_ai
from penstock.components.model_monitor.services.service import Baseline, Service
from penstock.core.arguments import parse_object
from penstock.core.errors import ConfigError

__all__ = ["SERVICES", "Baseline", "Service", "read"]

SERVICES: Mapping[str, Callable[[str, object], Service]] = {"vertex_ai": vertex_ai.service}


def read(service: str) -> Service | None:
    """Returns the service that JSON names, with its settings; None for "". A ConfigError if they do not fit."""
    named = parse_object("service", service, SERVICES, f'{{"vertex_ai": {vertex_ai.EXAMPLE}}}')
    if len(named) > 1:
        raise ConfigError(f"service: expected one service, received {', '.join(named)}")
    return next((SERVICES[key](f"service.{key}", settings) for key, settings in named.items()), None)
