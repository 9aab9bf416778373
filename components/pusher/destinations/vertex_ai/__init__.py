"""Vertex AI: a pushed model is a version in the Model Registry, deployed at an endpoint with a share of its traffic."""

from penstock.components.pusher.destinations.vertex_ai.service import VertexAI
from penstock.components.pusher.destinations.vertex_ai.settings import Settings

__all__ = ["destination"]


def destination(name: str, settings: object) -> VertexAI:
    """Returns the endpoint that the settings name, which messages call `name`; a ConfigError if they do not fit."""
    return VertexAI(Settings.of(name, settings))
