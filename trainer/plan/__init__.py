"""What the columns are: the plan of the model without code, and what it tells about the data."""
