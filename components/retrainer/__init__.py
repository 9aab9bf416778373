"""Retrainer: decides whether a monitored model is trained anew, and starts the run."""

from penstock.components.retrainer.component import retrainer

__all__ = ["retrainer"]
