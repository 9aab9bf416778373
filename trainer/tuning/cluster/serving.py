"""Serves the oracle of a search over gRPC to the workers of this machine and of others.

The oracle keeps each running trial under its worker's name. So a worker that is started again gets its trial again. A
machine that gives no sign of life loses its trials to the next workers that ask. A trial fails if its worker dies again
and again.
"""

import contextlib
import logging
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent import futures
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, Unpack

import grpc  # type: ignore[import-untyped]
from keras_tuner.src import protos
from keras_tuner.src.distribute import oracle_chief
from keras_tuner.src.engine.oracle import Oracle
from keras_tuner.src.engine.trial import Trial, TrialStatus

from penstock.core import user_modules
from penstock.core.errors import ServerUnavailable
from penstock.trainer.tuning import failures
from penstock.trainer.tuning.cluster import protocol
from penstock.trainer.tuning.cluster.protocol import Answer
from penstock.trainer.tuning.failures import FailureRecord

if TYPE_CHECKING:
    from keras_tuner.src.protos.v4 import service_pb2

# Starts of one trial. A worker may die once because another process takes the memory, but hardly three times.
STARTS = 3
SILENCE = 300.0  # seconds without a sign of life, after which other machines get a machine's trials
_FAREWELL = 30.0  # the same at the end of the search, after which a machine is not waited for
_POLL = 0.1
_LOOPBACK = ("127.", "localhost", "[::1]")
logger = logging.getLogger(__name__)


def worker_name(index: int, machine: int | None) -> str:
    """Returns the name of a worker. `machine` is the index of its machine; None if only one searches."""
    return f"worker-{index}" if machine is None else f"{_machine_name(machine)}{index}"


def _machine_name(machine: int) -> str:
    return f"machine-{machine}-worker-"


@dataclass
class _Machine:
    """A machine that searches.

    keeper: an ID that is new whenever the machine is started. seen: when it last gave a sign of life.
    """

    keeper: str
    seen: float


class _Servicer(oracle_chief.OracleServicer):  # type: ignore[misc]
    """KerasTuner's servicer, with the requests of protocol.py. One thread answers all of them."""

    def __init__(self, oracle: Oracle) -> None:
        super().__init__(oracle)
        self.failure: Exception | None = None  # the error that ends the search
        self.over = False
        self.machines: dict[int, _Machine] = {}
        self._messages: dict[str, str] = {}
        self._deaths: dict[str, int] = defaultdict(int)

    def CreateTrial(
        self, request: "service_pb2.CreateTrialRequest", context: grpc.ServicerContext
    ) -> "service_pb2.CreateTrialResponse":
        with self._ended_by_errors():
            return super().CreateTrial(request, context)

    def UpdateTrial(
        self, request: "service_pb2.UpdateTrialRequest", context: grpc.ServicerContext
    ) -> "service_pb2.UpdateTrialResponse":
        if self._is_running(request.trial_id):
            return super().UpdateTrial(request, context)
        trial = self.oracle.trials[request.trial_id]
        stopped = Trial(trial.hyperparameters, trial.trial_id, TrialStatus.STOPPED)  # another worker has it now
        return protos.get_service().UpdateTrialResponse(trial=stopped.to_proto())

    def EndTrial(
        self, request: "service_pb2.EndTrialRequest", context: grpc.ServicerContext
    ) -> "service_pb2.EndTrialResponse":
        trial = Trial.from_proto(request.trial)
        trial.message = self._messages.pop(trial.trial_id, None)
        if self._is_running(trial.trial_id):
            self._end(trial)
        else:
            logger.info("trial %s was given to another worker: its late result is ignored", trial.trial_id)
        return protos.get_service().EndTrialResponse()

    def beat(self, machine: int, keeper: str, running: bool) -> Answer:
        if self.over:
            return {"over": True, "known": False}
        state = self.machines.get(machine)
        if not running:
            if state is None:
                logger.info("machine %d searches too", machine)
            self.lose(machine, "was started again")
            self.machines[machine] = _Machine(keeper, time.monotonic())
        elif state is not None and state.keeper == keeper:
            state.seen = time.monotonic()
        else:
            return {"over": False, "known": False}
        return {"over": False, "known": True}

    def end(self, machine: int, keeper: str) -> Answer:
        state = self.machines.get(machine)
        if state is not None and state.keeper == keeper:
            del self.machines[machine]
        return {}

    def died(self, worker: str, how: str) -> Answer:
        trial = self.oracle.ongoing_trials.get(worker)
        if self.over or self.failure is not None:
            return {"trial": "", "over": True}  # the end of the search may have ended the worker
        if trial is None:
            return {"trial": "", "over": False}
        self._count_death(trial, f"the worker that ran it {how}")
        return {"trial": trial.trial_id, "over": False}

    def failed(self, **failure: Unpack[FailureRecord]) -> Answer:
        self.failure = self.failure or failures.from_record(failure)
        return {}

    def message(self, trial_id: str, message: str) -> Answer:
        self._messages[trial_id] = message
        return {}

    def lose(self, machine: int, how: str) -> None:
        """Lets the next workers that ask have the trials of a machine that is gone; `how` says what happened to it."""
        self.machines.pop(machine, None)
        for name, trial in list(self.oracle.ongoing_trials.items()):
            if name.startswith(_machine_name(machine)):
                logger.warning("trial %s goes to another worker: machine %d %s", trial.trial_id, machine, how)
                if self._count_death(trial, f"the machine that ran it {how}"):
                    continue
                del self.oracle.ongoing_trials[name]
                self.oracle._retry_queue.append(trial.trial_id)
                self.oracle.save()

    def _is_running(self, trial_id: str) -> bool:
        return any(trial.trial_id == trial_id for trial in self.oracle.ongoing_trials.values())

    def _count_death(self, trial: Trial, how: str) -> bool:
        """Counts a death of the worker that ran a trial; returns whether the trial fails, having had its last start."""
        self._deaths[trial.trial_id] += 1
        if self._deaths[trial.trial_id] < STARTS:
            return False
        trial.status = TrialStatus.FAILED
        trial.message = f"{how}, {STARTS} times in a row; most often, the memory is too small"
        self._end(trial)
        return True

    def _end(self, trial: Trial) -> None:
        with self._ended_by_errors():
            self.oracle.end_trial(trial)
        # What the oracle has saved still lists the trial as running: after a restart it would be run again.
        self.oracle.save()

    @contextlib.contextmanager
    def _ended_by_errors(self) -> Iterator[None]:
        """Ends the search by an error of the oracle: all that the worker gets of it is gRPC's own words."""
        try:
            yield
        except Exception as error:
            self.failure = self.failure or user_modules.error_of("the tuner's oracle", error)
            raise


class Served:
    """An oracle while it is served; a context manager.

    With `port` 0 it takes a free port, which the field `port` holds. Who does not send `token` is refused. Raises a
    ServerUnavailable if the port is taken.
    """

    def __init__(self, oracle: Oracle, host: str, port: int, token: str) -> None:
        # One thread: an oracle that raises keeps its lock, which only the same thread can take again.
        self._thread = futures.ThreadPoolExecutor(max_workers=1)
        self._oracle, self._servicer = oracle, _Servicer(oracle)
        self._server = grpc.server(
            self._thread, interceptors=[protocol.Checks(token)], options=[("grpc.so_reuseport", 0)]
        )
        protos.get_service_grpc().add_OracleServicer_to_server(self._servicer, self._server)
        requests = ("beat", "end", "died", "failed", "message")
        self._server.add_generic_rpc_handlers(
            [protocol.handler({name: getattr(self._servicer, name) for name in requests})]
        )
        # This machine may be unable to bind to the name by which others reach it.
        interface = host if host.startswith(_LOOPBACK) else "[::]"
        try:
            self.port = int(self._server.add_insecure_port(f"{interface}:{port}"))
        except RuntimeError as error:
            raise ServerUnavailable(f"the chief cannot serve the search at port {port}: {error}") from None

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Ends the search on all machines, and waits until those that are alive know it."""
        self._servicer.over = True
        while self._servicer.machines:
            time.sleep(_POLL)
            self._lose_silent(_FAREWELL)
        self._server.stop(None).wait()

    @property
    def waiting(self) -> int:
        """How many trials wait for a worker to run them again."""
        return len(self._oracle._retry_queue)

    @property
    def is_done(self) -> bool:
        """Whether no trial is running or waiting."""
        return not self._oracle.ongoing_trials and not self.waiting

    def look(self) -> None:
        """Gives up machines that are silent. Raises the error that ends the search, if there is one."""
        if self._servicer.failure is not None:
            raise self._servicer.failure
        self._lose_silent(SILENCE)

    def _lose_silent(self, seconds: float) -> None:
        for machine, state in list(self._servicer.machines.items()):
            if time.monotonic() - state.seen > seconds:
                how = f"gave no sign of life for {seconds:g} s"
                self._thread.submit(self._servicer.lose, machine, how).result()
