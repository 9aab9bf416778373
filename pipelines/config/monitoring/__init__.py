"""The monitoring section: monitoring.py says what is compared with what, alerts.py who is told what it
shows, labels.py where labels come from.

Services that watch an endpoint by themselves have a module each, vertex_ai.py.
"""

from penstock.pipelines.config.monitoring.monitoring import Monitoring

__all__ = ["Monitoring"]
