"""The training application: what a user module may rely on, and what it may use."""

from penstock.trainer.hardware import backends

backends.check()  # every module here imports Keras, which tells a missing backend by a traceback
