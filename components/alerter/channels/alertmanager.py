"""Prometheus' Alertmanager, which knows an alert by its labels and groups, silences and routes it itself.

An alert is sent again with each window while it is open, and ends by itself if no window has told of it for a week:
Alertmanager forgets its alerts when it starts anew. It is told of no retraining: that neither fires nor is resolved.
https://prometheus.io/docs/alerting/latest/alerts_api/
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from penstock.components.alerter import messages
from penstock.components.alerter.channels.channel import Channel
from penstock.components.alerter.channels.http import Credentials, Http
from penstock.components.alerter.settings import Alertmanager
from penstock.components.alerter.state import Message
from penstock.core.artifacts.alerts import Alert, AlertEvent
from penstock.core.credentials.secrets import secret

NAME = "PenstockModelMonitoring"
_PATH = "/api/v2/alerts"
_KEPT = timedelta(days=7)
_LARGEST_BATCH = 500


@dataclass(frozen=True)
class AlertmanagerChannel(Channel):
    """Alerts with the labels alertname, model, feature, measure, severity and alert, and those of the settings."""

    settings: Alertmanager
    for_people: ClassVar[bool] = False
    takes_ongoing: ClassVar[bool] = True
    takes_retrainings: ClassVar[bool] = False

    def batches(self, messages: Sequence[Message]) -> Iterator[Sequence[Message]]:
        for start in range(0, len(messages), _LARGEST_BATCH):
            yield messages[start : start + _LARGEST_BATCH]

    def send(self, batch: Sequence[Message]) -> None:
        settings, key = self.settings, f"{self.key}.alertmanager"
        credentials = Credentials(
            token=secret(f"{key}.token", settings.token_env, settings.token_file),
            user=settings.user,
            password=secret(f"{key}.password", settings.password_env, settings.password_file),
        )
        http = Http(key, settings.url, settings.ca_cert, credentials)
        http.post(self.alerts(batch, datetime.now(UTC)), _PATH)

    def alerts(self, batch: Sequence[Message], now: datetime) -> list[dict[str, object]]:
        """Returns the alerts of a batch as Alertmanager takes them: each label set once, as its newest event has it.

        Severity is a label, by which people route. So an alert that has become more severe is another one to
        Alertmanager, and the one before ends.
        """
        newest: dict[tuple[str, str], dict[str, object]] = {}
        for event in (event for message in batch for event in message["events"]):
            alert = event["alert"]
            if event["severity_before"] and self.is_severe(event["severity_before"]):
                before = Alert(**alert | {"severity": event["severity_before"]})
                newest[alert["id"], before["severity"]] = self._alert(event, before, ends=now)
            is_over = event["kind"] == "resolved"
            newest[alert["id"], alert["severity"]] = self._alert(event, alert, ends=now if is_over else now + _KEPT)
        return list(newest.values())

    def _alert(self, event: AlertEvent, alert: Alert, ends: datetime) -> dict[str, object]:
        begins = datetime.fromisoformat(alert["opened"])
        labels = {
            "alertname": NAME,
            "model": alert["model"],
            "feature": alert["feature"],
            "measure": alert["measure"],
            "severity": alert["severity"],
            "alert": alert["id"],
        }
        lines = [f"{name}: {value}" for name, value in messages.event_facts(event).items()]
        text = {"summary": messages.event_title(event), "description": "\n".join(lines)}
        link = {"generatorURL": alert["report"]} if messages.is_link(alert["report"]) else {}
        annotations = {**text, "report": alert["report"], "cause": alert["cause"]}
        return {
            "labels": {name: value for name, value in (labels | self.settings.labels).items() if value},
            "annotations": {name: value for name, value in annotations.items() if value},
            "startsAt": begins.isoformat(),
            "endsAt": max(ends, begins + timedelta(seconds=1)).isoformat(),  # this clock may be behind the window's
            **link,
        }
