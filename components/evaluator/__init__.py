"""Evaluator: measures a model over slices, compares it with thresholds and with a baseline, and blesses it or not."""

from penstock.components.evaluator.component import evaluator

__all__ = ["evaluator"]
