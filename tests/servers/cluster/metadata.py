"""The metadata service of a cluster: artifacts by numbers, and the cache of executions by their fingerprints."""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Artifact:
    """An artifact as it was recorded: `metadata` is what its producer wrote and what the server adds."""

    number: int
    uri: str
    metadata: Mapping[str, Any]
    schema: Mapping[str, Any]

    def as_input(self) -> dict[str, Any]:
        """Returns what the driver tells of it to the tasks that read it: its schema is lost on the way."""
        return {
            "name": str(self.number),
            "type": {"instanceSchema": ""},
            "uri": self.uri,
            "metadata": dict(sorted(self.metadata.items())),
        }


@dataclass
class Outputs:
    """What a task gave: of a loop, lists of what its passes gave."""

    parameters: dict[str, Any] = field(default_factory=dict)
    artifacts: dict[str, list[Artifact]] = field(default_factory=dict)


class Metadata:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._artifacts = 0
        self._executions = 0
        self._imported: dict[str, Artifact] = {}
        self._cache: dict[tuple[str, str], Outputs] = {}

    def record(self, name: str, given: Mapping[str, Any], session: str) -> Artifact:
        """Records an artifact of ExecutorOutput's shape; `session` is how its store is reached."""
        known = {**given.get("metadata", {}), "display_name": name, "store_session_info": session}
        return Artifact(self._number(), given["uri"], known, given["type"])

    def imported(self, given: Mapping[str, Any], session: str) -> Artifact:
        """Records what an importer names; one that is known already, with the same metadata, is not recorded anew."""
        key = json.dumps(given, sort_keys=True)
        if key not in self._imported:
            self._imported[key] = self.record("artifact", given, session)
        return self._imported[key]

    def _number(self) -> int:
        with self._lock:
            self._artifacts += 1
            return self._artifacts

    def execution(self) -> int:
        with self._lock:
            self._executions += 1
            return self._executions

    def cached(self, pipeline: str, fingerprint: str) -> Outputs | None:
        return self._cache.get((pipeline, fingerprint))

    def remember(self, pipeline: str, fingerprint: str, outputs: Outputs) -> None:
        self._cache[pipeline, fingerprint] = outputs
