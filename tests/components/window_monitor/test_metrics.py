"""A window's numbers for Prometheus, as its own parser reads them, and the dashboard that asks for them."""

import json
import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from penstock.components.window_monitor import metrics
from penstock.core.artifacts.monitoring import Finding
from tests.components.window_monitor.test_places import record

DASHBOARD = Path(__file__).resolve().parents[3] / "docs" / "monitoring_dashboard.json"


def finding(subject: str, name: str, value: float, threshold: float | None) -> Finding:
    return {
        "subject": subject, "name": name, "measure": "missing", "value": value, "threshold": threshold,
        "alerts": threshold is not None and value > threshold, "rows": 9, "sentence": "", "cause": "", "figure": "",
    }  # fmt: skip # type: ignore[typeddict-item]


def read(path: Path) -> dict[str, dict[tuple[str, ...], float]]:
    """Returns the values of each metric by its labels' values, in the order of the labels' names, without the model."""

    def key(labels: dict[str, str]) -> tuple[str, ...]:
        return tuple(value for name, value in sorted(labels.items()) if name != "model")

    return {
        family.name: {key(sample.labels): sample.value for sample in family.samples}
        for family in text_string_to_metric_families(path.read_text(encoding="utf-8"))
    }


def test_numbers_are_those_of_the_window(tmp_path: Path) -> None:
    window = record(0)
    window["left_out"] = [{"unit": "rows", "reason": 'no "example"\\', "count": 3, "example": ""}]
    window["findings"] = [
        finding("feature", "miles", 0.5, 0.1) | {"importance": 0.25},
        finding("feature", "hour", 0.01, None),
        finding("prediction", "miles", 0.01, 0.1),
        finding("dependence", "miles, hour", 0.9, 0.1),
    ]
    metrics.write(tmp_path / "metrics.prom", window)
    written = read(tmp_path / "metrics.prom")
    assert written["penstock_monitoring_window_rows"] == {(): 1.0}
    assert written["penstock_monitoring_window_end_timestamp_seconds"] == {(): 1793365200.0}
    moved = {("feature",): 1.0, ("prediction",): 0.0, ("dependence",): 1.0, ("performance",): 0.0}
    assert written["penstock_monitoring_moved"] == moved
    assert written["penstock_monitoring_left_out"] == {('no "example"\\', "rows"): 3.0}
    assert set(written["penstock_monitoring_value"]) == {
        ("missing", "miles", "feature"), ("missing", "hour", "feature"), ("missing", "miles", "prediction"),
    }  # fmt: skip
    assert written["penstock_monitoring_threshold"][("missing", "miles", "feature")] == 0.1
    assert ("missing", "hour", "feature") not in written["penstock_monitoring_threshold"]
    assert written["penstock_monitoring_importance_ratio"] == {("miles",): 0.25}


def test_the_dashboard_asks_for_what_there_is(tmp_path: Path) -> None:
    window = record(0)
    metrics.write(tmp_path / "metrics.prom", window)
    families = {family.name for family in text_string_to_metric_families((tmp_path / "metrics.prom").read_text())}
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    asked.append(dashboard["templating"]["list"][1]["query"]["query"])
    named = {name for query in asked for name in re.findall(r"penstock_monitoring_\w+", query)}
    assert named <= families
    assert families - named == {
        "penstock_monitoring_window_requests",
        "penstock_monitoring_window_sampled_ratio",
        "penstock_monitoring_window_begin_timestamp_seconds",
        "penstock_monitoring_labelled_rows",
    }


def test_metrics_are_those_of_the_newest_window_with_labels(tmp_path: Path) -> None:
    before, window = record(0), record(1)
    auc = {"metric": "auc", "slice": "overall", "value": 0.7, "low": 0.6, "high": None, "evaluation": 0.8, "rows": 5}
    before.update(rows=10, labels={"rows": 5, "files": "", "left_out": [], "notes": []}, realised=[auc])  # type: ignore[typeddict-item]
    before["findings"] = [finding("performance", "auc", 0.7, 0.75) | {"side": "below", "measure": "realised"}]
    window["performance"] = [{"metric": "auc", "value": 0.9, "low": 0.8, "high": 0.95, "evaluation": 0.8}]
    window["findings"] = [finding("feature", "miles", 0.5, 0.1) | {"compared_with": "window"}]
    metrics.write(tmp_path / "metrics.prom", window, [before])
    written = read(tmp_path / "metrics.prom")
    assert written["penstock_monitoring_realised"] == {("auc", "overall"): 0.7}
    assert written["penstock_monitoring_realised_low"] == {("auc", "overall"): 0.6}
    assert written["penstock_monitoring_realised_high"] == {}
    assert written["penstock_monitoring_evaluation"] == {("auc", "overall"): 0.8}
    assert written["penstock_monitoring_limit"] == {("realised", "auc", "below"): 0.75}
    assert written["penstock_monitoring_labelled_ratio"] == {(): 0.5}
    assert written["penstock_monitoring_estimated_high"] == {("auc",): 0.95}
    assert written["penstock_monitoring_drift_value"] == {("missing", "miles", "feature"): 0.5}
    assert written["penstock_monitoring_value"] == {}
