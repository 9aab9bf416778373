"""How examples reach a training step."""
