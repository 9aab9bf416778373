"""An incoming webhook of Slack, or of another chat that takes Slack's messages (Mattermost, Rocket.Chat).

Attachments are what all of them show; of Slack's newer blocks only Slack knows.
https://docs.slack.dev/legacy/legacy-messaging/legacy-secondary-message-attachments
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from penstock.components.alerter import messages
from penstock.components.alerter.channels.channel import Channel
from penstock.components.alerter.channels.http import Http
from penstock.components.alerter.settings import Slack
from penstock.components.alerter.state import Message
from penstock.core.artifacts.alerts import Severity
from penstock.core.credentials.secrets import secret

_COLORS: dict[Severity, str] = {"info": "#439fe0", "warning": "warning", "critical": "danger"}
_GOOD = "good"
_LONG = 30  # characters of a fact that does not stand beside another


@dataclass(frozen=True)
class SlackChannel(Channel):
    settings: Slack
    by_feature: ClassVar[bool] = True

    def send(self, batch: Sequence[Message]) -> None:
        key = f"{self.key}.slack"
        url = secret(f"{key}.url", self.settings.url_env, self.settings.url_file)
        http = Http(key, url, self.settings.ca_cert)
        for message in batch:
            http.post(payload(message), idempotency_key=message["id"])


def payload(message: Message) -> dict[str, object]:
    """Returns a message as Slack takes it."""
    title = _escaped(messages.title(message))
    color = _GOOD if messages.is_good(message) else _COLORS[message["severity"]]
    attachment: dict[str, object] = {"color": color, "fallback": title, "footer": message["id"]}
    if message["is_summary"]:
        attachment["text"] = _escaped(messages.text(message))
    else:
        facts = messages.facts(message)
        if messages.is_link(facts.get("Report", "")):
            attachment |= {"title": "Report", "title_link": facts.pop("Report")}
        attachment["fields"] = [
            {"title": name, "value": _escaped(value), "short": len(value) <= _LONG} for name, value in facts.items()
        ]
    return {"text": title, "attachments": [attachment]}


def _escaped(text: str) -> str:
    """Returns a text in which Slack reads no link and no mention."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
