"""The training application: what a user module may rely on, and what it may use."""

from penstock.trainer.hardware import backends

backends.check()  # modules here import Keras, which answers a missing backend with a traceback
