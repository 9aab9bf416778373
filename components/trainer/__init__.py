"""Trainer: trains a model with the user's run_fn."""

from penstock.components.trainer.component import trainer

__all__ = ["trainer"]
