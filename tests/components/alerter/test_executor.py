"""A window as WindowMonitor writes it, through to what is told."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.components.alerter import executor, findings
from penstock.core.artifacts.alerts import Alerts
from penstock.core.artifacts.monitoring import Finding, MonitoredWindow, WindowRecord
from penstock.core.errors import ConfigError, DataError
from tests.servers.webhooks import Webhooks


def finding(name: str, value: float | None, importance: float | None = None, **changes: Any) -> Finding:
    known = {} if importance is None else {"importance": importance}
    alerts = value is not None and value > 0.1
    sentence = f"the values of {name} have moved"
    figure = f"figure-{name}"
    plain: dict[str, Any] = {"subject": "feature", "name": name, "measure": "jensen_shannon", "value": value}
    plain |= {"threshold": 0.1, "alerts": alerts, "rows": 500, "sentence": sentence, "cause": "", "figure": figure}
    return Finding(**{**plain, **known, **changes})


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Returns a function that writes a window with some findings."""

    def write(*found: Finding) -> Path:
        folder = tmp_path / "window"
        record = WindowRecord(
            model="flights",
            versions=[1],
            begin="2025-06-02T00:00:00+00:00",
            end="2025-06-03T00:00:00+00:00",
            requests=500,
            rows=500,
            sampled=1.0,
            baseline="/runs/baseline",
            left_out=[],
            notes=[],
            findings=list(found),
        )
        MonitoredWindow(folder).write(record)
        return folder

    return write


def test_a_window_is_told_with_its_figure_and_its_importance(
    write: Callable[..., Path], webhooks: Webhooks, tmp_path: Path
) -> None:
    window = write(
        finding("distance", 0.15, importance=1.0, cause="The unit has changed."),
        finding("distance", 0.01, subject="prediction"),
        finding("carrier", 0.15, importance=0.1),
        finding("origin", 0.01),
        finding("tailnum", None),
        finding("", 0.7, subject="performance", measure="accuracy", threshold=0.8, alerts=True, figure=""),
    )
    settings = {
        "channels": {"hook": {"webhook": {"url": f"{webhooks.url}/alerts"}}},
        "links": {"s3://team/": "https://reports.example.com/"},
    }
    result = executor.run(
        alerts=str(tmp_path / "alerts"),
        window=str(window),
        state=str(tmp_path / "state"),
        settings=json.dumps(settings),
        report_uri="s3://team/run 1/report",
    )
    assert {key: result.metadata["alerts"][key] for key in ("open", "events")} == {"open": 3, "events": 3}
    page = "https://reports.example.com/run%201/report"
    told = [(one["severity"], one["feature"], one["side"], one["report"]) for one in _alerts(webhooks)]
    assert told == [
        ("warning", "distance", "above", f"{page}#figure-distance"),
        ("warning", "performance", "below", page),
        ("info", "carrier", "above", f"{page}#figure-carrier"),
    ]
    assert [_alerts(webhooks)[0][key] for key in ("sentence", "cause")] == [
        "the values of distance have moved",
        "The unit has changed.",
    ]
    assert len(Alerts(tmp_path / "alerts").read()["open"]) == 3


def test_earlier_windows_count_for_what_is_certain_of_a_metric(write: Callable[..., Path], tmp_path: Path) -> None:
    """Of the window itself too few labels are known, of the one before it all."""
    metric: dict[str, Any] = {"subject": "performance", "measure": "realised", "threshold": 0.8, "side": "below"}
    window = write(finding("auc", 0.75, alerts=False, **{**metric, "low": 0.6, "high": 0.9}))
    record = MonitoredWindow(window).read()
    before = record | {"begin": "2025-06-01T00:00:00+00:00", "end": "2025-06-02T00:00:00+00:00"}
    before["findings"] = [finding("auc", 0.7, alerts=True, low=0.65, high=0.75, **metric), finding("distance", 0.5)]
    MonitoredWindow(window).write_again([WindowRecord(**before)])  # type: ignore[typeddict-item]
    executor.run(alerts=str(tmp_path / "alerts"), window=str(window), state=str(tmp_path / "state"))
    (alert,) = Alerts(tmp_path / "alerts").read()["open"]
    assert (alert["feature"], alert["side"], alert["end"]) == ("performance auc", "below", before["end"])


def _alerts(webhooks: Webhooks) -> list[dict[str, Any]]:
    return [body["events"][0]["alert"] for body in webhooks.taken]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, r"window\.json does not exist: expected a window from WindowMonitor"),
        ("{", "expected a window from WindowMonitor"),
        ('{"model": "flights"}', "expected a window from WindowMonitor"),
    ],
)
def test_what_is_no_window_is_told(content: str | None, sentence: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "window.json").write_text(content)
    with pytest.raises(DataError, match=sentence):
        executor.run(alerts=str(tmp_path / "alerts"), window=str(tmp_path), state=str(tmp_path / "state"))
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("gs://bucket/a b/report", "https://storage.cloud.google.com/bucket/a%20b/report"),
        ("s3://bucket/report", "https://files.example.com/report"),
        ("s3://other/report", "s3://other/report"),
        ("s3://bucket/deep/report", "https://deep.example.com/report"),
        ("", ""),
    ],
)
def test_a_report_is_opened_at_an_address(uri: str, address: str) -> None:
    links = {"s3://bucket/": "https://files.example.com/", "s3://bucket/deep/": "https://deep.example.com/"}
    assert findings.address(uri, links) == address


def test_a_report_of_this_machine_is_a_file(tmp_path: Path) -> None:
    assert findings.address(str(tmp_path / "a b"), {}) == f"file://{tmp_path}/a%20b"


def test_wrong_settings_are_told_before_anything_is_done(write: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"alerts.chanels: unknown key 'chanels'; did you mean 'channels'"):
        executor.run(
            alerts=str(tmp_path / "alerts"),
            window=str(write()),
            state=str(tmp_path / "state"),
            settings='{"chanels": {}}',
        )
    assert not (tmp_path / "state").exists()
