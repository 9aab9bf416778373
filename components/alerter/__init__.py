"""Alerter: who is told of what a monitored window shows, once.

decisions.py    findings and what was before -> alerts that open, worsen, end
settings.py     what a person configures   messages.py   what is said    pacing.py   quiet hours and the rate limit
state.py        what is remembered         outbox.py     what is told, and what is owed    channels/    to whom
"""
