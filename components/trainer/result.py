"""What the Trainer's task says of its outputs."""

from dataclasses import dataclass
from typing import Any

from penstock.components import artifacts


@dataclass(frozen=True)
class Result:
    """Metadata of `model` and `model_run`."""

    metadata: dict[str, dict[str, Any]]


def trained() -> Result:
    """Returns the metadata of a training that succeeded."""
    return Result({"model": artifacts.metadata(), "model_run": artifacts.metadata()})
