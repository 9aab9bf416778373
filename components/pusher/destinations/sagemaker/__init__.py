"""AWS SageMaker: an endpoint with one production variant, or two while a canary is on trial."""

from penstock.components.pusher.destinations.sagemaker.service import SageMaker
from penstock.components.pusher.destinations.sagemaker.settings import Settings

__all__ = ["destination"]


def destination(name: str, settings: object) -> SageMaker:
    """Reads the settings, which sentences call `name`; raises a ConfigError if they do not fit."""
    return SageMaker(Settings.of(name, settings))
