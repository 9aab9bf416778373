"""A window's numbers as Prometheus reads them: node_exporter's textfile collector, or any server of static files."""

from datetime import datetime
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from penstock.core.artifacts.monitoring import WindowRecord, moved
from penstock.core.files import atomic

_PREFIX = "penstock_monitoring"


def write(path: Path, window: WindowRecord) -> None:
    """Writes the numbers of a window, in place of those of an earlier one.

    Of pairs of features only is counted how many moved: there may be thousands.
    """
    registry, model = CollectorRegistry(), window["model"]

    def gauge(name: str, words: str, *labels: str) -> Gauge:
        return Gauge(f"{_PREFIX}_{name}", words, ("model", *labels), registry=registry)

    of_window = {
        "window_rows": ("Rows in the window", window["rows"]),
        "window_requests": ("Requests in the window that were logged", window["requests"]),
        "window_sampled_ratio": ("Share of all requests that is logged", window["sampled"]),
        "window_begin_timestamp_seconds": ("The window's first moment", _seconds(window["begin"])),
        "window_end_timestamp_seconds": ("The first moment after the window", _seconds(window["end"])),
    }
    for name, (words, value) in of_window.items():
        gauge(name, words).labels(model).set(value)
    count = gauge("moved", "Features, predictions and pairs of features that moved", "subject")
    for subject in ("feature", "prediction", "dependence"):
        count.labels(model, subject).set(sum(one["subject"] == subject for one in moved(window["findings"])))
    left_out = gauge("left_out", "What is in no measure", "unit", "reason")
    for entry in window["left_out"]:
        left_out.labels(model, entry["unit"], entry["reason"]).set(entry["count"])
    labels = ("subject", "name", "measure")
    values = gauge("value", "A measure of the distance from the training data", *labels)
    thresholds = gauge("threshold", "Above which value a measure alerts", *labels)
    importance = gauge("importance_ratio", "How much the model depends on a feature, of the most important one", "name")
    for one in window["findings"]:
        if one["subject"] == "dependence" or one["value"] is None:
            continue
        place = (model, one["subject"], one["name"], one["measure"])
        values.labels(*place).set(one["value"])
        if one["threshold"] is not None:
            thresholds.labels(*place).set(one["threshold"])
        if "importance" in one:
            importance.labels(model, one["name"]).set(one["importance"])
    atomic.write_bytes(path, generate_latest(registry))


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
