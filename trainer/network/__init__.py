"""The network of the model without code: its layers, losses, hyperparameters, calibration and export."""
