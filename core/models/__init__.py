"""Predictions of a SavedModel."""
