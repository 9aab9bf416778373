"""The figures of a page."""

import pyarrow as pa
import pytest

from penstock.components.monitoring.measures.reference import Reference
from penstock.components.monitoring.measures.thresholds import Sensitivity
from penstock.components.statistics_gen import distributions
from penstock.components.window_monitor import findings
from penstock.components.window_monitor.findings import Compared
from penstock.components.window_monitor.report import figures


def test_no_more_figures_are_drawn_than_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = pa.table({name: [[1.0], [2.0]] for name in "abcde"})
    reference = Reference.of(rows.to_batches())
    part = Compared("feature", reference, Sensitivity(), reference.counts, rows, rows)
    drawn, chart = [], distributions.chart
    monkeypatch.setattr(distributions, "chart", lambda name, *more: drawn.append(name) or chart(name, *more))
    monkeypatch.setattr(figures, "_MOST", 2)
    html = figures.html([part], findings.of_window([part], {}))
    assert len(drawn) == 2
    assert all(f">{name}</figcaption>" in html for name in drawn)
    assert "The first 2 are drawn." in html
