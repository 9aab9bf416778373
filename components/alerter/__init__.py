"""Alerter: who is told of what a monitored window shows, once.

decisions.py    findings of a window and what was before -> alerts that open, get worse and end; causes.py says why
"""
