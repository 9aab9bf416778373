"""What a task says of its outputs, whether it did its work itself or a job of several workers."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Result:
    """Metadata of the outputs, by their names."""

    metadata: dict[str, dict[str, Any]]
