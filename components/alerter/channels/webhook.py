"""A webhook that gets each message as JSON, with the message's id as its Idempotency-Key."""

from collections.abc import Sequence
from dataclasses import dataclass

from penstock.components.alerter import messages
from penstock.components.alerter.channels.channel import Channel
from penstock.components.alerter.channels.http import Credentials, Http
from penstock.components.alerter.settings import Webhook
from penstock.components.alerter.state import Message
from penstock.core.credentials.secrets import secret


@dataclass(frozen=True)
class WebhookChannel(Channel):
    settings: Webhook

    def send(self, batch: Sequence[Message]) -> None:
        settings, key = self.settings, f"{self.key}.webhook"
        url = settings.url or secret(f"{key}.url", settings.url_env, settings.url_file)
        token = secret(f"{key}.token", settings.token_env, settings.token_file)
        http = Http(key, url, settings.ca_cert, Credentials(token=token))
        for message in batch:
            http.post(messages.record(message), idempotency_key=message["id"])
