"""The oracle of a search, served over gRPC to the workers of this machine and of others.

It keeps the trial that a worker has under the worker's name: one that is started again gets its trial again, and one of
another machine that gives no sign of life loses it to the next worker that asks. A trial whose worker dies again and
again fails.
"""

import logging
import time
from collections import defaultdict
from concurrent import futures
from dataclasses import dataclass
from typing import Any, Self

import grpc  # type: ignore[import-untyped]
from keras_tuner.src import protos
from keras_tuner.src.distribute import oracle_chief
from keras_tuner.src.engine.trial import Trial, TrialStatus

from penstock.core.errors import ServerUnavailable
from penstock.trainer.tuning import failures
from penstock.trainer.tuning.cluster import protocol

# Starts of one trial. The first may fall to another process's hunger for memory; the third is its own.
STARTS = 3
SILENCE = 300.0  # seconds without a sign of life, after which a machine's trials are handed on
_FAREWELL = 30.0  # and after which it is not waited for at the end
_POLL = 0.1
_LOOPBACK = ("127.", "localhost", "[::1]")
logger = logging.getLogger(__name__)


def worker_name(index: int, machine: int | None) -> str:
    """Returns the name of a worker; `machine` is its machine's number if several search."""
    return f"worker-{index}" if machine is None else f"{_machine_name(machine)}{index}"


def _machine_name(machine: int) -> str:
    return f"machine-{machine}-worker-"


@dataclass
class _Machine:
    """keeper: what keeps its workers alive, new with every start of the machine. seen: when it last gave a sign."""

    keeper: str
    seen: float


class _Servicer(oracle_chief.OracleServicer):  # type: ignore[misc]
    """KerasTuner's, with protocol.py's requests. All of them are answered by one thread."""

    def __init__(self, oracle: Any) -> None:
        super().__init__(oracle)
        self.failure: Exception | None = None  # what ends the search
        self.over = False
        self.machines: dict[int, _Machine] = {}
        self._messages: dict[str, str] = {}
        self._deaths: dict[str, int] = defaultdict(int)

    def UpdateTrial(self, request: Any, context: Any) -> Any:
        if self._is_under_way(request.trial_id):
            return super().UpdateTrial(request, context)
        trial = self.oracle.trials[request.trial_id]
        told = Trial(trial.hyperparameters, trial.trial_id, TrialStatus.STOPPED)  # it was handed on
        return protos.get_service().UpdateTrialResponse(trial=told.to_proto())

    def EndTrial(self, request: Any, context: Any) -> Any:
        trial = Trial.from_proto(request.trial)
        trial.message = self._messages.pop(trial.trial_id, None)
        if self._is_under_way(trial.trial_id):
            self._end(trial)
        else:
            logger.info("trial %s was handed on: a result that comes late is left out", trial.trial_id)
        return protos.get_service().EndTrialResponse()

    def beat(self, machine: int, keeper: str, running: bool) -> dict[str, Any]:
        if self.over:
            return {"over": True, "known": False}
        known = self.machines.get(machine)
        if not running:
            if known is None:
                logger.info("machine %d searches too", machine)
            self.lose(machine, "was started again")
            self.machines[machine] = _Machine(keeper, time.monotonic())
        elif known is not None and known.keeper == keeper:
            known.seen = time.monotonic()
        else:
            return {"over": False, "known": False}
        return {"over": False, "known": True}

    def end(self, machine: int, keeper: str) -> dict[str, Any]:
        known = self.machines.get(machine)
        if known is not None and known.keeper == keeper:
            del self.machines[machine]
        return {}

    def died(self, worker: str, how: str) -> dict[str, Any]:
        trial = self.oracle.ongoing_trials.get(worker)
        if self.over or self.failure is not None:
            return {"trial": "", "over": True}  # it may have died of that
        if trial is None:
            return {"trial": "", "over": False}
        self._bury(trial, f"the worker that ran it {how}")
        return {"trial": trial.trial_id, "over": False}

    def failed(self, **said: Any) -> dict[str, Any]:
        self.failure = self.failure or failures.raised(said)
        return {}

    def message(self, trial_id: str, message: str) -> dict[str, Any]:
        self._messages[trial_id] = message
        return {}

    def lose(self, machine: int, how: str) -> None:
        """Hands on the trials of a machine that is gone."""
        self.machines.pop(machine, None)
        for name, trial in list(self.oracle.ongoing_trials.items()):
            if name.startswith(_machine_name(machine)):
                logger.warning("trial %s is handed on: machine %d %s", trial.trial_id, machine, how)
                if self._bury(trial, f"the machine that ran it {how}"):
                    continue
                del self.oracle.ongoing_trials[name]
                self.oracle._retry_queue.append(trial.trial_id)
                self.oracle.save()

    def _is_under_way(self, trial_id: str) -> bool:
        return any(trial.trial_id == trial_id for trial in self.oracle.ongoing_trials.values())

    def _bury(self, trial: Trial, how: str) -> bool:
        """Counts a death against a trial; returns whether it was the last that it is given, of which it fails."""
        self._deaths[trial.trial_id] += 1
        if self._deaths[trial.trial_id] < STARTS:
            return False
        trial.status = TrialStatus.FAILED
        trial.message = f"{how}, {STARTS} times in a row; most often that is for want of memory"
        self._end(trial)
        return True

    def _end(self, trial: Trial) -> None:
        try:
            self.oracle.end_trial(trial)
        except Exception:
            self.failure = RuntimeError("the oracle ended the search")
            raise
        self.oracle.save()  # the oracle's own save still has the trial among those under way: it would be run again


class Served:
    """An oracle while it is served, at a port of the chief's address; `port` 0 takes a free one."""

    def __init__(self, oracle: Any, host: str, port: int) -> None:
        # One thread: an oracle that raises keeps its lock, which lets only the same thread through.
        self._thread = futures.ThreadPoolExecutor(max_workers=1)
        self._oracle, self._servicer = oracle, _Servicer(oracle)
        self._server = grpc.server(self._thread, options=[("grpc.so_reuseport", 0)])
        protos.get_service_grpc().add_OracleServicer_to_server(self._servicer, self._server)
        requests = ("beat", "end", "died", "failed", "message")
        self._server.add_generic_rpc_handlers(
            [protocol.handler({name: getattr(self._servicer, name) for name in requests})]
        )
        # The name by which others reach this machine need not be one that it can bind to.
        bound = host if host.startswith(_LOOPBACK) else "[::]"
        try:
            self.port = int(self._server.add_insecure_port(f"{bound}:{port}"))
        except RuntimeError as error:
            raise ServerUnavailable(f"the chief cannot serve the search at port {port}: {error}") from None

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Ends the search on all machines, and waits until those that live have heard of it."""
        self._servicer.over = True
        while self._servicer.machines:
            time.sleep(_POLL)
            self._lose_silent(_FAREWELL)
        self._server.stop(None).wait()

    @property
    def waiting(self) -> int:
        """How many trials wait for a worker that runs them again."""
        return len(self._oracle._retry_queue)

    @property
    def is_done(self) -> bool:
        """Whether no trial is under way, nor waits."""
        return not self._oracle.ongoing_trials and not self.waiting

    def look(self) -> None:
        """Hands on the trials of machines that are silent; raises what ends the search."""
        if self._servicer.failure is not None:
            raise self._servicer.failure
        self._lose_silent(SILENCE)

    def _lose_silent(self, seconds: float) -> None:
        for machine, known in list(self._servicer.machines.items()):
            if time.monotonic() - known.seen > seconds:
                how = f"gave no sign of life for {seconds:g} s"
                self._thread.submit(self._servicer.lose, machine, how).result()
