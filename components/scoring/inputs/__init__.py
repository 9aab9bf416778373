"""Kinds of files with rows to score: each cut into pieces, which are read apart, row by row in their order."""
