"""PagerDuty, or what takes its events (Events API v2): an alert's id is the dedup_key of its incident.

What has become of a retraining is a change event, which stands beside incidents and wakes nobody.
https://developer.pagerduty.com/docs/send-alert-event, https://developer.pagerduty.com/docs/send-change-event
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from penstock.components.alerter import messages, notices
from penstock.components.alerter.channels.channel import Channel
from penstock.components.alerter.channels.http import Http
from penstock.components.alerter.settings import PagerDuty
from penstock.components.alerter.state import Message, retrainings
from penstock.core.artifacts.retraining import RetrainingNotice
from penstock.core.credentials.secrets import secret

_PATH, _CHANGES = "/v2/enqueue", "/v2/change/enqueue"
_LONGEST_SUMMARY = 1024


@dataclass(frozen=True)
class PagerDutyChannel(Channel):
    """An alert triggers an incident, or updates it, and resolves it at its end.

    A summary resolves the incidents of alerts that have ended, and triggers one for all other alerts, which a person
    resolves.
    """

    settings: PagerDuty

    def send(self, batch: Sequence[Message]) -> None:
        settings, key = self.settings, f"{self.key}.pagerduty"
        routing_key = secret(f"{key}.routing_key", settings.routing_key_env, settings.routing_key_file)
        http = Http(key, settings.url, settings.ca_cert)
        for message in batch:
            for event in events(message):
                http.post({"routing_key": routing_key, **event}, _PATH)
            for notice in retrainings(message):
                http.post({"routing_key": routing_key, **change(notice, message["made"])}, _CHANGES)


def events(message: Message) -> Iterator[dict[str, object]]:
    """Yields alerts as PagerDuty takes them, but for the key of the service: what ended, then all else in one."""
    others = [event for event in message["events"] if event["kind"] != "resolved"]
    for event in message["events"]:
        if event["kind"] == "resolved":
            yield {"event_action": "resolve", "dedup_key": event["alert"]["id"]}
    if others:
        severity = messages.highest(event["alert"]["severity"] for event in others)
        yield _trigger(Message(**message | {"events": others, "severity": severity, "retrainings": []}))


def change(notice: RetrainingNotice, made: str) -> dict[str, object]:
    """Returns what has become of a retraining as PagerDuty takes it, but for the key of the service.

    PagerDuty knows no change event again: one that comes twice is shown twice.
    """
    links = {"Run": notice["link"], "Report": notice["report"]}
    return {
        "links": [{"href": link, "text": text} for text, link in links.items() if messages.is_link(link)],
        "payload": {
            "summary": notices.title(notice)[:_LONGEST_SUMMARY],
            "source": notice["model"],
            "timestamp": made,
            "custom_details": notices.facts(notice),
        },
    }


def _trigger(message: Message) -> dict[str, object]:
    newest = message["events"][0]
    alert = newest["alert"]
    is_summary = message["is_summary"]
    details = {"alerts": messages.text(message)} if is_summary else messages.event_facts(newest)
    return {
        "event_action": "trigger",
        "dedup_key": message["id"] if is_summary else alert["id"],
        "client": "Penstock",
        "links": [{"href": link, "text": "Report"} for link in messages.reports(message) if messages.is_link(link)],
        "payload": {
            "summary": messages.title(message)[:_LONGEST_SUMMARY],
            "source": alert["model"],
            "severity": message["severity"],
            "timestamp": alert["end"],
            "component": alert["feature"] or alert["model"],
            "class": alert["measure"],
            "custom_details": details,
        },
    }
