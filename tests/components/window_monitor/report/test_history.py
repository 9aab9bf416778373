"""Charts of the windows before."""

import re

from penstock.components.window_monitor.report import history
from penstock.core.artifacts.monitoring import Finding, WindowRecord


def window(end: str, value: float) -> WindowRecord:
    finding = Finding(
        subject="feature",
        name="x",
        measure="jensen_shannon",
        value=value,
        threshold=0.1,
        alerts=False,
        rows=100,
        sentence="",
        cause="",
        figure="",
    )
    return WindowRecord(
        model="m",
        versions=[1],
        begin="2026-11-30T11:20:00+00:00",
        end=end,
        requests=100,
        rows=100,
        sampled=1.0,
        baseline="",
        left_out=[],
        notes=[],
        findings=[finding],
    )


def test_windows_that_end_seconds_apart_have_a_place_each() -> None:
    ends = [f"2026-11-30T11:20:{second:02}.250000+00:00" for second in (1, 2, 3)]
    windows = [window(end, 0.01 * place) for place, end in enumerate(ends)]
    html = history.html(windows[-1], windows[:-1])
    assert len({*re.findall(r'"end":\s*(\d+)[,}]', html)}) == 3


def test_times_are_utc_whatever_clock_the_reader_has() -> None:
    windows = [window("2026-11-30T11:20:00+01:00", 0.01), window("2026-11-30T10:21:00+00:00", 0.02)]
    html = history.html(windows[-1], windows[:-1])
    assert '"scale":{"type":"utc"}' in html.replace(" ", "")
    assert "30 November 2026, 10:20 UTC" in html
