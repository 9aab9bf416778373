"""Retrainer: decides whether a monitored model is trained anew, and starts the run."""
