"""The components: each folder has a component.py (names and types) and an executor.py (the work)."""

import os

# Which Keras `tf.keras` is would else depend on the order of imports: TensorFlow Transform makes it Keras 2 if it comes
# before the first use. It is Keras 3, as under TFX, unless the user says otherwise.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "0")
