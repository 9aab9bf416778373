"""PagerDuty, or what takes its events (Events API v2): an alert's id is the dedup_key of its incident.

https://developer.pagerduty.com/docs/send-alert-event
"""

from collections.abc import Sequence
from dataclasses import dataclass

from penstock.components.alerter import messages
from penstock.components.alerter.channels.channel import Channel, secret
from penstock.components.alerter.channels.http import Http
from penstock.components.alerter.settings import PagerDuty
from penstock.components.alerter.state import Message

_PATH = "/v2/enqueue"
_LONGEST_SUMMARY = 1024


@dataclass(frozen=True)
class PagerDutyChannel(Channel):
    """An alert triggers an incident, or updates it, and resolves it at its end.

    A summary triggers one incident for all of its alerts, which a person resolves.
    """

    settings: PagerDuty

    def send(self, batch: Sequence[Message]) -> None:
        settings, key = self.settings, f"{self.key}.pagerduty"
        routing_key = secret(f"{key}.routing_key", settings.routing_key_env, settings.routing_key_file)
        http = Http(key, settings.url, settings.ca_cert)
        for message in batch:
            http.post({"routing_key": routing_key, **event(message)}, _PATH)


def event(message: Message) -> dict[str, object]:
    """Returns a message as PagerDuty takes it, but for the key of the service."""
    newest = message["events"][0]
    alert = newest["alert"]
    is_summary = message["is_summary"]
    key = message["id"] if is_summary else alert["id"]
    if newest["kind"] == "resolved" and not is_summary:
        return {"event_action": "resolve", "dedup_key": key}
    details = {"alerts": messages.text(message)} if is_summary else messages.event_facts(newest)
    reports = dict.fromkeys(event["alert"]["report"] for event in message["events"])
    return {
        "event_action": "trigger",
        "dedup_key": key,
        "client": "Penstock",
        "links": [{"href": report, "text": "Report"} for report in reports if messages.is_link(report)],
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
