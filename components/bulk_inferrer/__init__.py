"""BulkInferrer: what a blessed model predicts for every example."""

from penstock.components.bulk_inferrer.component import bulk_inferrer

__all__ = ["bulk_inferrer"]
