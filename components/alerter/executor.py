"""The work of Alerter: decides on a window, writes down what is to be told, and tells it.

The Retrainer has its notices told here as well: by the same channels, through the same outbox.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from penstock.components.alerter import channels as channels_
from penstock.components.alerter import decisions, findings, outbox, retrainings
from penstock.components.alerter import settings as settings_
from penstock.components.alerter.decisions import Window
from penstock.components.alerter.outbox import Failure
from penstock.components.alerter.retrainings import News
from penstock.components.alerter.settings import Settings
from penstock.components.alerter.state import ALERTS
from penstock.core import artifacts, progress
from penstock.core.artifacts import TaskResult
from penstock.core.artifacts.alerts import Alerts, AlertSummary
from penstock.core.errors import PenstockError, ServerError, SystemFailure, UserError
from penstock.core.state import open_folder


@dataclass(frozen=True)
class Told:
    """What a run has done, and why a channel did not take a message."""

    summary: AlertSummary
    error: PenstockError | None


def run(*, alerts: str, window: str, state: str, settings: str = "", report_uri: str = "") -> TaskResult:
    """Tells the channels what comes of a window; component.py describes the arguments.

    Raises a ConfigError for wrong settings, a DataError for what is no window, and a PenstockError if a channel did not
    take a message: after the others have been told and the artifact is written, with the message kept for the next run.
    """
    told = tell(Path(alerts), Path(window), state, settings, report_uri)
    if told.error:
        raise told.error
    is_open, events = told.summary["open"], told.summary["events"]
    return TaskResult({"alerts": artifacts.metadata(open=len(is_open), events=len(events))})


def tell(alerts: Path, window: Path, state: str, settings: str, report_uri: str) -> Told:
    """Does the work; what a channel does not take is no error here."""
    parsed = settings_.read(settings)
    report = findings.address(report_uri, parsed.links)
    return tell_windows(alerts, findings.read(window, report), state, parsed, datetime.now(UTC))


def tell_windows(alerts: Path, windows: Sequence[Window], state: str, settings: Settings, now: datetime) -> Told:
    """Does the work for windows of a model that are read already, the newest last, at a moment."""
    newest = windows[-1]
    channels, folder = channels_.make(settings.channels), open_folder(state, ALERTS)
    with progress.task("Alerter") as counts, folder.held():
        memory = folder.read()
        events = outbox.decide(memory, windows, settings, channels, now)
        folder.write(memory)
        failures = outbox.deliver(memory, newest.model, folder, settings, channels, now)
        is_open = list(decisions.open_alerts(memory["tracks"][newest.model]))
        summary = AlertSummary(
            model=newest.model,
            begin=newest.begin,
            end=newest.end,
            events=events,
            open=is_open,
            waiting=outbox.waiting(memory, newest.model),
        )
        Alerts(alerts).write(summary)
        counts.update({"open alerts": len(is_open), "events": len(events)})
    return Told(summary, _failed(failures, summary["waiting"]))


def announce(news: News, state: str, settings: Settings, now: datetime) -> PenstockError | None:
    """Tells what is new of retrainings; returns why a channel did not take a message, which the next run tells."""
    channels, folder = channels_.make(settings.channels), open_folder(state, ALERTS)
    seen = folder.read()
    if not retrainings.put(seen, news, channels, now) and not retrainings.wait(seen, news.model):
        return None  # most windows have no news: then nobody else is kept waiting
    with folder.held():
        memory = folder.read()
        retrainings.put(memory, news, channels, now)
        folder.write(memory)
        if not retrainings.wait(memory, news.model):
            return None
        failures = outbox.deliver(memory, news.model, folder, settings, channels, now)
        return _failed(failures, outbox.waiting(memory, news.model))


def _failed(failures: list[Failure], waiting: Mapping[str, int]) -> PenstockError | None:
    """Returns one error of all channels that did not take a message; the first sentence of each is told."""
    if not failures:
        return None
    reasons: dict[str, PenstockError] = {}
    for failure in failures:
        reasons.setdefault(failure.channel, failure.error)
    kept = "; ".join(f"{name} ({waiting.get(name, 0)}): {one.message}" for name, one in reasons.items())
    message = f"messages that were not taken are kept for the next run: {kept}"
    is_users = all(isinstance(error, UserError) for error in reasons.values())
    return ServerError(message) if is_users else SystemFailure(message)


if __name__ == "__main__":
    run(**json.loads(sys.argv[1]))
