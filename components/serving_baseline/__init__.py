"""ServingBaseline: which baseline the requests of the model that serves are compared with."""

from penstock.components.serving_baseline.component import serving_baseline

__all__ = ["serving_baseline"]
