"""Retrainings on this machine: what the Retrainer decides, and the run that it leads to, as `penstock run` does it."""

import contextlib
import functools
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.components.retrainer import decisions, executor, new_data, policy, runs
from penstock.components.retrainer.new_data import Data, Source
from penstock.components.retrainer.notices import Audience
from penstock.components.retrainer.runs import Run, Runs
from penstock.components.retrainer.state import RETRAININGS, State, of_pipeline
from penstock.core.artifacts.retraining import Retraining, RetrainingDecision, RetrainingRecord, RetrainingState
from penstock.core.errors import PenstockError, UserError
from penstock.core.files import atomic, object_stores
from penstock.core.state import open_folder
from penstock.pipelines.config.training_pipeline import Config
from penstock.pipelines.local import launch, monitoring
from penstock.pipelines.local.records import record
from penstock.pipelines.local.records.record import RunRecord
from penstock.pipelines.local.summary import RunSummary
from penstock.pipelines.modules import own_sources, published
from penstock.pipelines.monitoring import retraining_state
from penstock.pipelines.training import data_parameters

if TYPE_CHECKING:
    from penstock.pipelines.local.monitoring import Monitored

type Say = Callable[[str], None]
# Tells people what is new, and of a change what it came to; returns why a channel did not take a message.
type Tell[Result] = Callable[[Result | None], PenstockError | None]
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ended:
    """A retraining whose run has ended: why it failed, and where it ran the summary of the run."""

    retraining: Retraining
    summary: RunSummary | None
    error: PenstockError | None


@dataclass(frozen=True)
class Changed[Result]:
    """What a change came to, what became of the runs after it, and which channels did not take a message of it."""

    result: Result
    ended: list[Ended]
    untold: list[PenstockError]


def after_window(
    config: Config, monitored: "Monitored", warn: Say, note: Say, *, alerts: bool = True
) -> Changed[RetrainingDecision]:
    """Decides on a window by the policy of the configuration, and runs the training pipeline if it is to.

    The decision is beside the window, and the channels are told of it unless there are to be no `alerts`. Raises what
    the InputResolver raises of the data; what a run comes to is no error here.
    """
    assert config.monitoring
    assert config.monitoring.retraining
    source, report = _source(config), monitored.folder.report.absolute().as_uri()
    observed = executor.observe(config.name, monitored.folder.root, monitored.baseline, source, report)
    parsed, now = policy.read(config.monitoring.retraining.policy), datetime.now(UTC)

    file = RetrainingRecord(monitored.folder.root)

    def decide(state: State) -> RetrainingDecision:
        decision = decisions.decide(state, observed, parsed, now)
        file.write(decision)
        return decision

    tell = _teller(config, observed.window["model"], report) if alerts else _silent
    changed = change(config, decide, warn, note, tell)
    decision = changed.result
    for one in changed.ended:
        if decision["retraining"] and decision["retraining"]["id"] == one.retraining["id"]:
            decision["retraining"] = one.retraining
            file.write(decision)
    return changed


def after_answer(config: Config, edit: Callable[[State], Retraining], warn: Say, note: Say) -> Changed[Retraining]:
    """Changes what is kept of retrainings as a person wants it, runs what is due then, and tells the channels."""
    tell = _teller(config, config.monitoring.model if config.monitoring else "")
    return change(config, edit, warn, note, lambda _: tell(None))


def _teller(config: Config, model: str, report: str = "") -> Tell[RetrainingDecision]:
    """Returns what tells the channels of the configuration, if it has any, what is new of retrainings."""
    settings = monitoring.alert_settings(config)
    if settings is None:
        return _silent
    asked = config.monitoring.retraining if config.monitoring else None
    parsed, place = policy.read(asked.policy if asked else ""), monitoring.alert_state(config)
    audience = Audience(place, settings, config.name, model or config.name, parsed, LocalRuns.name, report)

    def tell(decision: RetrainingDecision | None) -> PenstockError | None:
        state = open_folder(retraining_state(config), RETRAININGS).read()
        try:
            return audience.tell(state, decision, datetime.now(UTC))
        except PenstockError as error:  # what is due is to be run nevertheless
            return error

    return tell


def _silent(_: object) -> None: ...


def data(config: Config) -> Data:
    """Looks at the pipeline's data."""
    return new_data.look(_source(config), None)


def _source(config: Config) -> Source:
    """Returns where the data is; a module that reads it is published as it is now, for it reads it from there."""
    if own_sources.of(config):
        published.publish(config)
    return Source(**data_parameters(config))


def change_only[Result](config: Config, edit: Callable[[State], Result]) -> Result:
    """Changes what is kept of the pipeline's retrainings, and runs nothing."""
    return executor.change(retraining_state(config), config.name, None, edit).result


def change[Result](
    config: Config, edit: Callable[[State], Result], warn: Say, note: Say, tell: Tell[Result] = _silent
) -> Changed[Result]:
    """Changes what is kept of the pipeline's retrainings, and runs what is due then, one after the other.

    No lock on the state is held while a run goes on. `tell` is called before the runs, and after each of them.
    """
    folder, ended = retraining_state(config), list[Ended]()
    with LocalRuns(config) as server:
        changed = executor.change(folder, config.name, server, edit)
        untold = [tell(changed.result)]
        due = server.held(changed.started)
        while due:
            ran = [_run(config, one, warn, note) for one in due]
            after = executor.change(folder, config.name, server, functools.partial(_write_down, ran))
            untold.append(tell(None))
            ended += after.result
            for one in ran:
                server.release(one.retraining["id"])
            due = server.held(after.started)
    return Changed(changed.result, ended, [error for error in untold if error])


def listed(config: Config) -> list[Retraining]:
    """Returns the retrainings of a pipeline, the newest first: those that run here as they stand now.

    No state is written. Others look through the same locks, so a look takes its turn; where it cannot, as on a
    read-only disk, the state says what ran when it was written.
    """
    folder = retraining_state(config)
    opened = open_folder(folder, RETRAININGS)
    retrainings = of_pipeline(opened.read(), config.name)
    if any(one["status"] == "running" for one in retrainings) and not object_stores.is_remote(folder):
        try:
            with opened.held(), LocalRuns(config) as server:
                now = of_pipeline(opened.read(), config.name)
                runs.settle(now, server)
        except (UserError, OSError) as error:
            logger.warning("nobody knows how the runs of retrainings stand: %s", error)
        else:
            retrainings = now
    return retrainings[::-1]


class LocalRuns(Runs):
    """Runs of this machine. A process that runs a retraining, or is about to, holds a lock until it ends."""

    name = "local"

    def __init__(self, config: Config) -> None:
        self._root, self._pipeline = Path(config.pipeline_root), config.name
        self._files = RetrainingState(atomic.local_path(retraining_state(config)))
        self._locks: dict[str, contextlib.ExitStack] = {}
        self._has_locks = True

    def __enter__(self) -> "LocalRuns":
        return self

    def __exit__(self, *_: object) -> None:
        for name in list(self._locks):
            self.release(name)

    def find(self, retraining: Retraining) -> Run | None:
        run = next((one for one in record.earlier(self._root, self._pipeline) if _is_of(one, retraining)), None)
        folder = str(run.folder) if run else ""
        if run and run.status in ("done", "failed"):
            error = RunSummary.of(run, {}).failure or ""
            return Run(folder, "", "done" if run.status == "done" else "failed", run.seconds or 0.0, error)
        if retraining["id"] not in self._locks and (lock := self._lock(retraining["id"])):
            lock.close()
            if self._has_locks or not (run and run.status == "running"):  # nobody runs it
                return Run(folder, "", "lost") if run else None
        return Run(folder, "", "running")

    def start(self, retraining: Retraining) -> Run:
        lock = self._lock(retraining["id"])
        if lock:
            self._locks[retraining["id"]] = lock
        return Run("", "", "running")

    def held(self, retrainings: Sequence[Retraining]) -> list[Retraining]:
        """Returns those that this process has to run."""
        return [one for one in retrainings if one["id"] in self._locks]

    def release(self, name: str) -> None:
        """Lets go of the lock of a retraining that this process has run."""
        self._files.held_by_run(name).unlink(missing_ok=True)
        self._locks.pop(name).close()

    def _lock(self, name: str) -> contextlib.ExitStack | None:
        """Returns the lock of a retraining; None if another process has it. Where there are no locks, what it runs is
        known by its record."""
        import fcntl  # Windows, where the commands run too, has none

        with contextlib.ExitStack() as opened:
            file = opened.enter_context(open(self._files.held_by_run(name), "a"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return None
            except OSError as error:
                logger.warning("going on without a lock on %s: %s", file.name, error)
                self._has_locks = False
            return opened.pop_all()


def _run(config: Config, retraining: Retraining, warn: Say, note: Say) -> Ended:
    try:
        summary = launch.launch(config, warn, note, retraining=retraining)
    except PenstockError as error:
        return Ended(retraining, None, error)
    return Ended(retraining, summary, summary.error)


def _write_down(ran: Sequence[Ended], state: State) -> list[Ended]:
    """Writes down which runs have failed before they began; what the others came to is known by their records."""
    of_state = {one["id"]: one for one in state["retrainings"]}
    for one in ran:
        if one.summary is None and one.error:
            of_state[one.retraining["id"]].update({"status": "failed", "error": one.error.message})
    return [replace(one, retraining=of_state[one.retraining["id"]]) for one in ran]


def _is_of(run: RunRecord, retraining: Retraining) -> bool:
    return run.origin.retraining is not None and run.origin.retraining["id"] == retraining["id"]
