"""Keeps AutoGraph away from libraries that it cannot improve.

AutoGraph rewrites what a `tf.function` calls, so that `if` and `for` may depend on tensors. It knows that this is in
vain for TensorFlow and Keras, but not for TensorFlow Transform and tfx_bsl, whose functions decide by schemas alone. A
signature that takes raw examples, as each TFX module has, calls 33 of them. Their rewriting took a quarter of the
Trainer's time on taxi.
"""

from tensorflow.python.autograph.core import config

_LIBRARIES = ("tensorflow_transform", "tfx_bsl", "penstock.trainer.data")


def skip_libraries() -> None:
    """Makes AutoGraph call the functions of these libraries as they are, from now on in this process."""
    known = {str(rule) for rule in config.CONVERSION_RULES}
    rules = (config.DoNotConvert(library) for library in _LIBRARIES)
    config.CONVERSION_RULES += tuple(rule for rule in rules if str(rule) not in known)
