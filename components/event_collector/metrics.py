"""What the collector counts, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, generate_latest


class Metrics:
    """Counters of a collector."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.events = Counter(
            "penstock_collector_events",
            "Events by what became of them: kept, duplicate, ignored (not about a model's requests), refused",
            ["outcome"],
            registry=self._registry,
        )
        self.written = Counter(
            "penstock_collector_requests",
            "Requests in the log: paired with their response, a request alone, a response alone",
            ["half"],
            registry=self._registry,
        )
        self.failed_writes = Counter(
            "penstock_collector_failed_writes", "How often the log has taken no file", registry=self._registry
        )

    def text(self) -> bytes:
        """Returns them in Prometheus' text format."""
        return generate_latest(self._registry)
