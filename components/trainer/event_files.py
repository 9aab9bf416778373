"""The epochs of a training by the module of a user's, read from what Keras's TensorBoard callback has written.

<log_dir>/train/events.out.tfevents.*        scalars epoch_loss, epoch_accuracy, … with the epoch, from 0, as step
<log_dir>/validation/events.out.tfevents.*   the same, of the eval split
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from penstock.components.trainer.epochs import VALIDATION, Epoch, History
from penstock.core.artifacts import ModelRun
from penstock.core.files import atomic

_FILES = "events.out.tfevents.*"
_PREFIXES = {"train": "", "validation": VALIDATION}
_TAG = "epoch_"


def record(model_run: Path) -> None:
    """Writes history.json of the event files below a model_run, unless there is a file of that name.

    Such a file is the module's, or of an earlier attempt at the task that ended after this: they are not told apart. Of
    several log_dirs the one that was written last counts. Where there are no epochs nothing is written.
    """
    target = ModelRun(model_run).history
    if target.exists():
        return
    values: dict[int, dict[str, float]] = {}
    for folder, files in _newest(model_run).items():
        for tag, steps in _scalars(files).items():
            for step, value in steps.items():
                values.setdefault(step, {})[_PREFIXES[folder] + tag.removeprefix(_TAG)] = value
    if values:
        epochs = [_epoch(step + 1, measured) for step, measured in sorted(values.items())]
        atomic.write_text(target, History(epochs=epochs).model_dump_json(exclude_unset=True, indent=1) + "\n")


def _epoch(number: int, measured: Mapping[str, float]) -> Epoch:
    """Returns an epoch with what was measured, but for what has a name that means something else in history.json."""
    values = {name: value for name, value in measured.items() if name not in Epoch.model_fields}
    return Epoch.model_validate({"epoch": number, **values})


def _newest(model_run: Path) -> dict[str, list[Path]]:
    """Returns the event files of the last log_dir by the folder, in the order they were written."""
    by_log_dir: dict[Path, dict[str, list[Path]]] = {}
    for file in sorted(model_run.rglob(_FILES)):  # their names begin with the time
        if file.parent.name in _PREFIXES:
            by_log_dir.setdefault(file.parent.parent, {}).setdefault(file.parent.name, []).append(file)
    return max(by_log_dir.values(), key=lambda folders: max(files[-1].name for files in folders.values()), default={})


def _scalars(files: Iterable[Path]) -> dict[str, dict[int, float]]:
    """Returns the values of each scalar by step; a training that was taken up again replaces what was after its step.

    What was cut off at the end of a file is left out.
    """
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader  # imports TensorFlow
    from tensorboard.compat.proto.types_pb2 import DT_FLOAT
    from tensorboard.util import tensor_util

    values: dict[str, dict[int, float]] = {}
    for file in files:
        later: dict[str, dict[int, float]] = {}
        for event in EventFileLoader(str(file)).Load():
            for value in event.summary.value:
                is_scalar = value.tensor.dtype == DT_FLOAT and not value.tensor.tensor_shape.dim
                if value.tag.startswith(_TAG) and is_scalar:
                    later.setdefault(value.tag, {})[event.step] = float(tensor_util.make_ndarray(value.tensor))
        for tag, steps in later.items():
            before = {step: number for step, number in values.get(tag, {}).items() if step < min(steps)}
            values[tag] = before | steps
    return values
