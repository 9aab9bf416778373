"""The Open Inference Protocol (V2): what its requests over REST (http/) and over gRPC (grpc/) have in common.

A request names tensors, their datatypes and shapes. For a signature that parses tf.Examples, the tensors are either the
serialized examples (BYTES), or the features themselves, one tensor each with a row for each example.
"""
