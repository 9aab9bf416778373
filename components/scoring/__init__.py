"""Scores for files of new rows: what `penstock predict` runs.

job.py       opens model and data, and has the engine score the data piece by piece, in its order
features.py  what the model reads, and which of it the data has     inputs/     a module for each kind of file
answers.py   a model's outputs as columns                           writing.py  rows and answers as CSV, JSON, Parquet
"""
