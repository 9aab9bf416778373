"""Metrics as Prometheus collects them. What a request touches is looked up once for each version of a model."""

from collections.abc import Callable, Iterator

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from penstock.components.model_server.inference import Models, State
from penstock.components.model_server.operation.calls import Call

CONTENT_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
_VERSION = ("model", "version")


class Metrics:
    """The metrics of one server, in a registry of their own."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self._requests = Counter(
            "penstock_requests",
            "Requests that were answered, by model, version, protocol and outcome (ok, or the kind of error)",
            (*_VERSION, "protocol", "outcome"),
            registry=self.registry,
        )
        self._request_seconds = self._histogram(
            "penstock_request_seconds", "Seconds from a request's headers to the end of its answer", "protocol"
        )
        self._call_seconds = self._histogram("penstock_model_call_seconds", "Seconds of a call of the model, a batch")
        self._batch_rows = self._histogram("penstock_batch_rows", "Rows in a call of the model", buckets=_ROWS)
        self._load_seconds = Gauge(
            "penstock_model_load_seconds", "Seconds that loading took", _VERSION, registry=self.registry
        )
        self._warmup_seconds = Gauge(
            "penstock_model_warmup_seconds", "Seconds that warming up took", _VERSION, registry=self.registry
        )
        self._dropped = Counter(
            "penstock_log_dropped",
            "Entries of a log (access, requests, events) that were dropped: it is too slow, or cannot be written",
            ("log",),
            registry=self.registry,
        )
        self._refreshed: list[Callable[[], None]] = []
        self._children: dict[tuple[str, int, str, str], tuple[Counter, Histogram]] = {}

    def _histogram(
        self, name: str, documentation: str, *labels: str, buckets: tuple[float, ...] = _SECONDS
    ) -> Histogram:
        return Histogram(name, documentation, (*_VERSION, *labels), registry=self.registry, buckets=buckets)

    def answered(self, call: Call, seconds: float) -> None:
        """Counts a request."""
        key = call.model, call.version, call.protocol, call.outcome
        children = self._children.get(key)
        if children is None:
            version = str(call.version or "")
            children = self._children[key] = (
                self._requests.labels(call.model, version, call.protocol, call.outcome),
                self._request_seconds.labels(call.model, version, call.protocol),
            )
        requests, request_seconds = children
        requests.inc()
        request_seconds.observe(seconds)

    def batches(self, model: str, version: int) -> Callable[[int, float], None]:
        """Returns what a version calls with the rows and the seconds of each call of its model."""
        rows_of_batch = self._batch_rows.labels(model, str(version)).observe
        seconds_of_call = self._call_seconds.labels(model, str(version)).observe

        def computed(rows: int, seconds: float) -> None:
            rows_of_batch(rows)
            seconds_of_call(seconds)

        return computed

    def loaded(self, model: str, version: int, load_seconds: float, warmup_seconds: float) -> None:
        """Notes how long a version took until it could answer."""
        self._load_seconds.labels(model, str(version)).set(load_seconds)
        self._warmup_seconds.labels(model, str(version)).set(warmup_seconds)

    def unloaded(self, model: str, version: int) -> None:
        """Forgets how long a version took to load. Its counters stay: their sum must not fall."""
        for gauge in (self._load_seconds, self._warmup_seconds):
            gauge.remove_by_labels({"model": model, "version": str(version)})

    def dropped(self, log: str) -> Callable[[int], None]:
        """Returns what a log calls with how many entries it has dropped."""
        return self._dropped.labels(log).inc

    def gauge(self, name: str, documentation: str, read: Callable[[], float]) -> None:
        """Adds a metric that `refresh` reads."""
        gauge = Gauge(name, documentation, registry=self.registry)
        self._refreshed.append(lambda: gauge.set(read()))

    def watch(self, models: Models) -> None:
        """Adds which versions answer, under which labels, and whether the server is ready."""
        versions = _Versions(models)
        self.registry.register(versions)
        self._refreshed.append(versions.refresh)

    def refresh(self) -> None:
        """Reads what the server is doing now, on its own thread, the event loop's."""
        for refresh in self._refreshed:
            refresh()

    def text(self) -> bytes:
        """Returns all metrics in Prometheus' text form; on any thread, as it takes milliseconds."""
        return generate_latest(self.registry)


class _Versions(Collector):
    """The models' states, as they were when `refresh` was called."""

    def __init__(self, models: Models):
        self._models = models
        self._families: list[Metric] = []

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        return iter(self._families)

    def refresh(self) -> None:
        ready = GaugeMetricFamily("penstock_ready", "Whether every model has a version that answers")
        ready.add_metric([], float(self._models.ready))
        states = GaugeMetricFamily(
            "penstock_model_version_state", "1 for the state that a version is in", labels=[*_VERSION, "state"]
        )
        labels = GaugeMetricFamily(
            "penstock_model_version_label", "1 for each label that a version has", labels=[*_VERSION, "label"]
        )
        for model in self._models.names:
            for status in self._models.status(model):
                state = "failed" if status.error and status.state is State.END else status.state.name.lower()
                states.add_metric([model, str(status.version), state], 1.0)
                for label in status.labels:
                    labels.add_metric([model, str(status.version), label], 1.0)
        self._families = [ready, states, labels]
