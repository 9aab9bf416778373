"""The work of WindowMonitor: reads a window's requests, compares them with the baseline, and writes what moved."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from penstock.components.engines import open_engine
from penstock.components.monitoring import sensitivity
from penstock.components.monitoring.labels.source import LabelSource
from penstock.components.monitoring.measures import dependence, thresholds
from penstock.components.monitoring.measures.reference import Reference
from penstock.components.monitoring.windows.files import Selection
from penstock.components.monitoring.windows.requests import Requests
from penstock.components.monitoring.windows.window import Window
from penstock.components.window_monitor import counting, findings, metrics
from penstock.components.window_monitor import drift as comparing
from penstock.components.window_monitor import performance as estimating
from penstock.components.window_monitor.asked import Asked, Known, table
from penstock.components.window_monitor.counting import Counted, Part
from penstock.components.window_monitor.drift import Drift
from penstock.components.window_monitor.findings import Compared
from penstock.components.window_monitor.judging import Limits
from penstock.components.window_monitor.performance import Rows
from penstock.components.window_monitor.places import History
from penstock.components.window_monitor.report import page as window_page
from penstock.core import artifacts, progress
from penstock.core.artifacts.artifact import GateResult
from penstock.core.artifacts.monitoring import (
    BaselineRecord,
    EstimatedMetric,
    MonitoredWindow,
    Subject,
    WindowRecord,
    moved,
)
from penstock.core.files import atomic
from penstock.core.suggestions import listed

_HISTORY = 60  # windows before, on the page


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
    instances: str = "",
    history: str = "",
    labels: str = "",
    performance: str = "",
    drift: str = "",
    engine: str = "local",
    baseline_uri: str = "",
    now: datetime | None = None,
) -> GateResult:
    """Writes the window and its page; component.py describes the arguments. `now` is for tests.

    Returns whether nothing alerts, in the window and in those that labels have come for. Raises a ConfigError for a
    window, a model or a folder that there is not, and a DataError if there is no baseline; what is wrong with requests
    or labels is in the window, and no error.
    """
    now = now or datetime.now(UTC)
    times = Window.of(window_length, begin, end, now)
    known = Known.read(atomic.local_path(baseline), baseline_uri, instances)
    limits, source = Limits.read(performance, known.record.get("judged")), LabelSource.from_json(labels)
    wanted = Drift.read(drift)
    if source:
        from penstock.components.window_monitor.realised import join  # with TensorFlow, before workers are forked
    selection = Selection(model, version or None)
    with open_engine(engine, Path(window)) as opened, progress.task("WindowMonitor") as counts:
        counts.show(rows=0)
        asked = Asked(opened, known, requests, selection)
        kept = History(history, selection.version) if history else None
        result, parts, before = _compared(asked, times, limits, kept, wanted, source.earliest(now) if source else None)
        counts.show(rows=result["rows"])
        again = join.join(asked, source, limits, result, before, now) if source else []
        target = MonitoredWindow(Path(window))
        _write(target, window_page.Page(result, before[-_HISTORY:], parts, known.record), again, report)
        if kept:
            for earlier in again:
                kept.add(earlier)
            kept.add(result, comparing.counts(parts))
        alerts = len(moved(result["findings"])) + sum(len(one["alerts"]) for one in result.get("measured_again", []))
        counts.update({"alerting features": alerts})
    properties = artifacts.metadata(alerts=alerts, rows=result["rows"], begin=result["begin"], end=result["end"])
    return GateResult({"window": properties}, blessed=not alerts)


def _compared(
    asked: Asked,
    times: Window,
    limits: Limits,
    kept: History | None,
    wanted: Drift | None,
    since: datetime | None,
) -> tuple[WindowRecord, list[Compared], list[WindowRecord]]:
    """Returns the record of a window beside the baseline and a window before, what its page draws, and those before.

    Those before are the newest, and all that end at `since` or later.
    """
    known = asked.known
    with asked.within(times) as log:
        counted = counting.count(asked.engine, log, known.compared)
    parts, result = _parts(known, counted), _record(known, log, counted)
    before = kept.before(result["model"], times.begin, _HISTORY, since) if kept else []
    reference = wanted.reference(kept, before, result) if kept and wanted else None
    then = kept.counts(reference) if kept and reference else None
    earlier = comparing.compared(parts, then) if then else []
    with_training = comparing.shared(parts) if earlier else parts
    result["findings"] = findings.of_window([*with_training, *earlier], known.record["importance"])
    if earlier and reference:
        result["compared_with"] = reference["begin"]
    elif wanted and result["rows"]:
        result["notes"].append("the history has no window of the same baseline that this one can be compared with")
    if estimated := _performance(known, counted):
        result["performance"] = estimated
        judged = [limits.estimated(metric, result["rows"]) for metric in estimated]
        result["findings"] = findings.with_performance(result["findings"], filter(None, judged))
    return result, parts, before


def _write(target: MonitoredWindow, page: window_page.Page, again: list[WindowRecord], report: str) -> None:
    """Writes the window, its record last; the page to `report` as well."""
    for path in [target.report, *([Path(report)] if report else [])]:
        window_page.write(path, page)
    metrics.write(target.metrics, page.window, page.before)
    target.write_again(again)
    target.write(page.window)


def _parts(known: Known, counted: Counted) -> list[Compared]:
    compared, source, record = known.compared, known.source, known.record
    parts: list[tuple[Subject, Reference | None, Part | None, Path]] = [
        ("feature", compared.features, counted.features, source.sample),
        ("prediction", compared.predictions, counted.predictions, source.evaluation),
    ]
    rate, fixed = record["false_alarm_rate"], record["fixed"]
    return [
        Compared(
            subject,
            reference,
            sensitivity.of(subject, rate, fixed, compared.predictions is not None),
            part.counts,
            table(rows),
            part.sample.table(),
        )
        for subject, reference, part, rows in parts
        if reference and part
    ]


def _performance(known: Known, counted: Counted) -> list[EstimatedMetric]:
    if counted.predictions is None:
        return []
    features = counted.features.sample.table() if counted.is_paired else pa.table({})
    return estimating.estimated(
        known.compared.outputs.label,
        Rows(table(known.source.evaluation_rows), table(known.source.evaluation)),
        Rows(features, counted.predictions.sample.table()),
        known.compared.features.bins,
    )


def _record(known: Known, log: Requests, counted: Counted) -> WindowRecord:
    account = counted.account
    return WindowRecord(
        model=log.selection.model,
        versions=sorted(account.versions),
        begin=log.window.begin.isoformat(),
        end=log.window.end.isoformat(),
        requests=account.requests,
        rows=account.rows,
        sampled=account.sampled,
        baseline=known.uri,
        left_out=account.left_out.listed(),
        notes=_notes(known.record, counted),
        findings=[],
    )


def _notes(record: BaselineRecord, counted: Counted) -> list[str]:
    account = counted.account
    notes = [
        f"{progress.text({one['unit']: one['count']})}: {one['reason']} ({one['example']})"
        for one in account.odd.listed()
    ]
    if len(account.versions) > 1:
        shares = [f"{version} ({_rows(count)})" for version, count in account.versions.most_common()]
        notes.append(
            f"several versions have answered: {listed(shares)}: predictions and metrics are of all of them together, "
            "and the baseline is of one: --version looks at one alone"
        )
    if account.unknown:
        names = [f"{name!r} ({_rows(count)})" for name, count in account.unknown.most_common()]
        notes.append(f"features that the schema does not know, which are not measured: {listed(names)}")
    if not account.rows:
        there = "no request in the window can be read" if account.requests else "there is no request in the window"
        notes.append(f"{there}: nothing was measured")
    elif account.rows < thresholds.FEWEST_ROWS:
        least = thresholds.FEWEST_ROWS
        notes.append(f"{_rows(account.rows)} cannot be judged but by thresholds that are set: others take {least}")
    elif account.rows < dependence.FEWEST_ROWS:
        least = dependence.FEWEST_ROWS
        notes.append(
            f"so few rows ({account.rows}) show only large shifts, and not how features go together, which takes "
            f"{least}: choose a longer window"
        )
    return notes + record["notes"]


def _rows(count: int) -> str:
    return progress.text({"rows": count})


if __name__ == "__main__":
    run(**json.loads(sys.argv[1]))
