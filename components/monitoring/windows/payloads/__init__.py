"""Requests and responses as their bodies came, read as rows of features and of outputs.

KServe's events and SageMaker's captured data hold bodies: JSON of TensorFlow Serving and KServe's V1, the Open
Inference Protocol (V2) with binary tensors, JSON lines, CSV. Nothing here needs the model or TensorFlow.

exchange.py   a request with its response, and why one cannot be read     decoding.py  exchanges -> batches of rows
bodies.py     which format a body is in                                   cells.py     values of JSON as Arrow columns
instances.py  what an instance looks like
"""
