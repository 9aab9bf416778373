"""The request log: predictions in files that appear whole (core/artifacts: RequestLog), written by a thread.

writer.py    the thread, and when a file ends     segment.py    a file that is being written
tfrecord.py  PredictionLog of TensorFlow Serving  parquet.py    a table, where pyarrow is installed
"""
