"""What the commands ask of a server that runs pipelines, whichever it is. Each target has a class of it."""

import contextlib
import importlib
import shlex
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from penstock.core.errors import ConfigError, PenstockError, SystemFailure, UserError
from penstock.core.services.retries import Interrupted, NotFound, Unanswered, make_once
from penstock.pipelines.servers.submission import Submission
from penstock.pipelines.servers.watch import Snapshot
from penstock.pipelines.targets import target as targets

_CLASSES = {
    "kubeflow": "penstock.pipelines.servers.kubeflow.service:KubeflowService",
    "vertex": "penstock.pipelines.servers.vertex.service:VertexService",
}
type Change = Literal["disable", "enable", "delete"]


@dataclass(frozen=True)
class Trigger:
    """When a schedule fires: by the fields of a cron expression, or every so many seconds."""

    cron: str | None = None
    every: int | None = None

    def __str__(self) -> str:
        if self.cron is not None:
            return f"cron {self.cron}"
        return "" if self.every is None else f"every {self.every} s"


@dataclass(frozen=True)
class Schedule:
    """A schedule as a server has it; `status` is enabled, disabled or the server's own word."""

    id: str
    name: str
    status: str
    trigger: Trigger


class Service(ABC):
    """A server, signed in to. Nothing that it makes is made twice; every failure is one sentence.

    `place` is what it is called in sentences.
    """

    place: str

    @abstractmethod
    def __init__(self, settings: Any) -> None:
        """Signs in to the server that the target's section of a configuration names. It sends nothing."""

    @staticmethod
    @abstractmethod
    def check_trigger(trigger: Trigger) -> None:
        """Raises a ConfigError for a trigger that this server cannot have, before anything is compiled."""

    @abstractmethod
    def check(self, submission: Submission) -> list[str]:
        """Refuses what this server cannot run; returns what would go wrong there, a sentence each."""

    @abstractmethod
    def submit(self, submission: Submission, name: str | None) -> str:
        """Starts a run; returns its id. A name that a run has already is refused; None is a new one."""

    @abstractmethod
    def id_of_name(self, name: str) -> str | None:
        """Returns the id that a run of this name gets; None where the server makes it."""

    @abstractmethod
    def link(self, run_id: str) -> str:
        """Returns the address of the page that shows a run."""

    @abstractmethod
    def options(self) -> list[str]:
        """Returns the options that name this server to another command."""

    @abstractmethod
    def find(self, run: str) -> str:
        """Returns the id of the run that a person means, by its id or its name."""

    @abstractmethod
    def snapshot(self, run_id: str) -> Snapshot:
        """Returns how a run stands. It asks once: whoever follows a run decides how long to wait for an answer."""

    @abstractmethod
    def explained(self, run_id: str, ended: Snapshot) -> Snapshot:
        """Returns a run that has failed with why each of its tasks did, as far as that can be found out."""

    @abstractmethod
    def cancel(self, run_id: str) -> None:
        """Asks a run to end; nothing happens to one that is ending."""

    @abstractmethod
    def schedules(self, name: str | None = None) -> list[Schedule]:
        """Returns the schedules of a name, which servers do not keep unique, or all, sorted by name."""

    @abstractmethod
    def _schedule_maker(self, submission: Submission, name: str, trigger: Trigger) -> Callable[[], str]:
        """Returns what makes a schedule with one request, and returns its id."""

    @abstractmethod
    def _change_schedule(self, schedule_id: str, change: Change) -> None:
        """Changes a schedule; a NotFound if it is not there."""

    def schedule(self, submission: Submission, name: str, trigger: Trigger, *, replace: bool) -> str:
        """Makes a schedule; returns its id. One of the same name is replaced, or a UserError.

        The new one is made before the old one is deleted, so that a failure leaves one of them.
        """
        old = [schedule.id for schedule in self.schedules(name)]
        if old and not replace:
            raise UserError(f"{self.place} has a schedule {name!r} already: choose another --name, or --replace it")
        make = self._schedule_maker(submission, name, trigger)
        submission.publish()
        new = make_once(
            make,
            lambda: next((schedule.id for schedule in self.schedules(name) if schedule.id not in old), None),
            f"{self.place}: it is not known whether the schedule {name} was made: see `penstock schedule list`",
        )
        self._delete_replaced(old, name, new)
        return new

    def change_schedule(self, name: str, change: Change) -> int:
        """Changes all schedules of a name; returns how many there are."""
        schedules = self.schedules(name)
        if not schedules:
            raise UserError(f"{self.place} has no schedule {name!r}: `penstock schedule list` tells their names")
        for schedule in schedules:
            if change == "delete":
                self._delete_schedule(schedule.id)
            else:
                self._change_schedule(schedule.id, change)
        return len(schedules)

    def _delete_schedule(self, schedule_id: str) -> None:
        with contextlib.suppress(NotFound):  # deleted by a request whose answer was lost
            self._change_schedule(schedule_id, "delete")

    def _delete_replaced(self, old: Sequence[str], name: str, new: str) -> None:
        """Deletes the schedules that `new` has replaced; what ends it says that both fire now."""
        both = (
            f"{self.place}: the new schedule {name} ({new}) is there, but the old one may not be deleted, and then "
            f"both start runs: repeat this command, which replaces both, or `penstock schedule delete "
            f"{shlex.quote(name)}`"
        )
        try:
            for schedule_id in old:
                self._delete_schedule(schedule_id)
        except KeyboardInterrupt:
            raise Interrupted(f"interrupted: {both}") from None
        except PenstockError as error:
            raise SystemFailure(both, error.what if isinstance(error, Unanswered) else error.message) from None


def service_class(target: str) -> type[Service]:
    """Returns the class of a target; a ConfigError where no server takes its runs."""
    name = targets.named(target).name
    if name not in _CLASSES:
        raise ConfigError(f"--target {target}: expected one of {', '.join(_CLASSES)}")
    module, _, attribute = _CLASSES[name].partition(":")
    kind: type[Service] = getattr(importlib.import_module(module), attribute)
    return kind
