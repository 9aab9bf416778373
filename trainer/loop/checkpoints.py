"""Checkpoints of a training in progress: all that it needs to continue as if it had not been interrupted.

    <model_run_dir>/checkpoint/state.npz     one file, replaced atomically: a kill leaves the old one or the new one

It holds the variables of the model (with the states of its random generators) and of the optimizer, and the best
weights so far. Its JSON holds the position in the data, the history, and fingerprints of model, data and settings.
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
type EpochRecord = dict[str, Any]  # an epoch in history.json: "epoch", "loss", "val_loss", "seconds", ...


@dataclass
class Progress:
    """How far a training has come.

    batch_size: of the current epoch; smaller than configured after the memory ran out.
    epoch: the number of finished epochs.
    row: how many rows of the current epoch are done; the next batch starts there.
    steps: the number of steps over all epochs.
    loss_sum: the sum over the steps of the current epoch of loss times rows.
    seconds: of training in the current epoch.
    best_epoch, best: the epoch, from 1, with the best value of the monitored metric, and that value. 0 and None before
        the first epoch has ended.
    history: a record for each finished epoch.
    finished: why training has ended; "" while it has not.
    """

    batch_size: int
    epoch: int = 0
    row: int = 0
    steps: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0
    best_epoch: int = 0
    best: float | None = None
    history: list[EpochRecord] = field(default_factory=list)
    finished: str = ""


@dataclass(frozen=True)
class Snapshot:
    """A progress with the values of the variables at that point; `best` are the best weights, if there are any yet."""

    progress: Progress
    model: Arrays
    optimizer: Arrays
    best: Arrays


class Checkpoints:
    """The checkpoint of one training, in `<model_run_dir>/checkpoint`.

    fingerprints: digests by the name of what they are made of; a checkpoint is used only if all of them are equal.
    """

    def __init__(self, model_run_dir: Path, fingerprints: Mapping[str, str]):
        self.path = ModelRun(model_run_dir).checkpoint
        self._fingerprints = dict(fingerprints)

    def save(self, snapshot: Snapshot) -> None:
        """Replaces the checkpoint. Raises a UserError if the disk is full or cannot be written to."""
        meta = {"fingerprint": self._fingerprints, "progress": asdict(snapshot.progress)}
        arrays = {_META: np.frombuffer(json.dumps(meta).encode(), np.uint8)}
        for group in _GROUPS:
            arrays |= {f"{group}/{index:05d}": array for index, array in enumerate(getattr(snapshot, group))}
        try:
            with atomic.replacing(self.path) as temporary, open(temporary, "wb") as file:
                np.savez(file, allow_pickle=False, **arrays)
        except OSError as error:
            error.filename = error.filename or str(self.path)  # the error of a failed write names no file
            explained = explain_os_error(error)
            if explained is None:
                raise
            raise UserError(f"the checkpoint could not be written: {explained.message}") from None

    def load(self) -> Snapshot | None:
        """Returns the checkpoint, or None if there is none.

        A checkpoint that cannot be read, or that has other fingerprints, is not used; the log says why.
        """
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
        changed = [name for name, value in self._fingerprints.items() if meta["fingerprint"].get(name) != value]
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
    """Returns a snapshot as a list of arrays, to be sent to other workers; `unpacked` is the inverse."""
    meta = {"progress": asdict(snapshot.progress), "sizes": [len(getattr(snapshot, group)) for group in _GROUPS]}
    arrays = (array for group in _GROUPS for array in getattr(snapshot, group))
    return [np.frombuffer(json.dumps(meta).encode(), np.uint8), *arrays]


def unpacked(arrays: Arrays) -> Snapshot:
    """Returns the snapshot of which `packed` made these arrays."""
    meta, rest = json.loads(arrays[0].tobytes()), iter(arrays[1:])
    groups = [list(itertools.islice(rest, size)) for size in meta["sizes"]]
    return Snapshot(Progress(**meta["progress"]), *groups)


def values(variables: Sequence[keras.Variable]) -> Arrays:
    """Returns copies of the values of variables, in their order."""
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def assign(variables: Sequence[keras.Variable], arrays: Arrays) -> None:
    """Assigns arrays, as `values` returns them, to variables; raises a ValueError if their numbers differ."""
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)
