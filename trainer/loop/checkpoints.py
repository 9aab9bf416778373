"""Checkpoints of a training in progress: all that it needs to go on as if it had not been interrupted.

    <model_run_dir>/checkpoint/state.npz     one file, replaced as a whole, so that a kill leaves the old or the new one

It holds the model's variables (with the states of its random generators), the optimizer's, the best weights so far,
and as JSON the position in the data, the history and the fingerprint of what is trained on what.
"""

import itertools
import json
import logging
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from penstock.core.artifacts import ModelRun
from penstock.core.errors import UserError, explain_os_error
from penstock.core.files import atomic

_META = "progress"
_GROUPS = ("model", "optimizer", "best")
logger = logging.getLogger(__name__)

type Arrays = list[npt.NDArray[Any]]


@dataclass
class Progress:
    """Where a training stands.

    epoch: the number of epochs that are over.
    row: rows of the current epoch that are trained on; the next batch starts there.
    batch_size: of the current epoch; smaller than asked after a back-off.
    steps: steps since the start, over all epochs.
    loss_sum: of the current epoch, each step's loss times its rows.
    seconds: of training in the current epoch.
    best_epoch, best: the epoch (from 1) with the best value of what is monitored, and the value; 0 and None before.
    history: a record for each epoch that is over.
    finished: why training is over; "" while it is not.
    """

    batch_size: int
    epoch: int = 0
    row: int = 0
    steps: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0
    best_epoch: int = 0
    best: float | None = None
    history: list[dict[str, Any]] = field(default_factory=list)
    finished: str = ""


@dataclass(frozen=True)
class Snapshot:
    """A progress with the values of the variables at it; `best` are the best model's, empty before the first epoch."""

    progress: Progress
    model: Arrays
    optimizer: Arrays
    best: Arrays


class Checkpoints:
    """The checkpoint of one training, in `<model_run_dir>/checkpoint`.

    `fingerprint` holds what must be equal for a checkpoint to be used: {what: digest}.
    """

    def __init__(self, model_run_dir: Path, fingerprint: Mapping[str, str]):
        self.path = ModelRun(model_run_dir).checkpoint
        self._fingerprint = dict(fingerprint)

    def save(self, snapshot: Snapshot) -> None:
        """Replaces the checkpoint; a UserError says so if the disk is full or cannot be written."""
        meta = {"fingerprint": self._fingerprint, "progress": asdict(snapshot.progress)}
        arrays = {_META: np.frombuffer(json.dumps(meta).encode(), np.uint8)}
        for group in _GROUPS:
            arrays |= {f"{group}/{index:05d}": array for index, array in enumerate(getattr(snapshot, group))}
        try:
            with atomic.replacing(self.path) as temporary, open(temporary, "wb") as file:
                np.savez(file, allow_pickle=False, **arrays)
        except OSError as error:
            error.filename = error.filename or str(self.path)  # a write that fails names no file
            explained = explain_os_error(error)
            if explained is None:
                raise
            raise UserError(f"the checkpoint could not be written: {explained.message}") from None

    def load(self) -> Snapshot | None:
        """Returns the checkpoint; None, with a line that says why, if there is none that can be used."""
        if not self.path.is_file():
            return None
        try:
            with np.load(self.path, allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
            meta = json.loads(arrays.pop(_META).tobytes())
            progress = Progress(**meta["progress"])
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            logger.warning("the checkpoint at %s cannot be read and is not used: %s", self.path, error)
            return None
        changed = [name for name, value in self._fingerprint.items() if meta["fingerprint"].get(name) != value]
        if changed:
            logger.warning(
                "the checkpoint at %s is of a training with another %s and is not used: training starts anew",
                self.path,
                " and another ".join(changed),
            )
            return None
        groups = [
            [array for name, array in sorted(arrays.items()) if name.startswith(f"{group}/")] for group in _GROUPS
        ]
        return Snapshot(progress, *groups)


def packed(snapshot: Snapshot) -> Arrays:
    """Returns a snapshot as arrays alone."""
    meta = {"progress": asdict(snapshot.progress), "sizes": [len(getattr(snapshot, group)) for group in _GROUPS]}
    arrays = (array for group in _GROUPS for array in getattr(snapshot, group))
    return [np.frombuffer(json.dumps(meta).encode(), np.uint8), *arrays]


def unpacked(arrays: Arrays) -> Snapshot:
    """Returns the snapshot that `packed` took apart."""
    meta, rest = json.loads(arrays[0].tobytes()), iter(arrays[1:])
    groups = [list(itertools.islice(rest, size)) for size in meta["sizes"]]
    return Snapshot(Progress(**meta["progress"]), *groups)


def values(variables: Sequence[Any]) -> Arrays:
    """Returns copies of the values of Keras variables, in their order."""
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def assign(variables: Sequence[Any], arrays: Arrays) -> None:
    """Gives Keras variables the values that `values` returned."""
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)
