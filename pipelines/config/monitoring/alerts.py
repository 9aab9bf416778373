"""Who is told what monitoring shows, and when. Secrets are named by where they are, never written.

alerts: {channels: {team: {slack: {url_env: SLACK_WEBHOOK_URL}}}}
"""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from penstock.core.errors import ConfigError
from penstock.pipelines.config.section import (
    AnyPath,
    Number,
    PositiveNumber,
    PositiveWhole,
    Section,
    Variable,
    json_text,
    matching,
)

_Url = Annotated[str, matching(r"^https?://[^/\s]+", "an address that begins with http:// or https://")]
_Time = Annotated[str, matching(r"^([01][0-9]|2[0-3]):[0-5][0-9]$", "a time of day, such as 22:00")]
_Name = Annotated[str, matching(r"^[A-Za-z][A-Za-z0-9_-]*$", "letters, digits, _ and -, a letter first")]
_Port = Annotated[PositiveWhole, Field(le=65535)]
_PAGERDUTY = "https://events.pagerduty.com"  # the Alerter's own default
_CA_CERT = "The certificates that the server's is checked against, by default the public ones."
_TOKEN_ENV = "The environment variable of the task that holds the token to sign in with."
_TOKEN_FILE = "The file that holds the token to sign in with."
_PASSWORD_ENV = "The environment variable of the task that holds the password."
_PASSWORD_FILE = "The file that holds the password."


class Log(Section):
    """The log of the task, and a file."""

    path: AnyPath | None = Field(default=None, description="A file that gets a JSON object a line for each message.")


class Webhook(Section):
    """An address that gets each message as JSON, with its id as Idempotency-Key."""

    url: _Url | None = Field(default=None, description="The address, where it is no secret.")
    url_env: Variable | None = Field(default=None, description="The environment variable that holds the address.")
    url_file: AnyPath | None = Field(default=None, description="The file that holds the address.")
    token_env: Variable | None = Field(default=None, description=_TOKEN_ENV)
    token_file: AnyPath | None = Field(default=None, description=_TOKEN_FILE)
    ca_cert: AnyPath | None = Field(default=None, description=_CA_CERT)


class Slack(Section):
    """An incoming webhook of Slack, Mattermost or another chat that takes Slack's messages."""

    url_env: Variable | None = Field(
        default=None, description="The environment variable that holds the webhook's address, which is a secret."
    )
    url_file: AnyPath | None = Field(default=None, description="The file that holds the webhook's address.")
    ca_cert: AnyPath | None = Field(default=None, description=_CA_CERT)


class Email(Section):
    """Mail, by a server that takes it (SMTP)."""

    host: str = Field(min_length=1, description="The server.")
    port: _Port | None = Field(default=None, description="Its port, by default 587, with tls 465, with none 25.")
    security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="How the connection is encrypted: after it is made, from its start, not at all."
    )
    sender: str = Field(min_length=3, description="The address that mails are from.")
    to: list[str] = Field(min_length=1, description="The addresses that they go to.")
    user: str | None = Field(default=None, description="Who signs in, where the server wants that.")
    password_env: Variable | None = Field(default=None, description=_PASSWORD_ENV)
    password_file: AnyPath | None = Field(default=None, description=_PASSWORD_FILE)
    ca_cert: AnyPath | None = Field(default=None, description=_CA_CERT)


class PagerDuty(Section):
    """PagerDuty, or what takes events in its format (Events API v2)."""

    routing_key_env: Variable | None = Field(
        default=None, description="The environment variable that holds the service's integration key."
    )
    routing_key_file: AnyPath | None = Field(default=None, description="The file that holds the integration key.")
    url: _Url = Field(default=_PAGERDUTY, description="Where events go; https://events.eu.pagerduty.com in the EU.")
    ca_cert: AnyPath | None = Field(default=None, description=_CA_CERT)


class Alertmanager(Section):
    """Prometheus' Alertmanager, which groups, silences and routes alerts itself."""

    url: _Url = Field(description="Its address, such as http://alertmanager:9093.")
    labels: dict[str, str] = Field(default={}, description="More labels of each alert.")
    user: str | None = Field(default=None, description="Who signs in, where the server wants that.")
    password_env: Variable | None = Field(default=None, description=_PASSWORD_ENV)
    password_file: AnyPath | None = Field(default=None, description=_PASSWORD_FILE)
    token_env: Variable | None = Field(default=None, description=_TOKEN_ENV)
    token_file: AnyPath | None = Field(default=None, description=_TOKEN_FILE)
    ca_cert: AnyPath | None = Field(default=None, description=_CA_CERT)


class Channel(Section):
    """Who is told: one of log, webhook, slack, email, pagerduty, alertmanager."""

    severity: Literal["info", "warning", "critical"] = Field(
        default="info", description="From which severity on an alert is told here."
    )
    log: Log | None = Field(default=None, description="The log of the task, and a file.")
    webhook: Webhook | None = Field(default=None, description="An address that gets JSON.")
    slack: Slack | None = Field(default=None, description="A chat.")
    email: Email | None = Field(default=None, description="Mail.")
    pagerduty: PagerDuty | None = Field(default=None, description="Incidents.")
    alertmanager: Alertmanager | None = Field(default=None, description="Prometheus' Alertmanager.")


class QuietHours(Section):
    """When people are told nothing. What comes then is told by the next run after it, or after a day."""

    begin: _Time = Field(description="When they begin, such as 22:00.")
    end: _Time = Field(description="When they end, such as 07:00.")
    time_zone: str = Field(default="UTC", description="By which clock, such as Europe/Berlin.")
    critical: bool = Field(default=True, description="Whether critical alerts are told nevertheless.")


class Alerts(Section):
    """Which alerts there are of what moved, and who is told of them. Each is told once."""

    open_after: PositiveWhole = Field(
        default=1, description="In how many windows in a row a measure has to be beyond its threshold."
    )
    close_after: PositiveWhole = Field(
        default=2, description="In how many windows in a row it has to be back for the alert to end."
    )
    close_at: Annotated[Number, Field(gt=0, le=1)] = Field(
        default=0.8, description="Back is below this share of the threshold."
    )
    warning_from: PositiveNumber = Field(
        default=0.5,
        description="From how many thresholds on an alert is a warning; of a feature half as important, from twice as "
        "many. Below, it is info.",
    )
    critical_from: PositiveNumber = Field(default=2.0, description="From how many thresholds on it is critical.")
    quiet_hours: QuietHours | None = Field(default=None, description="When people are told nothing.")
    rate_limit: PositiveWhole = Field(
        default=20, description="How many messages people get in an hour by a channel; what is more, in one message."
    )
    links: dict[str, _Url] = Field(
        default={},
        description="At which address reports are opened, by the beginning of their URI: s3://team/: https://…",
    )
    channels: dict[_Name, Channel] = Field(
        default={}, description="Who is told, by a name of yours; without any, the log of the task."
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not self.settings:
            return self
        from penstock.components.alerter import settings  # with kfp, which a configuration without alerts does not need

        try:
            settings.read(self.settings)
        except ConfigError as error:
            raise ValueError(error.message.removeprefix("alerts.")) from None
        return self

    @property
    def settings(self) -> str:
        """The Alerter's parameter."""
        values: dict[str, Any] = self.model_dump(exclude_defaults=True)
        return json_text(values) if values else ""
