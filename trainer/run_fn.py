"""Runs a user's run_fn: sets the seeds, trains, and checks the model that run_fn wrote."""

import logging
import os
from collections.abc import Callable
from pathlib import Path

import keras

from penstock.core import user_modules
from penstock.core.artifacts import Model, SavedModel
from penstock.core.errors import ModuleError
from penstock.core.legacy import keras_version
from penstock.trainer.fn_args import FnArgs

SEED = 1
logger = logging.getLogger(__name__)


def set_seeds() -> None:
    """Seeds the random generators of Python, NumPy, TensorFlow and Keras with SEED.

    To be called before the user's module is imported: a rerun on the same machine then starts from the same weights
    and sees the examples in the same order. A module may set another seed.
    """
    keras.utils.set_random_seed(SEED)
    if keras_version.current() == 2:
        import tensorflow as tf

        tf.keras.utils.set_random_seed(SEED)


def train(run_fn: Callable[[FnArgs], object], fn_args: FnArgs, writes: bool = True) -> Path:
    """Calls `run_fn(fn_args)` and returns `fn_args.serving_model_dir`, where it must have written a model.

    As in TFX this may be a model of any kind; if it is no SavedModel, a warning says what that means.

    writes: whether a model is required. Of several workers only the chief writes one.

    Raises a ModuleError if run_fn raises, with the user's lines of the traceback, or if it wrote no model.
    """
    assert fn_args.serving_model_dir is not None
    serving = Path(fn_args.serving_model_dir)
    user_modules.call("run_fn", run_fn, fn_args)
    if not writes:
        return serving
    model = SavedModel(serving / Model.below_serving(SavedModel(serving).names()))
    names = model.names()
    misplaced = not model.exists and any(Path(name).name == SavedModel.FILE for name in names)
    if not SavedModel.is_model(names) or misplaced:
        raise ModuleError(
            f"run_fn did not write a model to fn_args.serving_model_dir: expected {SavedModel.FILE} in {serving}, "
            f"found {_listing(serving)}; end run_fn with "
            "tf.saved_model.save(model, fn_args.serving_model_dir, signatures=…) or "
            "model.export(fn_args.serving_model_dir)"
        )
    if not model.exists:
        logger.warning(
            "the model is no SavedModel (%s): its signatures are not checked, `penstock predict` cannot ask it, and "
            "the Evaluator needs a module with custom_eval_shared_model and custom_extractors",
            model.listed(),
        )
    logger.info("model written to %s", serving)
    return serving


def _listing(folder: Path) -> str:
    if folder.is_dir():
        return ", ".join(sorted(os.listdir(folder))[:5]) or "nothing"
    beside = ", ".join(sorted(os.listdir(folder.parent))[:5]) if folder.parent.is_dir() else ""
    return f"no such folder, but {beside} beside it" if beside else "no such folder"
