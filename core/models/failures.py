"""What TensorFlow's errors say."""

import tensorflow as tf


def cause(error: tf.errors.OpError) -> str:
    """Returns TensorFlow's message without the lines about its graph."""
    graph = ("Graph execution error", "Detected at node", "<stack traces", "[[")
    lines = (line.strip() for line in error.message.splitlines())
    return " ".join(line for line in lines if line and not line.startswith(graph))


def reason(error: Exception) -> str:
    """Returns what an error says that TensorFlow has raised: those in its C++ code in one line, of others the kind."""
    return cause(error) if isinstance(error, tf.errors.OpError) else f"{type(error).__name__}: {error}"
