"""What a message says, for every channel: its title, its facts line by line, and its text."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from penstock.components.alerter import decisions, notices
from penstock.components.alerter.state import Message, retrainings
from penstock.components.alerter.state import model as model_of
from penstock.core import progress
from penstock.core.artifacts.alerts import Alert, AlertEvent, EventKind, Severity
from penstock.core.artifacts.retraining import RetrainingNotice
from penstock.core.page import numbers
from penstock.core.text import printable

_KINDS: dict[EventKind, str] = {
    "opened": "alert",
    "escalated": "alert has become more severe",
    "ongoing": "alert is still open",
    "resolved": "resolved",
}
_LONGEST_NAME = 120  # characters
_LISTED = 50  # alerts of a summary that are listed by name


def of_events(events: list[AlertEvent], channels: list[str], now: datetime) -> Message:
    """Returns the message of an event, or of several that are alike, which waits for some channels."""
    return Message(
        id=events[0]["id"],
        severity=highest(event["alert"]["severity"] for event in events),
        events=events,
        is_summary=False,
        made=now.isoformat(),
        waits=channels,
    )


def of_retraining(notice: RetrainingNotice, channels: list[str], now: datetime) -> Message:
    """Returns the message of what has become of a retraining, which waits for some channels."""
    return Message(
        id=notice["id"],
        severity=notices.SEVERITIES[notice["kind"]],
        events=[],
        retrainings=[notice],
        is_summary=False,
        made=now.isoformat(),
        waits=channels,
    )


def by_feature(events: Sequence[AlertEvent]) -> list[list[AlertEvent]]:
    """Returns events in groups that are told in one message: what has become of a feature's measures in a window."""
    groups: dict[tuple[str, str, str], list[AlertEvent]] = {}
    for event in events:
        alert = event["alert"]
        groups.setdefault((alert["end"], alert["feature"], event["kind"]), []).append(event)
    return list(groups.values())


def summary(messages: list[Message], channel: str, now: datetime) -> Message:
    """Returns one message in place of several, for a channel that has got as many as it may. Its id is theirs."""
    return Message(
        id=f"{decisions.digest(channel, *(message['id'] for message in messages))}-summary",
        severity=highest(message["severity"] for message in messages),
        events=[event for message in messages for event in message["events"]],
        retrainings=[notice for message in messages for notice in retrainings(message)],
        is_summary=True,
        made=now.isoformat(),
        waits=[channel],
    )


def highest(severities: Iterable[Severity]) -> Severity:
    """Returns the highest of some severities."""
    return max(severities, key=decisions.SEVERITIES.index)


def title(message: Message) -> str:
    """Returns a message in one line."""
    if not message["is_summary"]:
        return _titles(message)[0] + _more(len(message["events"]) - 1)
    counts = {"more alerts": len(message["events"]), "notices of retrainings": len(retrainings(message))}
    counted = [progress.text({unit: count}) for unit, count in counts.items() if count]
    ended = sum(event["kind"] == "resolved" for event in message["events"])
    resolved = f", {ended:,} of them resolved" if ended else ""
    model = _name(model_of(message))
    return f"[{message['severity']}] {model}: {' and '.join(counted)} in one message{resolved}"


def event_title(event: AlertEvent) -> str:
    """Returns an event in one line: `[critical] flights: alert: distance: jensen shannon is 0.31 (at most 0.1)`."""
    alert = event["alert"]
    feature = f"{_name(alert['feature'])}: " if alert["feature"] else ""
    return f"[{alert['severity']}] {_name(alert['model'])}: {_KINDS[event['kind']]}: {feature}{_measured(alert)}"


def facts(message: Message) -> dict[str, str]:
    """Returns what is known of a message's alerts or of its retraining, by what a person calls it; what is not known is
    left out."""
    if known := retrainings(message):
        return notices.facts(known[0])
    first, *others = message["events"]
    rows = {**event_facts(first), "Also": "; ".join(_measured(event["alert"]) for event in others)}
    return {name: text for name, text in rows.items() if text}


def event_facts(event: AlertEvent) -> dict[str, str]:
    """Returns what is known of an alert, by what a person calls it; what is not known is left out."""
    alert = event["alert"]
    importance = numbers.percentage(alert["importance"])
    rows = {
        "Resolved": event["reason"],
        "Finding": alert["sentence"],
        "Likely cause": alert["cause"],
        "Feature": _name(alert["feature"]) if alert["feature"] else "",
        "Measure": measure(alert),
        "Value": numbers.number(alert["value"]),
        "Threshold": _threshold(alert),
        "Severity": alert["severity"],
        "Importance": importance and f"{importance} of the most important feature's",
        "Window": f"{numbers.period(_utc(alert['begin']), _utc(alert['end']))} UTC",
        "Rows": numbers.count(alert["sample_size"]),
        "Open since": "" if alert["opened"] == alert["end"] else f"{_time(alert['opened'])} UTC",
        "Report": alert["report"],
        "Alert": alert["id"],
    }
    return {name: printable.sentence(text) for name, text in rows.items() if text}


def text(message: Message) -> str:
    """Returns a message as plain text, without its title."""
    if not message["is_summary"]:
        return "\n".join(f"{name}: {value}" for name, value in facts(message).items())
    titles = _titles(message)
    if len(titles) > _LISTED:
        titles[_LISTED:] = [f"and {len(titles) - _LISTED:,} more"]
    return "\n".join([*titles, *(f"Report: {report}" for report in reports(message))])


def reports(message: Message) -> list[str]:
    """Returns where what a message tells of is shown. A summary names whole pages, so that it does not grow too long
    for a channel.
    """
    known = retrainings(message)
    links = [*(event["alert"]["report"] for event in message["events"]), *(notice["report"] for notice in known)]
    links = [link for link in links if link]
    if message["is_summary"]:
        links = [link.partition("#")[0] for link in links]
    return list(dict.fromkeys(links))[:_LISTED]


def record(message: Message) -> dict[str, object]:
    """Returns a message as programs read it: JSON with alerts and retrainings, and what a person reads of them."""
    known = retrainings(message)
    kind = "summary" if message["is_summary"] else "retraining" if known else message["events"][0]["kind"]
    return {
        "id": message["id"],
        "kind": kind,
        "severity": message["severity"],
        "time": message["made"],
        "title": title(message),
        "text": text(message),
        "events": message["events"],
        "retrainings": known,
    }


def is_good(message: Message) -> bool:
    """Whether it has only good news: of alerts that have ended, or of a retraining that is done."""
    kinds = [*(event["kind"] for event in message["events"]), *(notice["kind"] for notice in retrainings(message))]
    return all(kind in ("resolved", "done") for kind in kinds)


def is_link(report: str) -> bool:
    """Whether a report can be opened from anywhere, which a file of this machine cannot."""
    return report.startswith(("http://", "https://"))


def measure(alert: Alert) -> str:
    """Returns a measure's name in words."""
    return _name(alert["measure"].replace("_", " "))


def _titles(message: Message) -> list[str]:
    """Returns a line for each alert and each retraining of a message."""
    return [*map(event_title, message["events"]), *map(notices.title, retrainings(message))]


def _more(measures: int) -> str:
    return f", and {progress.text({'more measures': measures})}" if measures > 0 else ""


def _measured(alert: Alert) -> str:
    return f"{measure(alert)} is {numbers.number(alert['value'])} ({_threshold(alert)})"


def _name(text: str) -> str:
    """Returns a name that is printable; two features in one are long."""
    return printable.names([text], _LONGEST_NAME)[0]


def _threshold(alert: Alert) -> str:
    least = "at least" if alert["side"] == "below" else "at most"
    return f"{least} {numbers.number(alert['threshold'])}"


def _time(text: str) -> str:
    return numbers.date(_utc(text))


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
