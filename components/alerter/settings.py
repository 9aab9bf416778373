"""What the Alerter is told, as JSON: when alerts open and end, when people are left alone, and the channels.

{"open_after": 2, "quiet_hours": {"begin": "22:00", "end": "07:00", "time_zone": "Europe/Berlin"},
 "channels": {"team": {"slack": {"url_env": "SLACK_WEBHOOK_URL"}}}}

A secret is named by where it is, never written: NAME_env is a variable of the task's environment, NAME_file a file.
"""

import dataclasses
import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time
from typing import ClassVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import ConfigDict, TypeAdapter, ValidationError

from penstock.components.alerter.decisions import Policy
from penstock.core.arguments import parse_object
from penstock.core.artifacts.alerts import Severity
from penstock.core.credentials import shapes
from penstock.core.errors import ConfigError
from penstock.core.suggestions import did_you_mean
from penstock.core.text import printable

PAGERDUTY = "https://events.pagerduty.com"
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")  # as Prometheus has them
_OWN_LABELS = ("model", "feature", "measure", "severity", "alert")
_LAST_PORT = 65535
_HTTP = ("http://", "https://")


class _Strict:
    """A record that takes no unknown key."""

    __pydantic_config__ = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class Log(_Strict):
    """The task's log; and a file that gets a JSON object a line, where `path` names one."""

    path: str = ""


@dataclass(frozen=True)
class Webhook(_Strict):
    """An address that gets each message as JSON. It may be a secret itself; a bearer token may be sent along."""

    url: str = ""
    url_env: str = ""
    url_file: str = ""
    token_env: str = ""
    token_file: str = ""
    ca_cert: str = ""


@dataclass(frozen=True)
class Slack(_Strict):
    """An incoming webhook of Slack, Mattermost or another that takes Slack's messages. Its address is a secret."""

    url_env: str = ""
    url_file: str = ""
    ca_cert: str = ""


@dataclass(frozen=True)
class Email(_Strict):
    """A server that takes mail (SMTP)."""

    host: str
    sender: str
    to: list[str]
    port: int = 0
    security: str = "starttls"
    user: str = ""
    password_env: str = ""
    password_file: str = ""
    ca_cert: str = ""

    PORTS: ClassVar[Mapping[str, int]] = {"starttls": 587, "tls": 465, "none": 25}


@dataclass(frozen=True)
class PagerDuty(_Strict):
    """PagerDuty, or what takes events in its format (Events API v2)."""

    routing_key_env: str = ""
    routing_key_file: str = ""
    url: str = PAGERDUTY
    ca_cert: str = ""


@dataclass(frozen=True)
class Alertmanager(_Strict):
    """Prometheus' Alertmanager, which groups, silences and routes by labels."""

    url: str
    labels: dict[str, str] = field(default_factory=dict)
    user: str = ""
    password_env: str = ""
    password_file: str = ""
    token_env: str = ""
    token_file: str = ""
    ca_cert: str = ""


type Receiver = Log | Webhook | Slack | Email | PagerDuty | Alertmanager


@dataclass(frozen=True)
class Channel(_Strict):
    """Who is told: one of the receivers, of alerts that have this severity or a higher one."""

    severity: Severity = "info"
    log: Log | None = None
    webhook: Webhook | None = None
    slack: Slack | None = None
    email: Email | None = None
    pagerduty: PagerDuty | None = None
    alertmanager: Alertmanager | None = None

    @property
    def receivers(self) -> dict[str, Receiver]:
        """The receivers that are set, by their kinds."""
        kinds = (entry.name for entry in dataclasses.fields(self) if entry.name != "severity")
        return {kind: getattr(self, kind) for kind in kinds if getattr(self, kind) is not None}


@dataclass(frozen=True)
class QuietHours(_Strict):
    """From `begin` to `end`, by the clock of a time zone, people are told nothing, or only of what is critical."""

    begin: time
    end: time
    time_zone: str = "UTC"
    critical: bool = True

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)


@dataclass(frozen=True)
class Settings(_Strict):
    """All that the Alerter is told.

    `rate_limit` is how many messages each channel's people get in an hour. `links` are the addresses at which reports
    are opened, by the beginnings of their URIs.
    """

    open_after: int = Policy.open_after
    close_after: int = Policy.close_after
    close_at: float = Policy.close_at
    warning_from: float = Policy.warning_from
    critical_from: float = Policy.critical_from
    quiet_hours: QuietHours | None = None
    rate_limit: int = 20
    links: dict[str, str] = field(default_factory=dict)
    channels: dict[str, Channel] = field(default_factory=lambda: {"log": Channel(log=Log())})

    @property
    def policy(self) -> Policy:
        return Policy(self.open_after, self.close_after, self.close_at, self.warning_from, self.critical_from)


def read(text: str) -> Settings:
    """Reads the component's parameter; "" stands for all defaults. A ConfigError names the key that does not fit."""
    values = parse_object("alerts", text, example='{"channels": {"team": {"slack": {"url_env": "SLACK_WEBHOOK_URL"}}}}')
    try:
        settings = _adapter().validate_python(values)
    except ValidationError as error:
        raise ConfigError(_sentence(error)) from None
    check(settings)
    return settings


@functools.cache
def _adapter() -> TypeAdapter[Settings]:
    return TypeAdapter(Settings)


def check(settings: Settings) -> None:
    """Raises a ConfigError for values that fit alone, and not together or not here."""
    for key in ("open_after", "close_after", "rate_limit"):
        if getattr(settings, key) < 1:
            raise ConfigError(f"alerts.{key}: expected 1 or more, received {getattr(settings, key)}")
    if not 0 < settings.close_at <= 1:
        raise ConfigError(
            f"alerts.close_at: expected a share of the threshold, above 0 and at most 1, received {settings.close_at}"
        )
    if not settings.warning_from > 0:
        raise ConfigError(f"alerts.warning_from: expected a number above 0, received {settings.warning_from:g}")
    if not settings.warning_from <= settings.critical_from:
        raise ConfigError(
            f"alerts.critical_from: expected warning_from ({settings.warning_from:g}) or more, "
            f"received {settings.critical_from:g}"
        )
    if settings.quiet_hours:
        _check_quiet_hours(settings.quiet_hours)
    for name, channel in settings.channels.items():
        _check_channel(f"alerts.channels.{name}", channel)


def _check_quiet_hours(hours: QuietHours) -> None:
    try:
        hours.zone.key  # noqa: B018 - makes the zone
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(
            f"alerts.quiet_hours.time_zone: expected a name such as Europe/Berlin, received {hours.time_zone!r}"
        ) from None
    if hours.begin.tzinfo or hours.end.tzinfo:
        raise ConfigError("alerts.quiet_hours: expected times such as 22:00, and the zone in time_zone")
    if hours.begin == hours.end:
        raise ConfigError(
            f"alerts.quiet_hours: expected begin and end to differ, received {hours.begin:%H:%M} twice: to be told "
            "nothing at all, leave out the channel"
        )


def _check_channel(key: str, channel: Channel) -> None:
    receivers = channel.receivers
    if len(receivers) != 1:
        kinds = [entry.name for entry in dataclasses.fields(channel) if entry.name != "severity"]
        received = " and ".join(receivers) or "none"
        raise ConfigError(f"{key}: expected one of {', '.join(kinds)}, received {received}")
    kind, receiver = next(iter(receivers.items()))
    key = f"{key}.{kind}"
    match receiver:
        case Log():
            if "://" in receiver.path:
                raise ConfigError(
                    f"{key}.path: expected the path of a file, received {printable.value(receiver.path)}: an object in "
                    "a store cannot be appended to"
                )
        case Webhook():
            _one_of(key, receiver, ("url", "url_env", "url_file"), required=True)
            _one_of(key, receiver, ("token_env", "token_file"))
        case Slack():
            _one_of(key, receiver, ("url_env", "url_file"), required=True)
        case Email():
            _check_email(key, receiver)
        case PagerDuty():
            _one_of(key, receiver, ("routing_key_env", "routing_key_file"), required=True)
        case Alertmanager():
            for label in receiver.labels:
                if not _LABEL.fullmatch(label):
                    raise ConfigError(f"{key}.labels: expected names of letters, digits and _, received {label!r}")
                if label in _OWN_LABELS:
                    raise ConfigError(f"{key}.labels: {label} is the alert's own: expected another name")
            _one_of(key, receiver, ("token_env", "token_file", "password_env", "password_file"))
            if bool(receiver.user) != bool(receiver.password_env or receiver.password_file):
                raise ConfigError(f"{key}: expected both user and password_env (or password_file), or neither")
    _check_url(key, getattr(receiver, "url", ""))


def _check_email(key: str, email: Email) -> None:
    if email.security not in Email.PORTS:
        raise ConfigError(f"{key}.security: expected {', '.join(Email.PORTS)}, received {email.security!r}")
    if not 0 <= email.port <= _LAST_PORT:
        raise ConfigError(f"{key}.port: expected a port up to {_LAST_PORT}, received {email.port}")
    if not email.to:
        raise ConfigError(f"{key}.to: expected at least one address")
    for address in (email.sender, *email.to):
        name, _, domain = address.rpartition("@")
        if not name or not domain or not address.isprintable() or " " in address:
            raise ConfigError(
                f"{key}: expected addresses such as team@example.com, received {printable.value(address)}"
            )
    _one_of(key, email, ("password_env", "password_file"))
    if bool(email.user) != bool(email.password_env or email.password_file):
        raise ConfigError(f"{key}: expected both user and password_env (or password_file), or neither")
    if email.user and email.security == "none":
        raise ConfigError(
            f"{key}.security: expected starttls or tls: without them the password is there for all to read"
        )


def _check_url(key: str, url: str) -> None:
    if url and not url.startswith(_HTTP):
        raise ConfigError(f"{key}.url: expected an address that begins with http:// or https://, received {url!r}")
    credential = next(shapes.credentials(url), None)
    if credential:
        raise ConfigError(
            f"{key}.url: who sees the pipeline sees {credential.kind} in it: expected url_env or url_file"
        )


def _one_of(key: str, receiver: Receiver, names: tuple[str, ...], required: bool = False) -> None:
    chosen = [name for name in names if getattr(receiver, name)]
    if len(chosen) > 1:
        raise ConfigError(f"{key}: expected one of {', '.join(names)}, received {' and '.join(chosen)}")
    if required and not chosen:
        raise ConfigError(f"{key}: expected {' or '.join(names)}, which says where the secret is")


def _sentence(error: ValidationError) -> str:
    """Returns pydantic's first complaint as a sentence that names the key."""
    first = error.errors(include_url=False)[0]
    *parents, last = first["loc"]
    key = ".".join(map(str, ("alerts", *parents, last)))
    if first["type"] == "missing":
        return f"{key} is missing"
    if first["type"] != "unexpected_keyword_argument":
        return f"{key}: {first['msg']}, received {printable.value(first['input'])}"
    if last == "url" and parents[-1:] == ["slack"]:
        return f"{key}: the address is a secret: expected url_env, the variable that holds it, or url_file"
    return f"{key}: unknown key {last!r}; {did_you_mean(str(last), _known(parents))}"


def _known(path: list[int | str]) -> list[str]:
    """Returns the keys that there are below a path of keys."""
    records: dict[str, type] = {
        "quiet_hours": QuietHours,
        "log": Log,
        "webhook": Webhook,
        "slack": Slack,
        "email": Email,
        "pagerduty": PagerDuty,
        "alertmanager": Alertmanager,
    }
    kind = Settings if not path else Channel if len(path) == 2 else records[str(path[-1])]
    return [entry.name for entry in dataclasses.fields(kind)]
