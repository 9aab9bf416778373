"""The endpoint that is monitored, as it is."""

from typing import TYPE_CHECKING

from penstock.core.errors import ServerError
from penstock.core.services.retries import NotFound
from penstock.core.services.vertex import Server

if TYPE_CHECKING:
    from google.cloud.aiplatform_v1.types import Endpoint


def read(server: Server, name: str) -> "Endpoint":
    """Asks for the endpoint of this name; a ServerError if it is gone."""
    try:
        endpoint: Endpoint = server.repeat(server.endpoints.get_endpoint, name=name)
    except NotFound:
        raise ServerError(f"the endpoint {name} is gone: push the model again") from None
    return endpoint
