"""The work of Alerter: decides on a window, writes down what is to be told, and tells it."""

from datetime import datetime
from pathlib import Path

from penstock.components.alerter import channels as channels_
from penstock.components.alerter import decisions, outbox
from penstock.components.alerter import settings as settings_
from penstock.components.alerter.decisions import Window
from penstock.components.alerter.outbox import Failure
from penstock.components.alerter.state import Folder
from penstock.core import artifacts, progress
from penstock.core.artifacts import TaskResult
from penstock.core.artifacts.alerts import Alerts, AlertState, AlertSummary
from penstock.core.errors import PenstockError, ServerError, SystemFailure, UserError
from penstock.core.files import atomic


def tell(alerts: Path, window: Window, state: str, settings: str, now: datetime) -> TaskResult:
    """Tells the channels what comes of a window, at a moment.

    Raises a PenstockError if a channel did not take a message, after the other channels have been told and the artifact
    is written: the message is kept for the next run.
    """
    parsed = settings_.read(settings)
    channels = channels_.make(parsed.channels)
    folder = Folder(AlertState(atomic.local_path(state)))
    with progress.task("Alerter") as counts, folder.held():
        memory = folder.read()
        events = outbox.decide(memory, window, parsed, channels, now)
        folder.write(memory)
        is_open = list(decisions.open_alerts(memory["tracks"][window.model]))
        failures = outbox.deliver(memory, folder, parsed, channels, now)
        summary = AlertSummary(
            model=window.model,
            begin=window.begin,
            end=window.end,
            events=events,
            open=is_open,
            waiting=outbox.waiting(memory),
        )
        Alerts(alerts).write(summary)
        counts.update({"open alerts": len(is_open), "events": len(events)})
    if failures:
        raise _failed(failures, summary)
    return TaskResult({"alerts": artifacts.metadata(open=len(is_open), events=len(events))})


def _failed(failures: list[Failure], summary: AlertSummary) -> PenstockError:
    """Returns one error of all channels that did not take a message; the first sentence of each is told."""
    reasons: dict[str, PenstockError] = {}
    for failure in failures:
        reasons.setdefault(failure.channel, failure.error)
    told = "; ".join(f"{name} ({summary['waiting'].get(name, 0)}): {one.message}" for name, one in reasons.items())
    message = f"messages that were not taken are kept for the next run: {told}"
    is_users = all(isinstance(error, UserError) for error in reasons.values())
    return ServerError(message) if is_users else SystemFailure(message)
