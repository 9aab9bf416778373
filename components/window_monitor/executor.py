"""The work of WindowMonitor: reads a window's requests, compares them with the baseline, and writes what moved."""

import json
import sys
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from penstock.components.engines import open_engine
from penstock.components.monitoring import sensitivity
from penstock.components.monitoring.measures.reference import Reference
from penstock.components.monitoring.predictions import Predictions
from penstock.components.monitoring.windows.files import Selection
from penstock.components.monitoring.windows.inputs import Features
from penstock.components.monitoring.windows.requests import Requests
from penstock.components.monitoring.windows.window import Window
from penstock.components.window_monitor import counting, findings, metrics, performance, places
from penstock.components.window_monitor.counting import Baseline, Counted, Part
from penstock.components.window_monitor.findings import Compared
from penstock.components.window_monitor.performance import Rows
from penstock.components.window_monitor.places import History
from penstock.components.window_monitor.report import page as window_page
from penstock.core import artifacts, progress
from penstock.core.artifacts.artifact import GateResult
from penstock.core.artifacts.monitoring import (
    BaselineRecord,
    EstimatedMetric,
    MonitoredWindow,
    MonitoringBaseline,
    Subject,
    WindowRecord,
    moved,
)
from penstock.core.files import atomic
from penstock.core.labels import Label
from penstock.core.suggestions import listed

_HISTORY = 60  # windows before, on the page
_FEW_ROWS = 50


def run(
    *,
    window: str,
    report: str = "",
    baseline: str,
    requests: str,
    window_length: str = "1d",
    begin: str = "",
    end: str = "",
    model: str = "",
    version: int = 0,
    history: str = "",
    engine: str = "local",
    baseline_uri: str = "",
    now: datetime | None = None,
) -> GateResult:
    """Writes the window and its page; component.py describes the arguments. `now` is for tests.

    Returns whether nothing alerts. Raises a ConfigError for a window, a model or a folder that there is not, and a
    DataError if there is no baseline; what is wrong with requests is in the window, and no error.
    """
    times = Window.of(window_length, begin, end, now)
    source = MonitoringBaseline(atomic.local_path(baseline))
    record = source.read()
    asked = Features.of(artifacts.read_schema(source.schema), record["label_name"])
    selection = Selection(model, version or None)
    with open_engine(engine) as opened, progress.task("WindowMonitor") as counts:
        counts.show(rows=0)
        compared_with = _baseline(record)
        with places.request_log(requests, selection, times) as folder:
            log = Requests.open(folder, selection, times, asked)
            counted = counting.count(opened, log, compared_with)
        counts.show(rows=counted.account.rows)
        parts = _parts(compared_with, counted, source, record)
        result = _record(record, log, counted, parts, baseline_uri or str(source.root))
        if estimated := _performance(compared_with, counted, source):
            result["performance"] = estimated
        kept = History(history, selection.version) if history else None
        before = kept.before(result["model"], times.begin, _HISTORY) if kept else []
        page = window_page.Page(result, before, parts, record)
        _write(MonitoredWindow(Path(window)), page, report)
        if kept:
            kept.add(result)
        alerts = len(moved(result["findings"]))
        counts.update({"alerting features": alerts})
    properties = artifacts.metadata(alerts=alerts, rows=result["rows"], begin=result["begin"], end=result["end"])
    return GateResult({"window": properties}, blessed=not alerts)


def _write(target: MonitoredWindow, page: window_page.Page, report: str) -> None:
    """Writes the window, its record last; the page to `report` as well."""
    for path in [target.report, *([Path(report)] if report else [])]:
        window_page.write(path, page)
    metrics.write(target.metrics, page.window)
    target.write(page.window)


def _baseline(record: BaselineRecord) -> Baseline:
    label = record["label"]
    known = Label(**{**label, "classes": tuple(label["classes"])}) if label else None
    predictions = record["predictions"]
    return Baseline(
        Reference.of_document(record["features"]),
        Reference.of_document(predictions) if predictions else None,
        Predictions(known),
    )


def _parts(baseline: Baseline, counted: Counted, source: MonitoringBaseline, record: BaselineRecord) -> list[Compared]:
    parts: list[tuple[Subject, Reference | None, Part | None, Path]] = [
        ("feature", baseline.features, counted.features, source.sample),
        ("prediction", baseline.predictions, counted.predictions, source.evaluation),
    ]
    rate, fixed = record["false_alarm_rate"], record["fixed"]
    return [
        Compared(
            subject,
            reference,
            sensitivity.of(subject, rate, fixed, baseline.predictions is not None),
            part.counts,
            _table(rows),
            part.sample.table(),
        )
        for subject, reference, part, rows in parts
        if reference and part
    ]


def _performance(baseline: Baseline, counted: Counted, source: MonitoringBaseline) -> list[EstimatedMetric]:
    if counted.predictions is None:
        return []
    features = counted.features.sample.table() if counted.is_paired else pa.table({})
    return performance.estimated(
        baseline.outputs.label,
        Rows(_table(source.evaluation_rows), _table(source.evaluation)),
        Rows(features, counted.predictions.sample.table()),
        baseline.features.bins,
    )


def _table(path: Path) -> pa.Table:
    return pq.read_table(path) if path.is_file() else pa.table({})


def _record(
    record: BaselineRecord, log: Requests, counted: Counted, parts: list[Compared], baseline: str
) -> WindowRecord:
    account = counted.account
    return WindowRecord(
        model=log.selection.model,
        versions=sorted(account.versions),
        begin=log.window.begin.isoformat(),
        end=log.window.end.isoformat(),
        requests=account.requests,
        rows=account.rows,
        sampled=account.sampled,
        baseline=baseline,
        left_out=account.left_out.listed(),
        notes=_notes(record, counted),
        findings=findings.of_window(parts, record["importance"]),
    )


def _notes(record: BaselineRecord, counted: Counted) -> list[str]:
    account = counted.account
    notes = [f"{one['count']:,} {one['unit']}: {one['reason']} ({one['example']})" for one in account.odd.listed()]
    if account.unknown:
        names = [f"{name!r} ({count:,} rows)" for name, count in account.unknown.most_common()]
        notes.append(f"features that the schema does not know, which are not measured: {listed(names)}")
    if not account.rows:
        there = "no request in the window can be read" if account.requests else "there is no request in the window"
        notes.append(f"{there}: nothing was measured")
    elif account.rows < _FEW_ROWS:
        notes.append(f"so few rows ({account.rows}) show only large shifts: choose a longer window")
    return notes + record["notes"]


if __name__ == "__main__":
    run(**json.loads(sys.argv[1]))
