"""Mail, by SMTP. The mails of an alert are a thread, and a mail that comes twice has the same Message-ID."""

import smtplib
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any, ClassVar

from urllib3 import exceptions
from urllib3.connection import HTTPConnection

from penstock.components.alerter import decisions, messages
from penstock.components.alerter.channels.channel import Channel, secret, tls_context
from penstock.components.alerter.settings import Email
from penstock.components.alerter.state import Message
from penstock.core.services.transport import Advice, Answer, Refused, Transport, short

TIMEOUT = 30.0
# What SMTP's replies mean in the terms of HTTP, which Transport knows: RFC 5321, RFC 4954.
_SIGN_IN = (530, 534, 535, 538)
_PASSING = range(400, 500)


@dataclass(frozen=True)
class EmailChannel(Channel):
    settings: Email
    by_feature: ClassVar[bool] = True

    def send(self, batch: Sequence[Message]) -> None:
        key = f"{self.key}.email"
        password = secret(f"{key}.password", self.settings.password_env, self.settings.password_file)
        server = _Server(key, self.settings, password)
        for message in batch:
            server.repeat(server.deliver, mail(message, self.settings))


class _Server(Transport):
    """A server that takes mail."""

    def __init__(self, key: str, settings: Email, password: str) -> None:
        self._settings, self._password, self._key = settings, password, key
        self._port = settings.port or Email.PORTS[settings.security]
        self.host = f"{settings.host}:{self._port}"
        self.timeout = TIMEOUT
        self.advice = _advice(key)
        self._context = tls_context(key, settings.ca_cert)

    def deliver(self, mail: EmailMessage) -> None:
        with self._connected() as client:
            if self._settings.security == "starttls":
                client.starttls(context=self._context)
            if self._settings.user:
                client.login(self._settings.user, self._password)
            client.send_message(mail)

    def _connected(self) -> smtplib.SMTP:
        settings = self._settings
        if settings.security == "tls":
            return smtplib.SMTP_SSL(settings.host, self._port, timeout=TIMEOUT, context=self._context)
        return smtplib.SMTP(settings.host, self._port, timeout=TIMEOUT)

    def _send(self, operation: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        try:
            return operation(*arguments, **options)
        except smtplib.SMTPRecipientsRefused as error:  # of several, those that are taken get the mail
            code, reply = next(iter(error.recipients.values()))
            raise Refused(_answer(code, reply)) from None
        except smtplib.SMTPResponseException as error:
            raise Refused(_answer(error.smtp_code, error.smtp_error)) from None
        except smtplib.SMTPNotSupportedError as error:
            raise Refused(
                Answer(400, f"{short(str(error)).removesuffix('.')}: see {self._key}.security and user")
            ) from None
        except OSError as error:
            raise _unanswered(error, self._settings.host, self._port) from None


def mail(message: Message, settings: Email) -> EmailMessage:
    """Returns a message as a mail, the same each time."""
    event, domain = message["events"][0], settings.sender.rpartition("@")[2]
    one = EmailMessage()
    one["From"], one["To"] = settings.sender, ", ".join(settings.to)
    one["Subject"] = messages.title(message)
    one["Date"] = format_datetime(datetime.fromisoformat(message["made"]))
    one["Message-ID"] = f"<{message['id']}@{domain}>"
    if event["kind"] != "opened" and not message["is_summary"]:
        openings = [f"<{decisions.opening(event['alert'])}@{domain}>" for event in message["events"]]
        one["In-Reply-To"], one["References"] = openings[0], " ".join(openings)
    one["Auto-Submitted"] = "auto-generated"  # RFC 3834: no answer by a machine
    one.set_content(messages.text(message) + "\n")
    return one


def _answer(code: int, reply: bytes | str) -> Answer:
    """Returns a server's reply in the terms of HTTP: it passes, or wants a sign-in, or refuses the mail."""
    text = reply.decode(errors="replace") if isinstance(reply, bytes) else reply
    status = 503 if code in _PASSING else 401 if code in _SIGN_IN else 400
    return Answer(status, f"{code} {short(text)}".removesuffix("."))


def _unanswered(error: OSError, host: str, port: int) -> exceptions.HTTPError:
    """Returns what urllib3 would raise for an error of a socket."""
    connection = HTTPConnection(host, port)
    if isinstance(error, smtplib.SMTPServerDisconnected):
        return exceptions.ProtocolError(str(error))
    if isinstance(error, socket.gaierror):
        return exceptions.NameResolutionError(host, connection, error)
    if isinstance(error, ssl.SSLError):
        return exceptions.SSLError(str(error))
    if isinstance(error, TimeoutError):
        return exceptions.TimeoutError(str(error))
    if isinstance(error, ConnectionResetError | BrokenPipeError):
        return exceptions.ProtocolError(str(error))
    return exceptions.NewConnectionError(connection, str(error))


def _advice(key: str) -> Advice:
    return Advice(
        sign_in=f"check {key}.user and its password",
        role=f"check {key}.user",
        unknown=f"check {key}.host",
        address=f"check {key}.host",
        no_server=f"check {key}.host, port and the network",
        slow="try again",
        certificate=f"name the certificates that it is checked against in {key}.ca_cert",
        no_tls=f"write starttls or none in {key}.security",
    )
