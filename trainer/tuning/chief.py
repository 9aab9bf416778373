"""KerasTuner's chief, with the workers that it has on this machine.

The oracle keeps the trial that a worker has under the worker's name. So one that died is started anew under its name,
and gets its trial again; a trial that kills its worker again and again fails.
"""

import contextlib
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent import futures
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
import tensorflow as tf
from keras_tuner.src import protos
from keras_tuner.src.distribute import oracle_chief
from keras_tuner.src.engine.trial import Trial, TrialStatus

from penstock.components.errors import UserError, WorkerLost
from penstock.trainer.tuning import failures, telling
from penstock.trainer.tuning.user_code import UserCode
from penstock.trainer.tuning.worker import MODULE, read_failure

# Starts of a worker for one trial. The first may fall to another process's hunger for memory; the third is its own.
_STARTS = 3
_POLL = 0.1  # seconds
ID = "chief"  # KerasTuner takes a tuner with this in its ID for the chief
_DISTRIBUTED = ("KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT")
logger = logging.getLogger(__name__)


def devices() -> list[str]:
    """Returns the GPUs of this machine as CUDA_VISIBLE_DEVICES names them, without taking hold of one."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    count = len(tf.config.list_physical_devices("GPU"))
    return (visible.split(",") if visible else [str(index) for index in range(count)])[:count]


@dataclass
class _Worker:
    name: str
    process: subprocess.Popen[bytes]
    failure: Path
    starts: dict[str, int] = field(default_factory=dict)  # of the trials that it died in


class _Servicer(oracle_chief.OracleServicer):  # type: ignore[misc]
    """KerasTuner's, with what its protocol leaves out: why a trial failed, and that the oracle ends the search."""

    def __init__(self, oracle: Any, messages: Path) -> None:
        super().__init__(oracle)
        self._messages, self.failed = messages, False

    def EndTrial(self, request: Any, context: Any) -> Any:
        trial, message = Trial.from_proto(request.trial), self._messages / f"{request.trial.trial_id}.txt"
        trial.message = message.read_text(encoding="utf-8") if message.exists() else None
        try:
            self.oracle.end_trial(trial)
        except Exception:
            self.failed = True
            raise
        self.oracle.save()  # the oracle's own save still has the trial among those under way: it would be run again
        return protos.get_service().EndTrialResponse()


class Chief:
    """Serves the oracle of a tuner on loopback, and keeps the workers alive that run its trials."""

    def __init__(self, code: UserCode, count: int) -> None:
        self._code, self._count, self._gpus = code, count, devices()
        # One thread: an oracle that raises keeps its lock, which lets only the same thread through.
        self._thread = futures.ThreadPoolExecutor(max_workers=1)

    def search(self) -> Any:
        with _environment(dict(zip(_DISTRIBUTED, (ID, "127.0.0.1", "0"), strict=True))):
            with contextlib.suppress(RuntimeError):  # a GPU that is in use already stays so
                tf.config.set_visible_devices([], "GPU")
            tuner, fit_kwargs = self._code.tuner()
        telling.begin(tuner.oracle, fit_kwargs)
        tuner.save()
        with tempfile.TemporaryDirectory(prefix="penstock-tuner-") as scratch:
            servicer, server = _Servicer(tuner.oracle, Path(scratch)), grpc.server(self._thread)
            protos.get_service_grpc().add_OracleServicer_to_server(servicer, server)
            port = server.add_insecure_port("127.0.0.1:0")
            server.start()
            workers = [self._start(index, port, Path(scratch)) for index in range(self._count)]
            try:
                with failures.told(tuner.oracle):
                    self._watch(workers, port, Path(scratch), servicer)
            finally:
                for worker in workers:
                    worker.process.kill()
                    worker.process.wait()
                server.stop(None).wait()
        tuner.save()
        return tuner

    def _watch(self, workers: list[_Worker], port: int, scratch: Path, servicer: _Servicer) -> None:
        """Returns when every worker has been told that there are no more trials."""
        running = dict(enumerate(workers))
        while running:
            time.sleep(_POLL)
            for index, worker in list(running.items()):
                code = worker.process.poll()
                if servicer.failed:
                    raise RuntimeError("the oracle ended the search")
                if code == 0:
                    del running[index]
                elif code is not None:
                    self._bury(worker, code, servicer.oracle)
                    fresh = self._start(index, port, scratch)
                    fresh.starts = worker.starts
                    workers[index] = running[index] = fresh

    def _bury(self, worker: _Worker, code: int, oracle: Any) -> None:
        """Counts a death against the trial of a worker; the trial fails with the last one that it is given."""
        trial = oracle.ongoing_trials.get(worker.name)
        key = trial.trial_id if trial else ""
        worker.starts[key] = worker.starts.get(key, 0) + 1
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        if worker.failure.exists() and (trial is None or code == UserError.exit_code):
            raise read_failure(worker.failure)
        logger.warning("the tuner's %s %s in trial %s: starting it again", worker.name, how, key or "(none)")
        if worker.starts[key] < _STARTS:
            return
        if trial is None:
            raise WorkerLost(f"a worker of the tuner {how} {_STARTS} times before it had a trial: see the log")
        trial.status = TrialStatus.FAILED
        trial.message = f"the worker that ran it {how}, {_STARTS} times in a row; most often that is for want of memory"
        self._thread.submit(oracle.end_trial, trial).result()

    def _start(self, index: int, port: int, scratch: Path) -> _Worker:
        name = f"worker-{index}"
        threads = str(max(1, (os.cpu_count() or 1) // self._count))
        environment = {
            **os.environ,
            **dict(zip(_DISTRIBUTED, (name, "127.0.0.1", str(port)), strict=True)),
            "TF_NUM_INTRAOP_THREADS": threads,
            "OMP_NUM_THREADS": threads,
            "TF_FORCE_GPU_ALLOW_GROWTH": "true",  # trials may share a GPU
        }
        if self._gpus:
            environment["CUDA_VISIBLE_DEVICES"] = self._gpus[index % len(self._gpus)]
        failure = scratch / f"{name}.json"
        failure.unlink(missing_ok=True)
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", MODULE, self._code.arguments(), str(failure)],
            env=environment,
            stdin=subprocess.PIPE,  # its end is the chief's, whose end a worker takes for its own
        )
        return _Worker(name, process, failure)


@contextlib.contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
