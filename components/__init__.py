"""The components: each folder has a component.py (names and types) and an executor.py (the work)."""

from penstock.core.legacy import keras_version

keras_version.default()  # before anything imports TensorFlow
