"""The epochs of a training: of the history.json in its model_run."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, model_validator

from penstock.core.artifacts import ModelRun
from penstock.core.page.metrics import Scale

VALIDATION = "val_"  # before the name of what was measured on the eval split
_SQUARED_ERROR = "mean_squared_error"


class Epoch(BaseModel):
    """An epoch. What was measured after it are its further keys, such as `loss` and `val_loss`."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, float | None] = Field(init=False)
    epoch: int
    batch_size: int | None = None
    examples_per_second: int | None = None
    seconds: float | None = None
    utilisation: Mapping[str, float] = {}

    @property
    def measured(self) -> Mapping[str, float | None]:
        """What was measured, by its name."""
        return self.__pydantic_extra__


class History(BaseModel):
    """A history.json. `best_epoch` is that of the exported weights, where this is known."""

    model_config = ConfigDict(frozen=True)
    epochs: Sequence[Epoch] = Field(min_length=1)
    best_epoch: int | None = None
    device: str = ""
    precision: str = ""
    backend: str = ""
    finished: str = ""

    @model_validator(mode="after")
    def _has_its_best_epoch(self) -> "History":
        if self.best_epoch is not None and self.best_epoch not in {epoch.epoch for epoch in self.epochs}:
            raise ValueError(f"best_epoch: expected one of the epochs, received {self.best_epoch}")
        return self

    @property
    def measures(self) -> list[str]:
        """The names of what was measured after any epoch, such as `loss` and `val_loss`."""
        return list(dict.fromkeys(name for epoch in self.epochs for name in epoch.measured))


def read(folder: Path) -> History | None:
    """Returns what a history.json holds; None if there is none, or a damaged one, or a user's file of that name."""
    try:
        return History.model_validate_json(ModelRun(folder).history.read_bytes())
    except (OSError, ValueError):
        return None


def _that_counts(history: History) -> tuple[Epoch, str]:
    """Returns the best epoch, or the last where it is not known, and in words which it is."""
    for epoch in history.epochs:
        if epoch.epoch == history.best_epoch:
            return epoch, f"best epoch {epoch.epoch} of {len(history.epochs)}"
    return history.epochs[-1], count(history)


def summary(history: History, scale: Scale) -> str:
    """Returns what was measured on the eval split after the epoch that counts, by the names that people know."""
    epoch, which = _that_counts(history)
    measured = ", ".join(
        f"{scale.name(measure)} {scale.value(measure, value)}"
        for name, value in epoch.measured.items()
        if name.startswith(VALIDATION) and value is not None
        for measure in [name.removeprefix(VALIDATION)]
    )
    return f"{which}, on the eval split: {measured}" if measured else which


def count(history: History) -> str:
    """Returns how many epochs there were, in words."""
    return f"{len(history.epochs)} epoch{'s' if len(history.epochs) > 1 else ''}"


def scale(measures: Iterable[str], label: str = "") -> Scale:
    """Returns what measures are measured in: where there are squared errors, `label` names their unit."""
    names = {name.removeprefix(VALIDATION) for name in measures}
    return Scale("regression" if _SQUARED_ERROR in names else "other", label)
