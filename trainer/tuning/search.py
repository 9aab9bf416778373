"""Runs the search of a tuner_fn: in this process, or as KerasTuner's chief with one worker process for each trial
that runs at a time.

    chief (this process)            workers (processes of their own)
    tuner_fn(fn_args).tuner         tuner_fn(fn_args).tuner.search(**fit_kwargs)
    its oracle, served over gRPC <- asks for trials, reports scores, on loopback

The tuner's directory is `fn_args.working_dir`, which outlives this process: a search that was killed is begun again
with the trials that it has, those under way first. A worker that dies is started anew under its name, for which the
oracle keeps the trial that it had; a trial that kills its worker again and again fails.
"""

import contextlib
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent import futures
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
import tensorflow as tf
from keras_tuner.src import protos
from keras_tuner.src.distribute import oracle_chief, oracle_client
from keras_tuner.src.engine import base_tuner, stateful
from keras_tuner.src.engine.trial import Trial, TrialStatus

from penstock.components import errors, modules, storage
from penstock.components.errors import ConfigError, ModuleError, PenstockError, WorkerLost
from penstock.trainer import memory, reader, training
from penstock.trainer.fn_args import FnArgs

# Starts of a worker for one trial. The first may fall to another process's hunger for memory; the third is its own.
_STARTS = 3
_POLL = 0.1  # seconds
_WORKER_BYTES = 2 << 30
_CHIEF = "chief"  # KerasTuner takes a tuner with this in its ID for the chief
_ALONE = "tuner0"  # and this is the ID of one that runs its trials itself
_DISTRIBUTED = ("KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT")
_SAVE = stateful.Stateful.save
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class UserCode:
    """Where the user's tuner_fn is, as modules.find takes it, and what it is called with."""

    module_file: str
    tuner_fn: str
    fn_args: FnArgs

    def tuner(self) -> tuple[Any, dict[str, Any]]:
        """Calls tuner_fn; returns its tuner and the fit_kwargs of the search.

        Seeds come first, so that an oracle without a seed of its own draws the same trials in a rerun. Raises a
        ModuleError if tuner_fn is missing, raises, or returns anything else, and a ConfigError for no trials.
        """
        training.set_seeds()
        result = modules.call("tuner_fn", modules.find(self.module_file, self.tuner_fn, "tuner_fn"), self.fn_args)
        tuner, fit_kwargs = getattr(result, "tuner", None), getattr(result, "fit_kwargs", None)
        if not isinstance(tuner, base_tuner.BaseTuner) or not isinstance(fit_kwargs, Mapping):
            raise ModuleError(
                "tuner_fn: expected a TunerFnResult of a KerasTuner tuner and a dict of fit_kwargs, received "
                f"{result!r}"
            )
        if tuner.oracle.max_trials is not None and tuner.oracle.max_trials < 1:  # which KerasTuner takes for no limit
            raise ConfigError(f"tuner_fn: expected a tuner of at least one trial, received {tuner.oracle.max_trials}")
        return tuner, dict(fit_kwargs)

    def arguments(self) -> str:
        """Returns what makes the same UserCode in another process, JSON."""
        fields = {**vars(self.fn_args), "data_accessor": None}
        return json.dumps({"module_file": self.module_file, "tuner_fn": self.tuner_fn, "fn_args": fields})

    @classmethod
    def from_arguments(cls, text: str) -> "UserCode":
        given = json.loads(text)
        fn_args = FnArgs(data_accessor=reader.data_accessor())
        for name, value in given["fn_args"].items():
            if name != "data_accessor":
                setattr(fn_args, name, value)
        return cls(given["module_file"], given["tuner_fn"], fn_args)


def run(code: UserCode, parallel_trials: int = 1) -> Any:
    """Searches, and returns the tuner with the trials that it made.

    With one trial at a time everything happens in this process, as in TFX, and so it does where the environment says
    that this process is a part of a larger search (KERASTUNER_TUNER_ID and its kin): its chief returns at the end.

    Raises a ModuleError if the user's code raises, if trial after trial fails, or if none succeeds.
    """
    _write_whole_files()
    if code.fn_args.working_dir:
        take_over(Path(code.fn_args.working_dir))
    if parallel_trials > 1 and "KERASTUNER_ORACLE_IP" not in os.environ:
        tuner = _Chief(code, parallel_trials).search()
    else:
        tuner, fit_kwargs = code.tuner()
        tuner.search_space_summary()
        with _failures_told(tuner.oracle):
            modules.call("tuner.search", tuner.search, **fit_kwargs)
    _require_success(tuner.oracle)
    return tuner


def take_over(working_dir: Path) -> None:
    """Makes the searches there go on, whether they were begun by a chief or alone.

    KerasTuner takes a search for a new one unless there is a file of the tuner's own name, and forgets its trials.
    """
    for folder in (path.parent for path in working_dir.glob("*/oracle.json")):
        known = [folder / f"{name}.json" for name in (_CHIEF, _ALONE)]
        for path, other in (known, known[::-1]):
            if other.exists() and not path.exists():
                shutil.copyfile(other, path)


def work(code: UserCode) -> None:
    """A worker's part: trials, one after the other, until the chief's oracle has no more."""
    _write_whole_files()
    _keep_what_is_there()
    tuner, fit_kwargs = code.tuner()
    modules.call("tuner.search", tuner.search, **fit_kwargs)


def devices() -> list[str]:
    """Returns the GPUs of this machine as CUDA_VISIBLE_DEVICES names them, without taking hold of one."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    count = len(tf.config.list_physical_devices("GPU"))
    return (visible.split(",") if visible else [str(index) for index in range(count)])[:count]


def places() -> int:
    """Returns how many trials this machine has a place for at a time: one on each GPU, else one on each core.

    On cores the free memory limits them too: a process with TensorFlow takes about a gigabyte before any data.
    """
    return len(devices()) or max(1, min(os.cpu_count() or 1, memory.free() // _WORKER_BYTES))


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


@dataclass
class _Worker:
    name: str
    process: subprocess.Popen[bytes]
    failure: Path
    starts: dict[str, int] = field(default_factory=dict)  # of the trials that it died in


class _Chief:
    """Serves the oracle of a tuner on loopback, and keeps the workers alive that run its trials."""

    def __init__(self, code: UserCode, count: int) -> None:
        self._code, self._count, self._gpus = code, count, devices()
        # One thread: an oracle that raises keeps its lock, which lets only the same thread through.
        self._thread = futures.ThreadPoolExecutor(max_workers=1)

    def search(self) -> Any:
        with _environment(dict(zip(_DISTRIBUTED, (_CHIEF, "127.0.0.1", "0"), strict=True))):
            with contextlib.suppress(RuntimeError):  # a GPU that is in use already stays so
                tf.config.set_visible_devices([], "GPU")
            tuner, fit_kwargs = self._code.tuner()
        tuner.oracle.verbose = fit_kwargs.get("verbose", "auto")
        tuner.search_space_summary()
        tuner.save()
        with tempfile.TemporaryDirectory(prefix="penstock-tuner-") as scratch:
            servicer, server = _Servicer(tuner.oracle, Path(scratch)), grpc.server(self._thread)
            protos.get_service_grpc().add_OracleServicer_to_server(servicer, server)
            port = server.add_insecure_port("127.0.0.1:0")
            server.start()
            workers = [self._start(index, port, Path(scratch)) for index in range(self._count)]
            try:
                with _failures_told(tuner.oracle):
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
        if worker.failure.exists() and (trial is None or code == PenstockError.exit_code + 1):
            raise _read_failure(worker.failure)
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
            [sys.executable, "-P", "-m", __name__, self._code.arguments(), str(failure)],
            env=environment,
            stdin=subprocess.PIPE,  # its end is the chief's, see _end_with_chief
        )
        return _Worker(name, process, failure)


def _require_success(oracle: Any) -> None:
    """Raises a ModuleError if no trial of a search completed."""
    if any(trial.status == TrialStatus.COMPLETED for trial in oracle.trials.values()):
        return
    if not oracle.trials:
        raise ModuleError("the search made no trial: expected a tuner with at least one, and a search space to try")
    raise _all_failed(oracle, f"none of the {len(oracle.trials)} trials succeeded")


@contextlib.contextmanager
def _failures_told(oracle: Any) -> Iterator[None]:
    """What KerasTuner raises after trial upon trial has failed becomes a sentence about the last of them."""
    try:
        yield
    except (ModuleError, RuntimeError) as error:
        failed = [trial for trial in oracle.trials.values() if trial.status == TrialStatus.FAILED]
        cause = error.__cause__ if isinstance(error, ModuleError) else error
        if not failed or not isinstance(cause, RuntimeError):
            raise
        raise _all_failed(oracle, f"{oracle.max_consecutive_failed_trials} trials in a row failed") from None


def _all_failed(oracle: Any, what: str) -> ModuleError:
    """The message of a trial is its traceback; its last line says what was raised."""
    ended = [oracle.trials[trial_id] for trial_id in oracle.end_order]
    message = next((trial.message for trial in reversed(ended) if trial.message), "")
    lines = message.strip().splitlines() or ["its score was not a number"]
    return ModuleError(f"tuner: {what}; the last one: {lines[-1]}", "\n".join(lines[:-1]))


def _write_whole_files() -> None:
    """KerasTuner writes its state where it lies: a process killed in the middle would leave half of it."""

    def save(self: Any, fname: str) -> str:
        if "://" in str(fname):
            return str(_SAVE(self, fname))
        text = json.dumps(self.get_state())
        storage.write_text(Path(fname), text)
        return text

    stateful.Stateful.save = save


def _keep_what_is_there() -> None:
    """A tuner_fn that asks to overwrite an earlier search means the chief: a worker would remove this one."""
    init = base_tuner.BaseTuner.__init__

    def keep(self: Any, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **{**kwargs, "overwrite": False})

    base_tuner.BaseTuner.__init__ = keep


def _tell_messages(folder: Path) -> None:
    """KerasTuner's protocol has no place for what a failed trial raised: it goes into a file of the trial's name."""
    end_trial = oracle_client.OracleClient.end_trial

    def tell(self: Any, trial: Any) -> None:
        if trial.message:
            storage.write_text(folder / f"{trial.trial_id}.txt", trial.message)
        end_trial(self, trial)

    oracle_client.OracleClient.end_trial = tell


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


def _end_with_chief() -> None:
    """Ends this process when its input does: the chief is gone, and its oracle would be waited for for an hour."""
    os.read(sys.stdin.fileno(), 1)  # not sys.stdin's own reader, whose lock would hold up this process's own end
    os._exit(1)


def _read_failure(path: Path) -> PenstockError:
    told = json.loads(path.read_text())
    kind = getattr(errors, told["type"], ModuleError)
    return kind(told["message"], told["details"])  # type: ignore[no-any-return]


def main(arguments: Sequence[str]) -> int:
    """A worker process; returns its exit code, and leaves in a file what a person is to be told."""
    text, failure = arguments
    threading.Thread(target=_end_with_chief, daemon=True).start()
    try:
        _tell_messages(Path(failure).parent)
        work(UserCode.from_arguments(text))
    except PenstockError as error:
        told = {"type": type(error).__name__, "message": error.message, "details": error.details}
        storage.write_text(Path(failure), json.dumps(told))
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
