"""What a component keeps from run to run."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from penstock.core.artifacts.artifact import Artifact


@dataclass(frozen=True)
class StateFiles(Artifact):
    """What a component keeps from run to run.

    <name>.json                the state, and the lock that a run holds: in a folder
    <name>-000000000042.json   the state after so many writes, of which the last ones are kept: in an object store
    """

    NAME: ClassVar[str] = "state"
    LOCK: ClassVar[str] = ".lock"

    @property
    def path(self) -> Path:
        return self.root / f"{self.NAME}.json"

    @property
    def lock(self) -> Path:
        return self.root / self.LOCK

    @classmethod
    def numbered(cls, number: int) -> str:
        """Returns the name of an object."""
        return f"{cls.NAME}-{number:012d}.json"

    @classmethod
    def number(cls, name: str) -> int | None:
        """Returns the number of an object; None for another's name."""
        match = re.fullmatch(rf"{cls.NAME}-(\d{{12}})\.json", name)
        return int(match[1]) if match else None


class KafkaState(StateFiles):
    """What ExampleGen keeps of a topic: kafka_state.json, in an object store kafka_state-000000000042.json."""

    NAME: ClassVar[str] = "kafka_state"
