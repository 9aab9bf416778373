"""A window's numbers as Prometheus reads them: node_exporter's textfile collector, or any server of static files."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from penstock.core.artifacts.monitoring import Finding, WindowRecord, moved
from penstock.core.files import atomic

_PREFIX = "penstock_monitoring"
_SUBJECTS = ("feature", "prediction", "dependence", "performance")
_BOUNDS = {"": "", "_low": "; the lower end of its 95 % interval", "_high": "; the upper end of its 95 % interval"}


class _Gauges:
    """The gauges of a model."""

    def __init__(self, model: str):
        self.registry, self._model = CollectorRegistry(), model

    def add(self, name: str, words: str, *labels: str) -> Gauge:
        """Returns a new gauge."""
        return Gauge(f"{_PREFIX}_{name}", words, ("model", *labels), registry=self.registry)

    def set(self, name: str, words: str, value: float) -> None:
        """Makes a gauge with one value."""
        self.add(name, words).labels(self._model).set(value)

    def fill[Labels: tuple[str, ...]](self, gauge: Gauge, values: Mapping[Labels, float | None]) -> None:
        """Sets values by their labels, but for those that nobody knows."""
        for labels, value in values.items():
            if value is not None:
                gauge.labels(self._model, *labels).set(value)


def write(path: Path, window: WindowRecord, before: Sequence[WindowRecord] = ()) -> None:
    """Writes the numbers of a window, in place of those of an earlier one.

    Of pairs of features only is counted how many moved: there may be thousands. Labels come late: realised metrics are
    those of the newest window that has any, of this one and those before it.
    """
    gauges = _Gauges(window["model"])
    of_window = {
        "window_rows": ("Rows in the window", window["rows"]),
        "window_requests": ("Requests in the window that were logged", window["requests"]),
        "window_sampled_ratio": ("Share of all requests that is logged", window["sampled"]),
        "window_begin_timestamp_seconds": ("The window's first moment", _seconds(window["begin"])),
        "window_end_timestamp_seconds": ("The first moment after the window", _seconds(window["end"])),
    }
    for name, (words, value) in of_window.items():
        gauges.set(name, words, value)
    counts = {(subject,): sum(one["subject"] == subject for one in moved(window["findings"])) for subject in _SUBJECTS}
    gauges.fill(
        gauges.add("moved", "Features, predictions, pairs of features and metrics that alert", "subject"), counts
    )
    left_out = {(one["unit"], one["reason"]): one["count"] for one in window["left_out"]}
    gauges.fill(gauges.add("left_out", "What is in no measure", "unit", "reason"), left_out)
    _shifts(gauges, window["findings"])
    _estimated(gauges, window)
    _realised(gauges, next((one for one in reversed([*before, window]) if one.get("realised")), None))
    atomic.write_bytes(path, generate_latest(gauges.registry))


def _shifts(gauges: _Gauges, findings: Sequence[Finding]) -> None:
    """Adds measures and thresholds of features and predictions: from training, and from the window before."""
    single = [one for one in findings if one["subject"] in ("feature", "prediction")]
    for compared_with, name, where in (("training", "", "training data"), ("window", "drift_", "window before")):
        listed = [one for one in single if one.get("compared_with", "training") == compared_with]
        placed = [((one["subject"], one["name"], one["measure"]), one) for one in listed]
        known = {place: one for place, one in placed if one["value"] is not None}
        labels = ("subject", "name", "measure")
        values = gauges.add(f"{name}value", f"A measure of the distance from the {where}", *labels)
        gauges.fill(values, {place: one["value"] for place, one in known.items()})
        thresholds = gauges.add(f"{name}threshold", "Above which value a measure alerts", *labels)
        gauges.fill(thresholds, {place: one["threshold"] for place, one in known.items()})
    importance = gauges.add("importance_ratio", "How much the model depends on a feature, of the first", "name")
    gauges.fill(importance, {(one["name"],): one["importance"] for one in single if "importance" in one})


def _estimated(gauges: _Gauges, window: WindowRecord) -> None:
    """Adds how good the model most likely is."""
    for bound, words in _BOUNDS.items():
        gauge = gauges.add(f"estimated{bound}", f"A metric as it most likely is, without labels{words}", "metric")
        key = bound.removeprefix("_") or "value"
        gauges.fill(gauge, {(one["metric"],): one[key] for one in window.get("performance", [])})  # type: ignore[literal-required]


def _realised(gauges: _Gauges, window: WindowRecord | None) -> None:
    """Adds how good the model was in a window, and what it is to be."""
    metrics = window.get("realised", []) if window else []
    labels = ("metric", "slice")
    for bound, words in _BOUNDS.items():
        key = bound.removeprefix("_") or "value"
        values = {(one["metric"], one["slice"]): one[key] for one in metrics}  # type: ignore[literal-required]
        gauges.fill(gauges.add(f"realised{bound}", f"A metric of the rows that have a label{words}", *labels), values)
    evaluation = gauges.add("evaluation", "The same metric in the evaluation of the model", *labels)
    gauges.fill(evaluation, {(one["metric"], one["slice"]): one["evaluation"] for one in metrics})
    performance = [one for one in (window["findings"] if window else []) if one["subject"] == "performance"]
    limits = {(one["name"], one["measure"], one.get("side", "above")): one["threshold"] for one in performance}
    gauges.fill(gauges.add("limit", "Beyond which value a metric alerts", "name", "measure", "side"), limits)
    rows = window["labels"]["rows"] if window and "labels" in window else None
    of_labels = {
        "labelled_rows": ("Rows that have a label, in the newest window with labels", rows),
        "labelled_ratio": ("The share of that window's rows", rows and window and rows / max(1, window["rows"])),
        "labelled_end_timestamp_seconds": ("The first moment after that window", window and _seconds(window["end"])),
    }
    for name, (words, value) in of_labels.items():
        gauges.fill(gauges.add(name, words), {(): value})


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
