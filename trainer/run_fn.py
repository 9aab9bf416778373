"""Runs a user's run_fn: seeds first, then the training, then a look at what it wrote."""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from penstock.core import user_modules
from penstock.core.artifacts import SavedModel
from penstock.core.errors import ModuleError
from penstock.trainer.fn_args import FnArgs

SEED = 1
logger = logging.getLogger(__name__)


def set_seeds() -> None:
    """Seeds Python's, NumPy's, TensorFlow's and Keras's generators with SEED.

    Called before the user's module is imported, so that a rerun on the same machine starts from the same weights and
    sees the same order of examples. A module that wants another seed sets its own.
    """
    keras.utils.set_random_seed(SEED)


def train(run_fn: Callable[[FnArgs], Any], fn_args: FnArgs, writes: bool = True) -> Path:
    """Calls `run_fn(fn_args)` and returns the folder of the serving model that it wrote.

    Raises a ModuleError with the user's lines of the traceback if it raises, and one that says what was found instead
    if it left no SavedModel at `fn_args.serving_model_dir`; a worker that is not the chief need not write one.
    """
    assert fn_args.serving_model_dir is not None
    serving = Path(fn_args.serving_model_dir)
    user_modules.call("run_fn", run_fn, fn_args)
    if not writes:
        return serving
    if not SavedModel(serving).exists:
        raise ModuleError(
            f"run_fn did not write a model to fn_args.serving_model_dir: expected {SavedModel.FILE} in {serving}, "
            f"found {_listing(serving)}; end run_fn with "
            "tf.saved_model.save(model, fn_args.serving_model_dir, signatures=…) or "
            "model.export(fn_args.serving_model_dir)"
        )
    logger.info("model written to %s", serving)
    return serving


def _listing(folder: Path) -> str:
    if folder.is_dir():
        return ", ".join(sorted(os.listdir(folder))[:5]) or "nothing"
    beside = ", ".join(sorted(os.listdir(folder.parent))[:5]) if folder.parent.is_dir() else ""
    return f"no such folder, but {beside} beside it" if beside else "no such folder"
