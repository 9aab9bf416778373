"""gRPC: TensorFlow Serving's PredictionService and ModelService, and the Open Inference Protocol's service.

server.py puts them together. A service is a mapping from the names of its methods to coroutines; calls.py turns what
these raise into gRPC's status codes.
"""
