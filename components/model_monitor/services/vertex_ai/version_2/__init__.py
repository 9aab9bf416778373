"""Vertex AI Model Monitoring, version 2: a ModelMonitor of each version of a model, and a schedule of each comparison.

watched.py      what is watched, and the ids by which it is found again
messages.py     the monitor and its schedules as they should be
monitors.py     the monitor as it is: created, updated in place
schedules.py    its schedules as they are: created, updated in place, deleted
request_log.py  the endpoint's log of its requests, which the schedules read
"""

from penstock.components.model_monitor.services.vertex_ai.version_2.monitors import apply
from penstock.components.model_monitor.services.vertex_ai.version_2.watched import Watched

__all__ = ["Watched", "apply"]
