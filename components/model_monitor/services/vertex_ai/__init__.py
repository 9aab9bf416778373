"""Vertex AI: a ModelDeploymentMonitoringJob of the endpoint that the model was pushed to, or ModelMonitors of versions.

settings.py      what it is told                      features.py   what it can monitor, and from which distance on
files.py         instance schemas and training data   job.py        the job as it should be
attributions.py  how much features matter, of a model with explanations
divergence.py    how far numbers are apart as the service has it, by chance
jobs.py          the job as it is: found, created, updated in place, replaced
version_2/       the same with ModelMonitors, their schedules, and the endpoint's own request log
"""

from penstock.components.model_monitor.services.vertex_ai.service import VertexAI
from penstock.components.model_monitor.services.vertex_ai.settings import EXAMPLE, Settings

__all__ = ["EXAMPLE", "service"]


def service(name: str, settings: object) -> VertexAI:
    """Returns the service with its settings, which messages call `name`; a ConfigError if they do not fit."""
    return VertexAI(Settings.of(name, settings))
