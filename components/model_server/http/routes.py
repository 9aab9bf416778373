"""The routes of all protocols, in the order in which they are tried."""

from collections.abc import Iterator, Mapping

from penstock.components.model_server.http import (
    health,
    kserve,
    open_inference,
    sagemaker,
    tensorflow_serving,
    vertex,
)
from penstock.components.model_server.http.app import Route
from penstock.components.model_server.http.pages import routes as pages
from penstock.components.model_server.inference import Models


def every(models: Models, environment: Mapping[str, str]) -> Iterator[Route]:
    """Yields all routes; those that a container's environment names come first."""
    yield from vertex.routes(models, environment)
    yield from tensorflow_serving.routes(models)
    yield from open_inference.routes(models)
    yield from health.routes(models)
    yield from kserve.routes(models)
    yield from sagemaker.routes(models)
    yield from pages.routes(models)
