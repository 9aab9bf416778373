"""The monitoring section: monitoring.py says what is compared with what, alerts.py who is told what it shows.

Services that watch an endpoint by themselves have a module each, vertex_ai.py.
"""

from penstock.pipelines.config.monitoring.monitoring import Monitoring

__all__ = ["Monitoring"]
