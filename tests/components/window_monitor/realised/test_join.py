"""Labels that come later: the same numbers as the Evaluator's, and everything odd about labels told."""

import csv
import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from penstock.components.evaluator.summary.limits import slice_name
from penstock.components.window_monitor import executor
from penstock.components.window_monitor.asked import Known
from penstock.components.window_monitor.realised.question import NotAsked, Question
from penstock.core.artifacts import ModelEvaluation, Schema
from penstock.core.artifacts.monitoring import MonitoringBaseline, WindowRecord
from penstock.core.errors import ConfigError
from tests.components.model_monitor.test_executor import columns
from tests.components.monitoring.conftest import prediction
from tests.components.window_monitor.realised.conftest import Serving
from tests.servers.browser import Browser

type LabelRow = tuple[str, int, str]


def write_csv(
    path: Path, rows: Iterable[tuple[Any, ...]], header: tuple[str, ...] = ("request_id", "row", "late")
) -> Path:
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def labels_of(path: Path, **more: Any) -> str:
    return json.dumps({"files": str(path), **more})


def numbers(window: WindowRecord) -> dict[tuple[str, str], float | None]:
    return {(one["slice"], one["metric"]): one["value"] for one in window["realised"]}


def reasons(window: WindowRecord) -> dict[str, int]:
    return {one["reason"]: one["count"] for one in window["labels"]["left_out"]}


@pytest.mark.parametrize("form", ["parquet", "tfrecord"])
def test_the_numbers_are_the_evaluators(
    form: str, serving: Serving, evaluate: Callable[..., Path], tmp_path: Path
) -> None:
    rows = columns(7, 1500)
    serving.asked(rows, form=form)
    write_csv(tmp_path / "labels" / "a.csv", serving.labels(rows))
    window = serving.monitor(labels=labels_of(tmp_path / "labels"))
    summary = ModelEvaluation(evaluate(rows)).read_summary()
    expected = {
        (slice_name(part["features"]), name): measure["value"]
        for part in summary["slices"]
        for name, measure in part["metrics"].items()
        if name != "example_count"
    }
    assert {slice_ for slice_, _ in expected} == {"overall", "company=blue", "company=green", "company=red"}
    assert numbers(window) == {place: pytest.approx(value, rel=1e-6) for place, value in expected.items()}
    assert (window["labels"]["rows"], window["labels"]["left_out"], window["labels"]["notes"]) == (1500, [], [])
    for one in window["realised"]:
        assert one["low"] < one["value"] < one["high"]  # type: ignore[operator]
        assert one["evaluation"] is not None
    (finding, *slices) = [one for one in window["findings"] if one["subject"] == "performance"]
    assert (finding["name"], finding["threshold"], finding["alerts"], finding["rows"]) == ("auc", 0.6, False, 1500)
    assert len(slices) == 3


def test_a_window_is_measured_again_when_its_labels_come(serving: Serving, tmp_path: Path) -> None:
    first, second = columns(8, 300), columns(9, 300)
    serving.asked(first)
    serving.asked(second, hours=1)
    places = [labels_of(tmp_path / "labels" / "*.csv")] * 4
    window = serving.monitor(labels=places[0])
    assert (window["labels"]["rows"], window["realised"]) == (0, [])
    assert window["labels"]["notes"] == [
        "no row of the window has a label yet",
        f"there are no labels yet: {tmp_path}/labels/*.csv",
    ]
    write_csv(tmp_path / "labels" / "a.csv", serving.labels(first)[:200])
    window = serving.monitor(1, labels=places[1])
    (again,) = window["measured_again"]
    assert (again["labelled"], again["labelled_before"], again["rows"]) == (200, 0, 300)
    assert (again["begin"], again["alerts"]) == (serving.history()[0]["begin"], [])
    assert [one["labels"]["rows"] for one in serving.history()] == [200, 0]
    assert serving.again(1) == [serving.history()[0]]
    assert serving.monitor(1, labels=places[2])["measured_again"] == [again]  # nobody may have been told
    assert serving.again(1) == [serving.history()[0]]
    assert serving.monitor(2, labels=places[2])["measured_again"] == []  # the same files
    write_csv(tmp_path / "others" / "a.csv", serving.labels(first)[:1])
    window = serving.monitor(2, labels=labels_of(tmp_path / "others" / "*.csv"))
    assert [one["labels"]["rows"] for one in serving.history()] == [200, 0, 0]  # what was measured stays
    assert any(
        "keeps its metrics of 200 labelled rows: these files label 1 of" in one for one in window["labels"]["notes"]
    )
    late = [*serving.labels(first)[200:], *serving.labels(second, 1)]
    write_csv(tmp_path / "labels" / "b.csv", late)
    assert [one["labelled"] for one in serving.monitor(1, labels=places[3])["measured_again"]] == [300]
    assert [one["labels"]["rows"] for one in serving.history()] == [300, 300, 0]
    write_csv(tmp_path / "labels" / "c.csv", [("id-9-9", 0, "yes")])
    assert serving.monitor(2, labels=places[3])["measured_again"] == []  # all their labels are there


def test_labels_may_come_so_long_and_not_longer(serving: Serving, tmp_path: Path) -> None:
    rows = columns(8, 100)
    serving.asked(rows)
    write_csv(tmp_path / "labels.csv", [])
    serving.monitor(labels=labels_of(tmp_path / "labels.csv", wait="2h"))
    write_csv(tmp_path / "labels.csv", serving.labels(rows))
    for hours, expected in ((5, []), (1, [100])):
        window = serving.monitor(hours, labels=labels_of(tmp_path / "labels.csv", wait="2h"))
        assert [one["labelled"] for one in window["measured_again"]] == expected


def test_odd_labels_are_counted_and_no_error(serving: Serving, tmp_path: Path) -> None:
    rows = columns(8, 100)
    serving.asked(rows, each=50)
    labels = serving.labels(rows, each=50)
    folder = tmp_path / "labels"
    other = "no" if labels[1][2] == "yes" else "yes"
    odd = [
        labels[0],
        (*labels[1][:2], other),
        ("id-7-7", 3, "yes"),
        (*labels[2][:2], "perhaps"),
        ("", 1, "yes"),
        ("x", 1, ""),
    ]
    write_csv(folder / "a.csv", [*labels[:2], *labels[3:90], *odd, ("id-0-1", "one", "yes")])
    (folder / "b.csv").write_text("request_id,row,late\n1,2\n")
    (folder / "c.parquet").write_bytes(b"PAR1 and no more")
    (folder / "d.csv").write_text("request_id,row,on_time\nid,1,no\n")
    (folder / "e.tfrecord").write_bytes(b"")
    window = serving.monitor(labels=labels_of(folder))
    assert window["labels"]["rows"] == 88
    assert reasons(window) == {
        "a label that is there more than once: it counts once": 1,
        "labels of the same key that contradict one another: none of them counts": 2,
        "a labelled row whose label the model does not know": 1,
        "a label without a key": 1,
        "a key without a label": 1,
        "a row that cannot be read": 2,
        "a file that cannot be read": 1,
        "a file without the column 'late'": 1,
        "a file that is neither CSV nor Parquet": 1,
    }
    assert window["labels"]["notes"] == ["labels of no row in the windows that were looked at: 1"]
    with pytest.raises(ConfigError, match=r"labels: .*d\.csv: there is no column 'late'; it has"):
        serving.monitor(labels=labels_of(folder / "d.csv"))
    with pytest.raises(ConfigError, match=r"labels\.key: no request has a feature 'trip'"):
        serving.monitor(labels=labels_of(folder, key=["trip"]))


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_key_may_be_several_features_and_be_shared(suffix: str, serving: Serving, tmp_path: Path) -> None:
    rows = columns(8, 200)
    serving.asked(rows)
    path = tmp_path / f"labels.{suffix}"
    each = {(int(hour), str(company)): "yes" for hour, company in zip(rows["hour"], rows["company"], strict=True)}
    if suffix == "csv":
        write_csv(path, [(*key, late) for key, late in each.items()], ("hour", "company", "late"))
    else:
        hours, companies = zip(*each, strict=True)
        pq.write_table(pa.table({"hour": hours, "company": companies, "late": list(each.values())}), path)
    window = serving.monitor(labels=labels_of(path, key=["hour", "company"]))
    assert window["labels"]["rows"] == 200
    shared = 200 - len(each)
    assert window["labels"]["notes"] == [
        f"{shared} rows with the key of another row: its label counts for each of them"
    ]
    assert numbers(window)["overall", "auc"] is None  # all of one class


def test_a_request_that_is_wholly_late_alerts_below_the_limit(serving: Serving, tmp_path: Path) -> None:
    rows = columns(8, 400)
    rows["late"] = np.where(rows["late"] == "yes", "no", "yes")  # what it meant, turned round
    serving.asked(rows)
    write_csv(tmp_path / "labels.csv", serving.labels(rows))
    window = serving.monitor(labels=labels_of(tmp_path / "labels.csv"))
    finding = window["findings"][0]
    assert (finding["name"], finding["measure"], finding["side"], finding["alerts"]) == (
        "auc",
        "realised",
        "below",
        True,
    )
    assert finding["sentence"].startswith("AUC of 400 rows with a label 0.")
    assert "; it must be at least 0.6; in the evaluation 0." in finding["sentence"]
    configured = json.dumps({"limits": {"auc": None, "binary_crossentropy": 0.3}})
    window = serving.monitor(labels=labels_of(tmp_path / "labels.csv"), performance=configured)
    alerting = [one for one in window["findings"] if one["alerts"] and one["subject"] == "performance"]
    assert [(one["name"], one.get("side"), one["threshold"]) for one in alerting] == [
        ("binary_crossentropy", None, 0.3)
    ]
    with pytest.raises(ConfigError, match="there is no metric 'au'"):
        serving.monitor(performance='{"limits": {"au": 0.5}}')


def test_a_baseline_without_an_evaluation_says_so(serving: Serving, tmp_path: Path, baseline: Path) -> None:
    rows = columns(8, 50)
    serving.asked(rows)
    shutil.copytree(baseline, tmp_path / "older")
    record = json.loads((tmp_path / "older" / "baseline.json").read_text())
    del record["judged"]
    (tmp_path / "older" / "baseline.json").write_text(json.dumps(record))
    window = serving.monitor(labels=labels_of(tmp_path), baseline=str(tmp_path / "older"))
    assert window["labels"]["notes"] == ["the baseline knows no evaluation of the model: make it of a run that has one"]


def test_an_earlier_window_alerts_once_and_again_only_where_its_run_is_repeated(
    serving: Serving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "_HISTORY", 1)  # which is of the page alone
    rows = columns(8, 300)
    rows["late"] = np.where(rows["late"] == "yes", "no", "yes")
    serving.asked(rows)
    serving.monitor()
    path = write_csv(tmp_path / "labels.csv", serving.labels(rows)[:250])
    (again,) = serving.monitor(1, labels=labels_of(path))["measured_again"]
    assert [sentence.partition(" rows")[0] for sentence in again["alerts"]][:1] == ["AUC of 250"]
    assert serving.monitor(1, labels=labels_of(path))["measured_again"] == [again]
    write_csv(path, serving.labels(rows))
    (later,) = serving.monitor(2, labels=labels_of(path))["measured_again"]
    assert (later["labelled"], later["labelled_before"], later["alerts"]) == (300, 250, [])
    assert any(one["alerts"] for one in serving.again(2)[0]["findings"])


def test_answers_that_cannot_be_measured_do_not_end_a_window(
    serving: Serving, tmp_path: Path, write_log: Callable[..., Path]
) -> None:
    rows = columns(8, 100)
    serving.asked(rows)
    odd = {"none": {}, "two": {"first": np.ones((3, 1), np.float32), "second": np.ones((3, 1), np.float32)}}
    for name, outputs in odd.items():
        one = prediction({"miles": np.ones(3, np.float32)}, 30, name)
        one.outputs.clear()  # type: ignore[attr-defined]
        one.outputs.update(outputs)  # type: ignore[attr-defined]
        write_log("parquet", [one])
    labels = [*serving.labels(rows), *((f"id-{name}", row, "no") for name in odd for row in range(3))]
    window = serving.monitor(labels=labels_of(write_csv(tmp_path / "labels.csv", labels)))
    assert window["labels"]["rows"] == 100
    assert reasons(window) == {
        "a labelled row without an answer": 3,
        "a labelled row whose answer is none that the evaluation's metrics are of": 3,
    }
    assert {one["rows"] for one in window["realised"] if one["slice"] == "overall"} == {100}


def test_windows_beside_a_baseline_that_cannot_be_read_as_this_one_are_told(
    serving: Serving, tmp_path: Path, baseline: Path
) -> None:
    rows = columns(8, 50)
    serving.asked(rows)
    older = shutil.copytree(baseline, tmp_path / "older")
    serving.monitor(baseline=str(older))
    path = write_csv(tmp_path / "labels.csv", [(1, "yes")], ("hour", "late"))
    text = Schema(older).path.read_text()
    begins = f"windows beside {older} are not measured again: "
    odd = [
        (text.replace("type: INT", "type: BYTES"), "its schema has other types of the key or the label"),
        (text.replace('"hour"', '"o_clock"'), "labels.key: no request has a feature 'hour'"),
    ]
    for schema, why in odd:
        Schema(older).path.write_text(schema)
        window = serving.monitor(1, labels=labels_of(path, key="hour"))
        assert [note[: len(begins + why)] for note in window["labels"]["notes"][:1]] == [begins + why]
    (older / "baseline.json").write_text("{}")
    window = serving.monitor(1, labels=labels_of(path, key="hour"))
    assert f"{begins}{older}/baseline.json: expected" in window["labels"]["notes"][0]


def test_what_no_request_has_is_not_asked(baseline: Path, tmp_path: Path) -> None:
    changed = shutil.copytree(baseline, tmp_path / "changed")
    schema, notes = Schema(changed).read(), list[str]()
    for feature in schema.feature:
        if feature.name == "company":
            feature.not_in_environment.append("SERVING")
    Schema(changed).write(schema)
    question = Question.of(Known.read(changed), "late", notes)
    assert (dict(question.features), notes) == ({}, ["slices of what no request has are left out: company"])
    config = MonitoringBaseline(changed).eval_config
    spec = '"signatureName"'
    assert spec in config.read_text()
    config.write_text(config.read_text().replace(spec, f'"exampleWeightKey": "company", {spec}'))
    with pytest.raises(NotAsked, match="weighs its rows by 'company', which no request has"):
        Question.of(Known.read(changed), "late", notes)


@pytest.mark.slow
def test_the_page_shows_metrics_over_windows(serving: Serving, tmp_path: Path, chromium: Browser) -> None:
    labels = []
    for hours in range(3):
        rows = columns(40 + hours, 150)
        if hours == 2:
            rows["late"] = np.where(rows["late"] == "yes", "no", "yes")
        serving.asked(rows, hours)
        labels += serving.labels(rows, hours)
        write_csv(tmp_path / "labels.csv", labels)
        serving.monitor(hours, labels=labels_of(tmp_path / "labels.csv"))
    for width in (1280, 400):
        tab = chromium.open(tmp_path / "window-2" / "report.html", width=width)
        assert tab.drawn() >= 6
        assert (tab.too_wide(), tab.errors) == ([], [])
    assert tab.evaluate("[...document.querySelectorAll('a[href^=\"#\"]')].every(a => document.querySelector(a.hash))")
    text = tab.evaluate("document.querySelector('#performance').parentElement.innerText")
    assert "Rows with a label: 150 of 150 (100%)." in text
    assert tab.evaluate("document.querySelector('a[href=\"#performance\"] code').textContent") == "auc"
