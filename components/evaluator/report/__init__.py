"""The page of an evaluation, drawn from its summary alone: the verdict, numbers, plots, slices, and what matters."""
