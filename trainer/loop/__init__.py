"""The training loop: steps, checkpoints, history, and a loss that diverges."""
