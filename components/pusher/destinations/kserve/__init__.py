"""KServe: an InferenceService that serves the versions of a model, with our model server as its container.

settings.py reads what push_destination says, manifest.py writes the InferenceService, status.py reads what KServe makes
of it, pods.py says why a version does not become ready, service.py makes the changes and waits for them.
"""

from penstock.components.pusher.destinations.destination import Rollout
from penstock.components.pusher.destinations.kserve.service import KServe
from penstock.components.pusher.destinations.kserve.settings import Settings


def destination(name: str, settings: object) -> KServe:
    """Returns the InferenceService of push_destination's `kserve`; a ConfigError if the settings do not fit."""
    values = Settings.values(name, settings)
    rollout = Rollout.of(name, values)
    return KServe(rollout, Settings.of(name, values, rollout))
