"""What version 2 watches: a version of a model at an endpoint.

A ModelMonitor has no labels. Its id says which endpoint and which version it is for, so it is found again by that.
"""

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penstock.core.services import vertex_resources

if TYPE_CHECKING:
    from google.cloud.aiplatform_v1.types import DeployedModel, Endpoint

_DIGITS = 16


@dataclass(frozen=True)
class Watched:
    """A deployed version at an endpoint. `version` is the name that the push has given it."""

    endpoint: "Endpoint"
    deployed: "DeployedModel"
    version: str

    @property
    def model(self) -> str:
        """The model's name in the registry, without the version."""
        return str(self.deployed.model).partition("@")[0]

    @property
    def monitor_id(self) -> str:
        return monitor_id(self.endpoint, self.deployed)


def monitor_id(endpoint: "Endpoint", deployed: "DeployedModel") -> str:
    """Returns the id of the monitor of a deployed version; it begins as those of all monitors of the endpoint."""
    return f"{prefix(endpoint)}{_digest(vertex_resources.version_name(deployed))}"


def prefix(endpoint: "Endpoint") -> str:
    """Returns the beginning of the ids of an endpoint's monitors."""
    return f"penstock-{_digest(str(endpoint.name))}-"


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:_DIGITS]
