"""What to do about an error that comes from code for an older TensorFlow or another Keras."""

import re
import traceback
from collections.abc import Container

from penstock.core.legacy import keras_version

NO_ESTIMATORS = (
    "estimators ended with TensorFlow 2.16: write a run_fn(fn_args) that trains a Keras model and saves it to "
    "fn_args.serving_model_dir"
)
_ESTIMATORS = re.compile(
    r"\bmodule 'tensorflow[\w.]*' has no attribute '(estimator|contrib)'"
    r"|No module named 'tensorflow(_estimator|[\w.]*\.estimator|\.contrib)"
    r"|cannot import name 'estimator' from 'tensorflow|`?tf\.estimator`? (is|was)"
)
_NOT_KERAS_3 = re.compile(
    r"`save_format` argument is deprecated in Keras 3|not supported in Keras 3|Invalid filepath extension for saving"
    r"|(filepath provided|filename) must end in `|When using `save_weights_only=True` in `ModelCheckpoint`"
    r"|Unrecognized keyword arguments passed to \w+: \{'(implementation|renorm|time_major|virtual_batch_size)'"
    r"|Keras 3 only supports V3|KerasTensor cannot be used as input to a TensorFlow function"
    r"|Only instances of `?keras\.Layer`? can be added|not available with Keras 3"
    r"|module '(keras\._tf_keras|tensorflow\.keras)[\w.]*' has no attribute"
    r"|cannot import name '\w+' from '(keras\._tf_keras|tensorflow\.keras)"
    r"|No module named '(tensorflow|keras\._tf_keras)\.keras\."
    r"|Argument\(s\) not recognized: \{'lr'|unexpected keyword argument '(workers|use_multiprocessing|max_queue_size)'"
)
_NOT_KERAS_2 = re.compile(
    r"module '(tf_keras|tensorflow\.keras)[\w.]*' has no attribute"
    r"|cannot import name '\w+' from '(tf_keras|tensorflow\.keras)"
    r"|No module named '(tensorflow|tf_keras[\w.]*)\.keras\."
)


def is_for_estimators(defined: Container[str]) -> bool:
    """Whether what a module defines is what TFX's Trainer called before run_fn, to get an estimator from."""
    return "trainer_fn" in defined and "run_fn" not in defined


def on(error: BaseException) -> str:
    """Returns what to do about an error in a user's code; "" if nothing says that it is of this kind."""
    text = str(error)
    frames = traceback.extract_tb(error.__traceback__)
    if _ESTIMATORS.search(text) or any("/tensorflow_estimator/" in frame.filename for frame in frames):
        return NO_ESTIMATORS
    now = keras_version.current()
    wrong, other = (_NOT_KERAS_3, 2) if now == 3 else (_NOT_KERAS_2, 3)
    if wrong.search(text):
        return f"tf.keras is Keras {now} in this task: `keras: {other}` in the configuration makes it Keras {other}"
    return ""
