"""Serves SavedModels over HTTP and gRPC: what `penstock serve`, the image `serving` and InfraValidator start.

It is no component of a pipeline. inference.py is what everything in this folder agrees on: a protocol (http/, grpc/)
turns a request into a `Target`, a signature and its inputs, takes a lease on a version, and asks it.
"""
