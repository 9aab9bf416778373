"""Tuner: searches for the best hyperparameters."""

from penstock.components.tuner.component import tuner

__all__ = ["tuner"]
