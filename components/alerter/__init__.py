"""Alerter: tells of what a monitored window shows, each alert once.

findings.py     what a window shows         decisions.py  with what was before: alerts that open, get worse and end
settings.py     what a person configures    messages.py   what is said    pacing.py   quiet hours and the rate limit
state.py        what is remembered, also in object stores (remote.py)
outbox.py       what is to be told and was not yet        channels/       to whom
"""

from penstock.components.alerter.component import alerter

__all__ = ["alerter"]
