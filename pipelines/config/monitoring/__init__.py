"""The monitoring section: monitoring.py says what is compared with what, alerts.py who is told what it shows."""

from penstock.pipelines.config.monitoring.monitoring import Monitoring

__all__ = ["Monitoring"]
