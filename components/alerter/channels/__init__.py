"""Who alerts are told to: a module for each kind of channel. channel.py is what all of them are."""

from collections.abc import Callable, Mapping

from penstock.components.alerter import settings
from penstock.components.alerter.channels.alertmanager import AlertmanagerChannel
from penstock.components.alerter.channels.channel import Channel
from penstock.components.alerter.channels.email import EmailChannel
from penstock.components.alerter.channels.log import LogChannel
from penstock.components.alerter.channels.pagerduty import PagerDutyChannel
from penstock.components.alerter.channels.slack import SlackChannel
from penstock.components.alerter.channels.webhook import WebhookChannel

_KINDS: Mapping[str, Callable[..., Channel]] = {
    "log": LogChannel,
    "webhook": WebhookChannel,
    "slack": SlackChannel,
    "email": EmailChannel,
    "pagerduty": PagerDutyChannel,
    "alertmanager": AlertmanagerChannel,
}


def make(channels: Mapping[str, settings.Channel]) -> list[Channel]:
    """Returns the channels of the settings, in their order. What each needs to sign in is read when it is told."""
    made: list[Channel] = []
    for name, channel in channels.items():
        kind, receiver = next(iter(channel.receivers.items()))
        made.append(_KINDS[kind](name, channel.severity, receiver))
    return made
