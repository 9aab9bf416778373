"""Transform: feature engineering with TensorFlow Transform, analyzed in process."""

from penstock.components.transform.component import transform

__all__ = ["transform"]
