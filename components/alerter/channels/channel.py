"""What every channel is: who is told of what, and that a message is taken or an error raised."""

import os
import ssl
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from penstock.components.alerter import decisions
from penstock.components.alerter.state import Message
from penstock.core.artifacts.alerts import AlertEvent, Severity
from penstock.core.errors import ConfigError
from penstock.core.files import documents


@dataclass(frozen=True)
class Channel(ABC):
    """A receiver of messages by its name in the configuration, for alerts of a severity or higher.

    `for_people` says that quiet hours and the rate limit hold, `by_feature` that measures of a feature are told in one
    message, and `takes_ongoing` that it wants to know in each window that an alert is still open. A message may come a
    second time, with the same id.
    """

    name: str
    severity: Severity
    for_people: ClassVar[bool] = True
    by_feature: ClassVar[bool] = False
    takes_ongoing: ClassVar[bool] = False

    @property
    def key(self) -> str:
        """Its place in the configuration."""
        return f"alerts.channels.{self.name}"

    def takes(self, event: AlertEvent) -> bool:
        """Whether the channel is told of an event."""
        return self.is_severe(event["alert"]["severity"]) and (event["kind"] != "ongoing" or self.takes_ongoing)

    def is_severe(self, severity: Severity) -> bool:
        """Whether the channel is told of alerts of a severity."""
        return decisions.SEVERITIES.index(severity) >= decisions.SEVERITIES.index(self.severity)

    def batches(self, messages: Sequence[Message]) -> Iterator[Sequence[Message]]:
        """Yields the messages as `send` takes them: one by one."""
        yield from ([message] for message in messages)

    @abstractmethod
    def send(self, batch: Sequence[Message]) -> None:
        """Tells a batch; a PenstockError if it was not taken, a ServerError if another batch still may be."""


def secret(key: str, variable: str, file: str) -> str:
    """Returns the secret that a variable or a file holds; "" where neither is named. `key` is what names it, without
    its ending.
    """
    if variable:
        value = os.environ.get(variable, "").strip()
        if not value:
            raise ConfigError(f"{key}_env: the environment variable {variable} is not set")
        return _plain(value, f"{key}_env: the environment variable {variable}")
    if not file:
        return ""
    try:
        value = documents.read_text(Path(file)).strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(f"{key}_file: {file}: {reason}") from None
    if not value:
        raise ConfigError(f"{key}_file: {file} is empty")
    return _plain(value, f"{key}_file: {file}")


def _plain(value: str, place: str) -> str:
    """Returns a secret that a header and a sign-in can hold."""
    if not (value.isascii() and value.isprintable()):
        raise ConfigError(f"{place}: expected one line of ASCII characters; perhaps more than the secret was copied")
    return value


def tls_context(key: str, ca_cert: str) -> ssl.SSLContext:
    """Returns what a server's certificate is checked with: the certificates of a file, or the public ones."""
    try:
        return ssl.create_default_context(cafile=ca_cert or None)
    except OSError as error:
        reason = "expected PEM certificates" if isinstance(error, ssl.SSLError) else error.strerror
        raise ConfigError(f"{key}.ca_cert: {ca_cert}: {reason}") from None
