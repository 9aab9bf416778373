"""What the commands ask of a server, whichever it is. Each target that runs are sent to has a class of it."""

import importlib
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from penstock.core.errors import ConfigError
from penstock.pipelines.servers.submission import Submission
from penstock.pipelines.servers.watch import Snapshot
from penstock.pipelines.targets import target as targets

_CLASSES = {
    "kubeflow": "penstock.pipelines.servers.kubeflow.service:KubeflowService",
    "vertex": "penstock.pipelines.servers.vertex.service:VertexService",
}


@dataclass(frozen=True)
class Scheduled:
    """A schedule as it is listed."""

    name: str
    status: str
    when: str


class Service(Protocol):
    """A server, signed in to. Nothing that it makes is made twice; every failure is one sentence.

    `place` is what it is called in sentences.
    """

    place: str

    def __init__(self, settings: Any) -> None: ...

    @staticmethod
    def check_trigger(cron: str | None, every: int | None) -> None:
        """Checks when a schedule is to fire, before anything is compiled."""

    def check(self, submission: Submission) -> list[str]:
        """Refuses what this server cannot run; returns what would go wrong there, a sentence each."""

    def submit(self, submission: Submission, name: str | None) -> str:
        """Starts a run; returns its id. A name that a run has already is refused; None is a new one."""

    def identity(self, name: str) -> str | None:
        """Returns the id that a run of this name gets; None where the server makes it."""

    def link(self, run_id: str) -> str: ...

    def again(self) -> list[str]:
        """Returns the options that name this server to another command."""

    def find(self, run: str) -> str:
        """Returns the id of the run that a person means, by its id or its name."""

    def snapshot(self, run_id: str) -> Snapshot: ...

    def explained(self, run_id: str, ended: Snapshot) -> Snapshot:
        """Returns a run that has failed with why each of its tasks did, as far as that can be found out."""

    def cancel(self, run_id: str) -> None: ...

    def schedule(
        self, submission: Submission, name: str, cron: str | None, every: int | None, *, replace: bool
    ) -> str: ...

    def schedules(self) -> list[Scheduled]: ...

    def change_schedule(self, name: str, change: Literal["disable", "enable", "delete"]) -> int:
        """Changes all schedules of a name, which servers do not keep unique; returns how many there are."""


def service_class(target: str) -> type[Service]:
    """Returns the class of a target; a ConfigError where no server takes its runs."""
    name = targets.named(target).name
    if name not in _CLASSES:
        raise ConfigError(f"--target {target}: expected one of {', '.join(_CLASSES)}")
    module, _, attribute = _CLASSES[name].partition(":")
    found: type[Service] = getattr(importlib.import_module(module), attribute)
    return found
