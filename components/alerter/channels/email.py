"""Mail, by SMTP. A mail that comes twice has the same Message-ID.

A mail refers to those that opened its alerts, so that mailboxes show them as a thread. One that opened several alerts
has the id of the first, and a summary one of its own: what refers to others of theirs is not put into their thread.
"""

import contextlib
import logging
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
from penstock.components.alerter.channels.channel import Channel, tls_context
from penstock.components.alerter.settings import Email
from penstock.components.alerter.state import Message
from penstock.core.credentials.secrets import secret
from penstock.core.services.transport import Advice, Answer, Refused, Transport, short

logger = logging.getLogger(__name__)
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
            recipients = list(dict.fromkeys(self.settings.to))
            server.repeat(server.deliver, mail(message, self.settings), recipients)


class _Server(Transport):
    """A server that takes mail."""

    def __init__(self, key: str, settings: Email, password: str) -> None:
        self._settings, self._password, self._key = settings, password, key
        self._port = settings.port or Email.PORTS[settings.security]
        self.host = f"{settings.host}:{self._port}"
        self.timeout = TIMEOUT
        self.advice = _advice(key)
        self._context = tls_context(key, settings.ca_cert)

    def deliver(self, mail: EmailMessage, recipients: list[str]) -> None:
        """Sends a mail, and takes those who get it off the `recipients`: another try is for the rest.

        Who is refused for good is only named in the log where another gets the mail, who would get it in each run.
        """
        client = self._connected()
        try:
            if self._settings.security == "starttls":
                client.starttls(context=self._context)
            if self._settings.user:
                client.login(self._settings.user, self._password)
            try:
                refused = client.send_message(mail, to_addrs=recipients)
                recipients[:] = refused
            except smtplib.SMTPRecipientsRefused as error:
                refused = error.recipients
        finally:
            with contextlib.suppress(OSError):  # whatever is answered now, the mail is taken or not
                client.quit()
            client.close()
        passing = {address: reply for address, reply in refused.items() if reply[0] in _PASSING}
        if passing or set(recipients) == set(self._settings.to):
            raise smtplib.SMTPRecipientsRefused(passing or refused)
        for address, (code, reply) in refused.items():
            logger.warning("%s takes no mail for %s (%s)", self.host, address, _answer(code, reply).message)

    def _connected(self) -> smtplib.SMTP:
        settings = self._settings
        if settings.security == "tls":
            return smtplib.SMTP_SSL(settings.host, self._port, timeout=TIMEOUT, context=self._context)
        return smtplib.SMTP(settings.host, self._port, timeout=TIMEOUT)

    def _send(self, operation: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        try:
            return operation(*arguments, **options)
        except smtplib.SMTPRecipientsRefused as error:
            code, reply = next(iter(error.recipients.values()))
            raise Refused(_answer(code, reply)) from None
        except smtplib.SMTPResponseException as error:
            raise Refused(_answer(error.smtp_code, error.smtp_error)) from None
        except smtplib.SMTPServerDisconnected as error:
            raise exceptions.ProtocolError(str(error)) from None
        except smtplib.SMTPException as error:  # what is asked for, such as STARTTLS, the server does not offer
            raise Refused(
                Answer(400, f"{short(str(error)).removesuffix('.')}: see {self._key}.security and user")
            ) from None
        except OSError as error:
            raise _unanswered(error, self._settings.host, self._port) from None


def mail(message: Message, settings: Email) -> EmailMessage:
    """Returns a message as a mail, the same each time."""
    domain = settings.sender.rpartition("@")[2]
    one = EmailMessage()
    one["From"], one["To"] = settings.sender, ", ".join(settings.to)
    one["Subject"] = messages.title(message)
    one["Date"] = format_datetime(datetime.fromisoformat(message["made"]))
    one["Message-ID"] = f"<{message['id']}@{domain}>"
    later = [event for event in message["events"] if event["kind"] != "opened"]
    if later and not message["is_summary"]:
        openings = [f"<{decisions.opening(event['alert'])}@{domain}>" for event in later]
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
