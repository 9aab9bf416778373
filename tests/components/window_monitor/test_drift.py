"""A window beside one before it: quiet by chance alone, and a change between the two is told."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from penstock.components.monitoring import sensitivity
from penstock.components.monitoring.measures.reference import Reference
from penstock.components.window_monitor import drift, findings
from penstock.components.window_monitor.findings import Compared
from penstock.core.artifacts.monitoring import WindowRecord
from penstock.core.errors import ConfigError
from tests.components.model_monitor.test_executor import columns, model
from tests.components.monitoring.conftest import write_log
from tests.components.window_monitor.test_executor import baseline, lists, monitor

__all__ = ["baseline", "model", "monitor", "write_log"]
RATE = 0.05


def windows(reference: Reference, count: int, rows: int) -> list[Compared]:
    """Returns windows of rows from the source of training."""
    result = []
    for seed in range(count):
        counts = reference.window()
        values = {name: column for name, column in columns(100 + seed, rows).items() if name != "late"}
        counts.add(lists(values))
        limits = sensitivity.of("feature", RATE, {}, with_predictions=False)
        result.append(Compared("feature", reference, limits, counts, pa.table({}), pa.table({})))
    return result


@pytest.mark.parametrize("rows", [100, 600])
def test_windows_of_one_source_alert_as_seldom_as_is_asked_for(rows: int) -> None:
    training = {name: column for name, column in columns(1, 4000).items() if name != "late"}
    reference = Reference.of([lists(training)], {"company": "category"})
    alerting = 0
    followed = windows(reference, 80, rows)
    for before, after in itertools.pairwise(followed):
        earlier = drift.compared([after], drift.counts([before]))
        found = findings.of_window([*drift.shared([after]), *earlier], {})
        assert {one.get("compared_with") for one in found if one["subject"] == "feature"} == {None, "window"}
        alerting += any(one["alerts"] for one in found)
    assert alerting / (len(followed) - 1) <= RATE + 0.03


def test_what_has_changed_since_the_window_before_is_told(monitor: Callable[..., WindowRecord], tmp_path: Path) -> None:
    rows = columns(30, 600)
    first = monitor(rows, drift="before")
    assert "the history has no window of the same baseline that this one can be compared with" in first["notes"]
    assert "compared_with" not in first
    changed: dict[str, Any] = columns(31, 600)
    changed["company"] = np.where(changed["company"] == "blue", "red", changed["company"])
    monitor(None, hours=1, drift="before")  # without a request: the next one is compared with the first
    second = monitor(changed, hours=2, drift="before")
    assert second["compared_with"] == first["begin"]
    moved = {(one["name"], one["measure"]) for one in second["findings"] if one["alerts"] and "compared_with" in one}
    assert ("company", "l_infinity") in moved
    assert {name for name, _ in moved} == {"company"}
    sentence = next(one["sentence"] for one in second["findings"] if one["alerts"] and "compared_with" in one)
    assert " to the window before; it alerts above " in sentence
    assert "from the window before" in (tmp_path / "window-2" / "report.html").read_text()
    assert (
        'penstock_monitoring_drift_value{measure="l_infinity"' in (tmp_path / "window-2" / "metrics.prom").read_text()
    )
    third = monitor(changed, hours=3, drift="before")
    assert not [one for one in third["findings"] if one["alerts"] and "compared_with" in one]
    named = monitor(changed, hours=4, drift=first["begin"])
    assert named["compared_with"] == first["begin"]
    assert [one for one in named["findings"] if one["alerts"] and "compared_with" in one]


def test_a_window_of_another_baseline_is_none_to_compare_with(monitor: Callable[..., WindowRecord]) -> None:
    monitor(columns(30, 200), baseline_uri="gs://runs/other")
    window = monitor(columns(31, 200), hours=1, drift="before")
    assert "compared_with" not in window
    with pytest.raises(ConfigError, match="drift: expected a date or time"):
        monitor(None, hours=1, drift="yesterday")
