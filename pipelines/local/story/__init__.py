"""The story of a run's model: why it was trained, on what, why it was blessed, who serves it, how it does there."""
