"""The requests of a window of time, out of what a model server has logged (core/artifacts/serving.py).

requests.py   what a caller opens and reads, piece by piece    window.py    the times
account.py    what was left out, and why                       files.py     which files, and in which pieces
parquet.py    pieces of Parquet files                          tfrecord.py  those of TFRecord files
collected.py  pieces with the bodies of KServe's events        captured.py  what SageMaker has captured
payloads/     bodies as rows of features and outputs           columns.py   a column of any type as the schema's lists
inputs.py     a request's inputs as features
"""
