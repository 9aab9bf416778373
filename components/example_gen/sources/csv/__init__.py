"""CSV files: where they may be cut, what types their columns have, how rows become batches."""
