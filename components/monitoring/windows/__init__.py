"""The requests of a window of time, out of a model server's request log (core/artifacts: RequestLog).

requests.py  what a caller opens and reads, piece by piece    window.py    the times
account.py   what was left out, and why                       files.py     which files, and in which pieces
parquet.py   pieces of Parquet files                          tfrecord.py  those of TFRecord files
inputs.py    a request's inputs as features                   columns.py   a column of any type as lists of the schema's
"""
