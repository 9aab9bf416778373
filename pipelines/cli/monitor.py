"""`penstock monitor`: what moved in a window of the requests that a model server has logged."""

import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from penstock.core import progress
from penstock.core.artifacts.gates import OVERALL
from penstock.core.errors import PenstockError
from penstock.core.files import atomic
from penstock.core.page import numbers
from penstock.pipelines.cli import retrain
from penstock.pipelines.cli.options import config_argument, load, set_option
from penstock.pipelines.cli.output.answer import Answer, Failure, json_option
from penstock.pipelines.cli.output.records import MonitoredRequests
from penstock.pipelines.cli.terminal import note, warn

if TYPE_CHECKING:
    from penstock.core.artifacts.alerts import AlertSummary
    from penstock.core.artifacts.monitoring import Finding, WindowRecord
    from penstock.core.artifacts.retraining import RetrainingDecision
    from penstock.pipelines.config.training_pipeline import Config
    from penstock.pipelines.local.monitoring import Monitored
    from penstock.pipelines.local.retraining import Ended

_SHOWN = 20  # features that moved, and sentences on what was left out


@click.command()
@config_argument
@click.option("--window", default="", metavar="LENGTH", help="How long the window is: 30m, 6h, 1d, 2w; 1d by default.")
@click.option("--begin", default="", metavar="TIME", help="Its first moment, such as 2026-11-30 or 2026-11-30T06:00.")
@click.option(
    "--end", default="", metavar="TIME", help="The first moment after it; by default now, or once LENGTH is over."
)
@click.option(
    "--requests",
    default="",
    metavar="FOLDER",
    help="The server's --request-log, or what SageMaker has captured; by default requests.",
)
@click.option("--labels", default="", metavar="FILES", help="Labels that have come: CSV or Parquet, also a pattern.")
@click.option("--model", default="", metavar="NAME", help="The model's name on its server; by default the pipeline's.")
@click.option("--version", type=click.IntRange(min=1), help="The version whose requests are meant; by default all.")
@click.option("--run", default="", metavar="RUN", help="The run to compare with; by default the one that serves.")
@click.option("--baseline", default="", metavar="FOLDER", help="A baseline of ModelMonitor's to compare with.")
@click.option("-o", "--output", default="", metavar="FOLDER", help="Where window.json and report.html are written.")
@click.option("--metrics", default="", metavar="FILE", help="Where the numbers for Prometheus are written as well.")
@click.option("--no-alerts", is_flag=True, help="Tells no channel of the configuration's alerts.")
@click.option("--no-retraining", is_flag=True, help="Decides nothing on a retraining, whatever the window shows.")
@set_option
@json_option
def monitor(
    config: Path,
    window: str,
    begin: str,
    end: str,
    requests: str,
    labels: str,
    model: str,
    version: int | None,
    run: str,
    baseline: str,
    output: str,
    metrics: str,
    no_alerts: bool,
    no_retraining: bool,
    assignments: Sequence[str],
) -> Answer:
    """Compares the requests of a window with the training data, and says what moved and why.

    The requests are those that `penstock serve --request-log` has written. The exit code is 0 if nothing alerts, 1 if
    something does, 2 if what was asked cannot be. Where the configuration has monitoring.alerts, its channels are told;
    where it has monitoring.retraining, the model is trained anew if its policy says so.
    """
    loaded = load(config, assignments)
    from penstock.pipelines import local
    from penstock.pipelines.cli.predictions import show_predictions
    from penstock.pipelines.config.section import from_here

    local.require_runtime()
    given = {"requests": requests, "labels": labels, "output": output}
    places = {name: from_here(path) if path else "" for name, path in given.items()}
    with show_predictions.silent():
        from penstock.pipelines.local import monitoring

        asked = monitoring.Asked(
            model=model, version=version, window=window, begin=begin, end=end, run=run, baseline=baseline, **places
        )
        monitored = monitoring.monitor(loaded, asked)
    if metrics:
        atomic.write_bytes(atomic.local_path(metrics), monitored.folder.metrics.read_bytes())
    return _after(loaded, monitored, alerts=not no_alerts, retraining=not no_retraining)


def _after(config: "Config", monitored: "Monitored", *, alerts: bool, retraining: bool) -> Answer:
    """Tells the channels what comes of a window, and trains anew; a failure of one takes neither the other nor the
    answer away."""
    from penstock.pipelines.local import monitoring

    failures: list[PenstockError] = []
    summary, told, decision = None, None, None
    ended: list[Ended] = []
    if alerts:
        try:
            told = monitoring.send_alerts(config, monitored)
        except PenstockError as error:
            failures.append(error)
        else:
            summary = told.summary if told else None
            failures += [told.error] if told and told.error else []
    if config.retrains and retraining:
        from penstock.pipelines.local.retraining import after_window

        try:
            changed = after_window(config, monitored, warn, note, alerts=alerts)
        except PenstockError as error:
            failures.append(error)
        else:
            decision, ended = changed.result, changed.ended
            failures += [*(one.error for one in ended if one.error), *changed.untold]
        if summary and summary["waiting"]:  # a channel may have taken it with what it was told of retrainings
            with contextlib.suppress(PenstockError):
                summary["waiting"] = monitoring.still_waiting(config, summary["model"])
            if not summary["waiting"] and told and told.error:
                failures.remove(told.error)
    answer = _answer(monitored, summary, decision, ended)
    return replace(answer, failure=Failure.of(failures[0])) if failures else answer


def _answer(
    monitored: "Monitored",
    alerts: "AlertSummary | None",
    decision: "RetrainingDecision | None",
    ended: "Sequence[Ended]",
) -> Answer:
    from penstock.core.artifacts import monitoring

    window = monitored.record
    moved = monitoring.moved(window["findings"])
    labels = window.get("labels")
    for one in [*window["left_out"], *(labels["left_out"] if labels else [])][:_SHOWN]:
        warn(f"left out: {progress.text({one['unit']: one['count']})}: {one['reason']} ({one['example']})")
    for sentence in [*window["notes"], *(labels["notes"] if labels else [])][:_SHOWN]:
        note(sentence)
    result = MonitoredRequests(
        folder=str(monitored.folder.root),
        report=str(monitored.folder.report),
        baseline=str(monitored.baseline),
        moved=len(moved),
        window=window,
        alerts=alerts,
        retraining=decision,
    )
    later = [sentence for one in window.get("measured_again", []) for sentence in one["alerts"]]
    failure = Failure("Alert", _counted(moved, len(later)), [], 1) if moved or later else None
    lines = retrain.decision_lines(decision, ended) if decision else []
    return Answer(result, lambda: "\n".join([*_lines(monitored, moved, alerts), *lines]), failure)


def _counted(moved: "Sequence[Finding]", later: int) -> str:
    """Returns what alerts, counted: `2 features and 1 prediction moved, 1 metric is beyond its limit`.

    `later` are the metrics of earlier windows, of which labels have come.
    """
    kinds = {"dependence": ("pair of features", "pairs of features")}
    counts = Counter(one["subject"] for one in moved)
    metrics = counts.pop("performance", 0) + later
    words = [f"{count} {kinds.get(subject, (subject, f'{subject}s'))[count > 1]}" for subject, count in counts.items()]
    first = f"{', '.join(words[:-1])} and " if words[:-1] else ""
    parts = [f"{first}{words[-1]} moved"] if words else []
    if metrics:
        parts.append(
            f"{metrics} metric{'s are' if metrics > 1 else ' is'} beyond {'their' if metrics > 1 else 'its'} limit"
        )
    return ", ".join(parts)


def _lines(monitored: "Monitored", moved: "Sequence[Finding]", alerts: "AlertSummary | None") -> Iterator[str]:
    yield _summary(monitored.record)
    yield ""
    for one in moved[:_SHOWN]:
        subject = "prediction: " if one["subject"] == "prediction" and one["name"] != "prediction" else ""
        share = f" (importance {numbers.percentage(one['importance'])})" if "importance" in one else ""
        yield f"{subject}{one['name']}{share}"
        yield f"  {one['sentence']}"
        if one["cause"]:
            yield f"  {one['cause']}"
    if len(moved) > _SHOWN:
        yield f"and {len(moved) - _SHOWN} more"
    if not moved and monitored.record["rows"]:
        yield "nothing moved"
    yield from _realised(monitored.record)
    for metric in monitored.record.get("performance", []):
        value, low = numbers.number(metric["value"]), numbers.number(metric["low"])
        high, before = numbers.number(metric["high"]), numbers.number(metric["evaluation"])
        yield f"{metric['metric']} most likely {value} ({low} to {high}); in the evaluation {before}"
    yield ""
    yield f"baseline   {monitored.baseline}"
    yield f"window     {monitored.folder.path}"
    yield f"report     {monitored.folder.report}"
    if alerts:
        yield f"alerts     {_changes(alerts)}"


def _realised(window: "WindowRecord") -> Iterator[str]:
    """Yields the metrics of all labelled rows, and the earlier windows of which labels have come."""
    metrics = [one for one in window.get("realised", []) if one["slice"] == OVERALL and one["value"] is not None]
    for one in metrics:
        interval = ""
        if one["low"] is not None and one["high"] is not None:
            interval = f" ({numbers.number(one['low'])} to {numbers.number(one['high'])})"
        before = "" if one["evaluation"] is None else f"; in the evaluation {numbers.number(one['evaluation'])}"
        labelled = progress.text({"labelled rows": one["rows"]})
        counted = f"of {labelled} ({numbers.percentage(one['rows'] / window['rows'])})"
        yield f"{one['metric']} {numbers.number(one['value'])}{interval} {counted}{before}"
    for earlier in window.get("measured_again", []):
        period = numbers.period(*(datetime.fromisoformat(earlier[bound]) for bound in ("begin", "end")))
        labelled, rows, before = (numbers.count(earlier[key]) for key in ("labelled", "rows", "labelled_before"))
        yield f"measured again: {period}: rows with a label: {labelled} of {rows}, before {before}"
        yield from (f"  {sentence}" for sentence in earlier["alerts"])


def _changes(alerts: "AlertSummary") -> str:
    """Returns what the channels were told: `2 opened, 1 resolved; 3 are open`."""
    kinds = Counter(event["kind"] for event in alerts["events"] if event["kind"] != "ongoing")
    changes = ", ".join(f"{count:,} {kind}" for kind, count in kinds.items()) or "nothing new"
    waiting = sum(alerts["waiting"].values())
    return f"{changes}; {len(alerts['open']):,} open" + (
        f"; {waiting:,} {'messages wait' if waiting > 1 else 'message waits'}" if waiting else ""
    )


def _summary(window: "WindowRecord") -> str:
    period = numbers.period(datetime.fromisoformat(window["begin"]), datetime.fromisoformat(window["end"]))
    sampled = f", {numbers.percentage(window['sampled'])} of all" if window["sampled"] < 1 else ""
    rows, requests = progress.text({"rows": window["rows"]}), progress.text({"requests": window["requests"]})
    counted = f"{rows} in {requests}{sampled}"
    versions = f", version {', '.join(map(str, window['versions']))}" if window["versions"] else ""
    return f"{window['model'] or 'requests'}: {period} (UTC): {counted}{versions}"
