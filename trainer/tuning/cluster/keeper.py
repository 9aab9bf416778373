"""Keeps the worker processes of one machine alive, each with its share of the cores, or with a GPU.

A worker that died is started again under its name, under which the chief has kept its trial.
"""

import logging
import os
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Self

import tensorflow as tf

from penstock.core.errors import UserError, WorkerLost
from penstock.trainer.hardware import distribution
from penstock.trainer.tuning import failures
from penstock.trainer.tuning.cluster import serving, tokens
from penstock.trainer.tuning.cluster.processes import Source, Worker
from penstock.trainer.tuning.cluster.protocol import Chief
from penstock.trainer.tuning.user_code import UserCode

# The variables that tell KerasTuner's processes their name and the address of the oracle.
DISTRIBUTED = ("KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT")
logger = logging.getLogger(__name__)


def devices() -> list[str]:
    """Returns the GPUs of this machine by their names in CUDA_VISIBLE_DEVICES, without allocating any."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    count = len(tf.config.list_physical_devices("GPU"))
    return (visible.split(",") if visible else [str(index) for index in range(count)])[:count]


class _Worker(NamedTuple):
    name: str
    process: Worker
    failure: Path
    ended: Path  # exists once the worker has found no trial left: its exit code alone proves nothing


class Keeper:
    """Keeps `count` workers of this machine alive; a context manager, at whose end they are stopped.

    address: of the chief. source: what the workers are started from. token: returns the search's token. machine: this
        machine's index in the cluster; None if no others search.
    """

    def __init__(
        self,
        code: UserCode,
        count: int,
        address: str,
        source: Source,
        token: Callable[[], str],
        machine: int | None = None,
    ) -> None:
        self._code, self._count, self._address, self._machine = code, count, address, machine
        self._source, self._token = source, token
        self._gpus = devices()
        self._chief = Chief(address, token)
        self._running: dict[int, _Worker] = {}
        self._idle_deaths: dict[str, int] = defaultdict(int)  # of workers that had no trial

    def __enter__(self) -> Self:
        self._scratch = tempfile.TemporaryDirectory(prefix="penstock-tuner-")
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._chief.close()
        self._scratch.cleanup()

    @property
    def is_running(self) -> bool:
        """Whether a worker runs, or has died and is to be started again."""
        return bool(self._running)

    def start(self, most: int | None = None) -> None:
        """Starts the workers, or at most so many of them."""
        for index in range(self._count if most is None else min(most, self._count)):
            self._running[index] = self._start(index)

    def stop(self) -> None:
        """Kills all workers."""
        for worker in self._running.values():
            worker.process.end()
        self._running.clear()

    def look(self) -> None:
        """Starts workers that died again.

        Raises the error of a worker that cannot work, or a WorkerLost if it keeps dying without an error or a trial.
        """
        for index, worker in list(self._running.items()):
            code = worker.process.poll()
            if code is not None:
                self._replace(index, worker, code)

    def _replace(self, index: int, worker: _Worker, code: int) -> None:
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        answer = self._chief.ask("died", worker=worker.name, how=how)
        if answer is None:
            return  # the chief is asked again at the next look
        trial = answer["trial"]
        if answer["over"] or (not trial and worker.ended.exists()):
            del self._running[index]
            return
        if worker.failure.exists() and (not trial or code == UserError.exit_code):
            raise failures.read(worker.failure)
        logger.warning("the tuner's %s %s in trial %s: starting it again", worker.name, how, trial or "(none)")
        if not trial:
            self._idle_deaths[worker.name] += 1
            if self._idle_deaths[worker.name] == serving.STARTS:
                raise WorkerLost(
                    f"a worker of the tuner {how} {serving.STARTS} times before it had a trial: see the log"
                )
        self._running[index] = self._start(index)

    def _start(self, index: int) -> _Worker:
        name = serving.worker_name(index, self._machine)
        host, _, port = self._address.rpartition(":")
        threads = str(max(1, (os.cpu_count() or 1) // self._count))
        environment = {
            **os.environ,
            **dict(zip(DISTRIBUTED, (name, host, port), strict=True)),
            tokens.VARIABLE: self._token(),
            "TF_NUM_INTRAOP_THREADS": threads,
            "OMP_NUM_THREADS": threads,
            "TF_FORCE_GPU_ALLOW_GROWTH": "true",  # trials may share a GPU
        }
        environment.pop(distribution.VARIABLE, None)  # each trial trains on one machine
        if self._gpus:
            environment["CUDA_VISIBLE_DEVICES"] = self._gpus[index % len(self._gpus)]
        failure, ended = (Path(self._scratch.name) / f"{name}.{kind}" for kind in ("json", "ended"))
        for path in (failure, ended):
            path.unlink(missing_ok=True)
        arguments = [self._code.arguments(), str(failure), str(ended)]
        return _Worker(name, self._source.start(arguments, environment), failure, ended)
