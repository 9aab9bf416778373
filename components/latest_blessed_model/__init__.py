"""LatestBlessedModel: finds the baseline that the Evaluator compares with."""

from penstock.components.latest_blessed_model.component import latest_blessed_model

__all__ = ["latest_blessed_model"]
