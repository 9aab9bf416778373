"""How many threads TensorFlow has in a process."""

import tensorflow as tf


def use_one() -> None:
    """Limits TensorFlow to one thread: workers share the cores, and sums have the same order everywhere.

    Without effect once TensorFlow has run in this process.
    """
    try:
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:
        pass  # TensorFlow already runs in this process
