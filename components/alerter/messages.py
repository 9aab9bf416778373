"""What a message says, for every channel: its title, its facts line by line, and its text."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from penstock.components.alerter import decisions
from penstock.components.alerter.state import Message
from penstock.core.artifacts.alerts import Alert, AlertEvent, EventKind, Severity
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
        others = len(message["events"]) - 1
        more = f", and {others} more measure{'s' if others > 1 else ''}" if others else ""
        return event_title(message["events"][0]) + more
    events = message["events"]
    model = _name(events[0]["alert"]["model"])
    ended = sum(event["kind"] == "resolved" for event in events)
    resolved = f", {ended:,} of them resolved" if ended else ""
    return f"[{message['severity']}] {model}: {len(events):,} more alerts in one message{resolved}"


def event_title(event: AlertEvent) -> str:
    """Returns an event in one line: `[critical] flights: alert: distance: jensen shannon is 0.31 (at most 0.1)`."""
    alert = event["alert"]
    feature = f"{_name(alert['feature'])}: " if alert["feature"] else ""
    return f"[{alert['severity']}] {_name(alert['model'])}: {_KINDS[event['kind']]}: {feature}{_measured(alert)}"


def facts(message: Message) -> dict[str, str]:
    """Returns what is known of a message's alerts, by what a person calls it; what is not known is left out."""
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
    titles = [event_title(event) for event in message["events"][:_LISTED]]
    if len(message["events"]) > _LISTED:
        titles.append(f"and {len(message['events']) - _LISTED:,} more")
    return "\n".join([*titles, *(f"Report: {report}" for report in reports(message))])


def reports(message: Message) -> list[str]:
    """Returns where the alerts of a message are shown. A summary names whole pages, so that it does not grow too long
    for a channel.
    """
    links = [event["alert"]["report"] for event in message["events"] if event["alert"]["report"]]
    if message["is_summary"]:
        links = [link.partition("#")[0] for link in links]
    return list(dict.fromkeys(links))[:_LISTED]


def record(message: Message) -> dict[str, object]:
    """Returns a message as programs read it: JSON with the alerts, and what a person reads of them."""
    kind = "summary" if message["is_summary"] else message["events"][0]["kind"]
    return {
        "id": message["id"],
        "kind": kind,
        "severity": message["severity"],
        "time": message["made"],
        "title": title(message),
        "text": text(message),
        "events": message["events"],
    }


def is_link(report: str) -> bool:
    """Whether a report can be opened from anywhere, which a file of this machine cannot."""
    return report.startswith(("http://", "https://"))


def measure(alert: Alert) -> str:
    """Returns a measure's name in words."""
    return _name(alert["measure"].replace("_", " "))


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
