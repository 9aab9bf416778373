"""How far a window of rows is from the training data. Arithmetic on Arrow arrays and counts; knows no files."""
