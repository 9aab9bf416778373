"""What every channel is: who is told of what, and that a message is taken or an error raised."""

import ssl
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from penstock.components.alerter import decisions
from penstock.components.alerter.state import Message
from penstock.core.artifacts.alerts import AlertEvent, Severity
from penstock.core.errors import ConfigError


@dataclass(frozen=True)
class Channel(ABC):
    """A receiver of messages by its name in the configuration, for alerts of a severity or higher.

    `for_people` says that quiet hours and the rate limit hold, `by_feature` that measures of a feature are told in one
    message, `takes_ongoing` that it wants to know in each window that an alert is still open, and `takes_retrainings`
    that it is told of retrainings, too. A message may come a second time, with the same id.
    """

    name: str
    severity: Severity
    for_people: ClassVar[bool] = True
    by_feature: ClassVar[bool] = False
    takes_ongoing: ClassVar[bool] = False
    takes_retrainings: ClassVar[bool] = True

    @property
    def key(self) -> str:
        """Its place in the configuration."""
        return f"alerts.channels.{self.name}"

    def takes(self, event: AlertEvent) -> bool:
        """Whether the channel is told of an event."""
        return self.is_severe(event["alert"]["severity"]) and (event["kind"] != "ongoing" or self.takes_ongoing)

    def is_severe(self, severity: Severity) -> bool:
        """Whether the channel is told of what has a severity."""
        return decisions.SEVERITIES.index(severity) >= decisions.SEVERITIES.index(self.severity)

    def batches(self, messages: Sequence[Message]) -> Iterator[Sequence[Message]]:
        """Yields the messages as `send` takes them: one by one."""
        yield from ([message] for message in messages)

    @abstractmethod
    def send(self, batch: Sequence[Message]) -> None:
        """Tells a batch; a PenstockError if it was not taken, a ServerError if another batch still may be."""


def tls_context(key: str, ca_cert: str) -> ssl.SSLContext:
    """Returns what a server's certificate is checked with: the certificates of a file, or the public ones."""
    try:
        return ssl.create_default_context(cafile=ca_cert or None)
    except OSError as error:
        reason = "expected PEM certificates" if isinstance(error, ssl.SSLError) else error.strerror
        raise ConfigError(f"{key}.ca_cert: {ca_cert}: {reason}") from None
