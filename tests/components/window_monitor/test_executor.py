"""A window beside its baseline: quiet where nothing moved, and where something did it says what, why and how much."""

import json
import math
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from penstock.components.model_monitor import executor as model_monitor
from penstock.components.window_monitor import executor
from penstock.core.artifacts import Schema
from penstock.core.artifacts.monitoring import Finding, MonitoredWindow, MonitoringBaseline, WindowRecord
from penstock.core.artifacts.window_history import WindowHistory
from penstock.core.errors import ConfigError, DataError
from penstock.core.examples import records
from tests.components.model_monitor.test_executor import columns, model, schema
from tests.components.monitoring.conftest import NOON, prediction, write_log
from tests.servers.browser import Browser

__all__ = ["model", "write_log"]
ROWS = 1500


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Path:
    """Of 4,000 trips, with the model that knows the miles."""
    from penstock.core import artifacts

    folder = tmp_path_factory.mktemp("baseline")
    for split, seed, rows in (("train", 1, 4000), ("eval", 2, 1000)):
        path = artifacts.Examples(folder / "examples").shard(split, 0, 1)
        records.write(path, records.encode(lists(columns(seed, rows)), skip_nulls=True))
    Schema(folder / "schema").write(schema())
    model_monitor.run(
        baseline=str(folder / "baseline"),
        examples=str(folder / "examples"),
        schema=str(folder / "schema"),
        model=str(model),
        label="late",
        engine="local:1",
    )
    return folder / "baseline"


def lists(values: Mapping[str, Any]) -> pa.RecordBatch:
    arrays = {}
    for name, column in values.items():
        array = column if isinstance(column, pa.Array) else pa.array(column)
        kind = pa.float32() if pa.types.is_floating(array.type) else array.type
        kind = pa.binary() if pa.types.is_string(array.type) else kind
        arrays[name] = pa.array(
            [None if one is None else [one] for one in array.cast(kind).to_pylist()], pa.list_(kind)
        )
    return pa.RecordBatch.from_pydict(arrays)


@pytest.fixture
def monitor(tmp_path: Path, baseline: Path, write_log: Callable[..., Path]) -> Callable[..., WindowRecord]:
    """Returns a function that logs rows as one request, and monitors the hour in which they came."""

    def run(rows: Mapping[str, Any] | None, form: str = "parquet", hours: int = 0, **more: Any) -> WindowRecord:
        if rows is not None:
            features = {name: column for name, column in rows.items() if name != "late"}
            examples = np.array(records.encode(lists(features), skip_nulls=True), object)
            miles = np.array([one or 0.0 for one in pa.array(rows["miles"]).to_pylist()], np.float32)
            request = prediction({"examples": examples}, 3600 * hours + 60)
            request.outputs["probabilities"] = 1 - np.exp(-miles[:, None] / 10)  # type: ignore[index]
            request.outputs.pop("scores")  # type: ignore[attr-defined]
            write_log(form, [request])
        window = tmp_path / f"window-{hours}"
        arguments = {
            "window": str(window),
            "baseline": str(baseline),
            "requests": str(tmp_path / "log"),
            "begin": (NOON + timedelta(hours=hours)).isoformat(),
            "window_length": "1h",
            "history": str(tmp_path / "history"),
            "engine": "local:1",
        }
        result = executor.run(**arguments | more)
        record = MonitoredWindow(window).read()
        assert result.blessed == (not any(one["alerts"] for one in record["findings"]))
        return record

    return run


def alerts(window: WindowRecord, subject: str = "feature") -> dict[str, set[str]]:
    result: dict[str, set[str]] = {}
    for one in window["findings"]:
        if one["alerts"] and one["subject"] == subject:
            result.setdefault(one["name"], set()).add(one["measure"])
    return result


def first(window: WindowRecord, name: str) -> Finding:
    return next(one for one in window["findings"] if one["name"] == name)


@pytest.mark.parametrize("form", ["parquet", "tfrecord"])
def test_a_window_like_training_is_quiet(form: str, monitor: Callable[..., WindowRecord]) -> None:
    window = monitor(columns(7, ROWS), form)
    assert [one for one in window["findings"] if one["alerts"]] == []
    assert (window["model"], window["versions"], window["rows"], window["requests"]) == ("taxi", [3], ROWS, 1)
    assert {one["subject"] for one in window["findings"]} == {"feature", "prediction", "dependence"}
    assert window["left_out"] == []
    assert window["notes"] == []
    accuracy = next(one for one in window["performance"] if one["metric"] == "accuracy")
    truth = np.array(columns(7, ROWS)["late"]) == "yes"
    miles = np.array([one or 0.0 for one in columns(7, ROWS)["miles"].to_pylist()])
    assert accuracy["low"] < float(((1 - np.exp(-miles / 10) >= 0.5) == truth).mean()) < accuracy["high"]


def test_what_another_server_has_kept_is_measured_as_our_own_log(
    monitor: Callable[..., WindowRecord], tmp_path: Path
) -> None:
    """In instances that are lists, below a key, with answers of an only output that has no name."""
    rows = columns(8, ROWS)
    own = monitor(rows)
    values = {name: pa.array(rows[name]).to_pylist() for name in ("company", "hour", "miles")}
    instances = [{"features": list(row)} for row in zip(*values.values(), strict=True)]
    scores = [[1 - math.exp(-(miles or 0.0) / 10)] for miles in values["miles"]]
    body = {name: {"observedContentType": "application/json", "encoding": "JSON"} for name in ("in", "out")}
    body["in"]["data"], body["out"]["data"] = json.dumps({"instances": instances}), json.dumps({"predictions": scores})
    about = {"eventId": "1", "inferenceTime": (NOON + timedelta(seconds=60)).strftime("%Y-%m-%dT%H:%M:%SZ")}
    record = {"captureData": {"endpointInput": body["in"], "endpointOutput": body["out"]}, "eventMetadata": about}
    path = tmp_path / "captured" / "taxi" / "current" / NOON.strftime("%Y/%m/%d/%H") / "00-00-1.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(record) + "\n")
    settings = json.dumps({"columns": [*values], "path": "features"})
    window = monitor(None, requests=str(tmp_path / "captured"), instances=settings)
    assert (window["rows"], window["versions"], window["left_out"], window["notes"]) == (ROWS, [], [], [])
    assert window["findings"] == own["findings"]
    with pytest.raises(ConfigError, match=r"instances\.columns: 'mile' is not in the schema; did you mean 'miles'"):
        monitor(None, requests=str(tmp_path / "captured"), instances='{"columns": ["mile"]}')


def test_what_moved_is_told_with_its_likely_cause(monitor: Callable[..., WindowRecord], tmp_path: Path) -> None:
    rows = columns(8, ROWS)
    rows["miles"] = pa.array([None if one is None else one * 1.609344 for one in rows["miles"].to_pylist()])
    rows["company"] = np.char.upper(rows["company"])
    window = monitor(rows)
    assert {"jensen_shannon", "kolmogorov_smirnov"} <= alerts(window)["miles"]
    assert {"new_values", "l_infinity"} <= alerts(window)["company"]
    assert set(alerts(window)) == {"miles", "company"}
    assert "kilometres in place of miles" in first(window, "miles")["cause"]
    assert first(window, "company")["cause"].startswith("Known values are written in another way, such as '")
    assert set(alerts(window, "prediction")) == {"probability", "prediction"}
    page = (tmp_path / "window-0" / "report.html").read_text()
    for one in window["findings"]:
        assert f'id="{one["figure"]}"' in page


def test_a_source_that_fails_is_told(monitor: Callable[..., WindowRecord]) -> None:
    rows = columns(9, ROWS)
    rows["hour"] = pa.array([None if place % 2 else hour for place, hour in enumerate(rows["hour"].tolist())])
    window = monitor(rows)
    assert "missing" in alerts(window)["hour"]
    assert (
        "It is missing in 50% of the rows, in training in 0%: has its source failed?" in first(window, "hour")["cause"]
    )


def test_a_broken_dependence_names_its_pair(
    monitor: Callable[..., WindowRecord], baseline: Path, tmp_path: Path
) -> None:
    record = MonitoringBaseline(baseline).read()
    pairs = record["features"]["joint"]["features"]
    assert pairs == ["miles", "hour", "company"]
    rows = columns(10, ROWS)
    longest = np.argsort([one or 0.0 for one in rows["miles"].to_pylist()])
    rows["hour"] = np.sort(rows["hour"])[np.argsort(longest)]  # late trips are long now
    window = monitor(rows)
    assert (alerts(window), alerts(window, "dependence")) == ({}, {"miles, hour": {"dependence"}})
    assert window["findings"][0]["cause"] == (
        "'miles' and 'hour' go together otherwise than in training, although each alone is as it was."
    )


def test_windows_before_are_kept_and_shown(monitor: Callable[..., WindowRecord], tmp_path: Path) -> None:
    for hour in range(3):
        monitor(columns(20 + hour, 300), hours=hour)
    monitor(None, hours=2)  # once more: it takes its own place
    kept = WindowHistory(tmp_path / "history").before("taxi", NOON + timedelta(days=1), 9)
    assert [one["begin"][11:13] for one in kept] == ["12", "13", "14"]
    (tmp_path / "history" / "taxi" / "20261030T110000Z_20261030T120000Z.json").write_text("damaged")
    monitor(None, hours=2)
    page = (tmp_path / "window-2" / "report.html").read_text()
    assert "2 of them." in page
    assert "2 of them." not in (tmp_path / "window-0" / "report.html").read_text()


def test_an_empty_window_alerts_of_nothing_and_says_so(monitor: Callable[..., WindowRecord], tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    window = monitor(None)
    assert (window["rows"], window["findings"]) == (0, [])
    assert "there is no request in the window: nothing was measured" in window["notes"]
    assert "no requests" in (tmp_path / "window-0" / "report.html").read_text()


def test_requests_that_do_not_parse_are_in_the_window(monitor: Callable[..., WindowRecord], write_log: Any) -> None:
    write_log("parquet", [prediction({"examples": np.array([b"\xff"] * 3, object)}, 30, 1)])
    window = monitor(columns(11, ROWS))
    assert [(one["unit"], one["count"]) for one in window["left_out"]] == [("rows", 3)]
    assert window["rows"] == ROWS


def test_a_window_of_requests_that_do_not_parse_says_so(
    monitor: Callable[..., WindowRecord], write_log: Any, tmp_path: Path
) -> None:
    write_log("parquet", [prediction({"examples": np.array([b"\xff"] * 3, object)}, 30, 1)])
    window = monitor(None)
    assert (window["requests"], window["rows"]) == (1, 0)
    assert "no request in the window can be read: nothing was measured" in window["notes"]
    assert "nothing measured" in (tmp_path / "window-0" / "report.html").read_text()


def test_answers_with_other_outputs_are_told(monitor: Callable[..., WindowRecord], write_log: Any) -> None:
    miles = np.array(records.encode(lists({"miles": np.ones(3)})), object)
    write_log("parquet", [prediction({"examples": miles}, 30, 1)])  # scores in place of probabilities
    window = monitor(columns(11, ROWS))
    assert window["rows"] == ROWS + 3
    (note,) = window["notes"]
    assert note.startswith("3 rows: an answer of other outputs than those of the baseline's model (taxi/3/")
    assert note.endswith("there are scores)")


def test_answers_of_several_versions_are_told(monitor: Callable[..., WindowRecord], write_log: Any) -> None:
    miles = np.array(records.encode(lists({"miles": np.ones(1)})), object)
    write_log("parquet", [prediction({"examples": miles}, 30, 1, version=4)])  # which is on trial
    assert monitor(columns(11, 40))["notes"][-2].startswith("several versions have answered: 3 (40 rows), 4 (1 row): ")
    assert monitor(None, version=4)["versions"] == [4]


def test_without_a_baseline_it_is_said(monitor: Callable[..., WindowRecord], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected a baseline, with baseline.json in it"):
        monitor(columns(1, 10), baseline=str(tmp_path))
    with pytest.raises(ConfigError, match="window: expected a number and a unit"):
        monitor(None, window_length="soon", begin="")


def test_the_page_is_read_on_a_desk_and_on_a_phone(
    monitor: Callable[..., WindowRecord], tmp_path: Path, chromium: Browser
) -> None:
    monitor(columns(20, 300))
    rows = columns(21, 300)
    rows["company"] = np.full(300, "yellow")
    rows["of_a_name_that_is_longer_than_a_line_of_a_phone" * 2] = np.ones(300)  # which a note names
    monitor(rows, hours=1)
    for width in (1280, 400):
        tab = chromium.open(tmp_path / "window-1" / "report.html", width=width)
        assert tab.drawn() >= 8
        assert (tab.too_wide(), tab.errors) == ([], [])
        assert {"13:00", "14:00"} <= set(
            tab.evaluate("[...document.querySelectorAll('svg text')].map(one => one.textContent)")
        )
    moved = "document.querySelector('.table')"  # all of what moved is seen without scrolling, on a phone, too
    assert tab.evaluate(f"{moved}.scrollWidth <= {moved}.clientWidth")
    assert tab.evaluate("document.querySelector('a[href^=\"#\"] code').textContent") == "company"
    assert tab.evaluate("[...document.querySelectorAll('a[href^=\"#\"]')].every(a => document.querySelector(a.hash))")
