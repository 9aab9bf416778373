"""`penstock predict`: rows of a run and what a model predicts for them, or files of new rows scored."""
