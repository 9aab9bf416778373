"""Metrics as array operations over batches of examples and their slices."""
