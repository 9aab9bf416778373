"""What is evaluated where nobody says it: the metrics that suit a model."""
