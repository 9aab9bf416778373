"""Runs the search of a tuner_fn, in this process or in worker processes on one or several machines.

    chief (this process)            workers (processes of their own, one for each trial at a time)
    tuner_fn(fn_args).tuner         tuner_fn(fn_args).tuner.search(**fit_kwargs)
    its oracle, served over gRPC <- asks for trials, reports scores

TF_CONFIG names the machines. serving.py serves the oracle, keeper.py keeps a machine's workers alive, and machine.py
uses it on machines without the oracle. The tuner's directory is `fn_args.working_dir`. If that outlives a killed
search, the next one resumes with its trials, first those that were running.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from keras_tuner.src.distribute import utils
from keras_tuner.src.engine.base_tuner import BaseTuner

from penstock.core import user_modules
from penstock.trainer.data import memory
from penstock.trainer.hardware import distribution
from penstock.trainer.hardware.distribution import Cluster
from penstock.trainer.tuning import failures, resuming, telling
from penstock.trainer.tuning.cluster import chief, keeper, machine, worker
from penstock.trainer.tuning.cluster.processes import Source
from penstock.trainer.tuning.user_code import UserCode

_WORKER_BYTES = 2 << 30
_ALONE = "tuner0"  # KerasTuner's ID of a tuner that runs its trials itself


def run(
    code: UserCode,
    parallel_trials: int = 1,
    cluster: Cluster | None = None,
    is_over: Callable[[], bool] = lambda: False,
    source: Source | None = None,
) -> BaseTuner | None:
    """Searches, and returns the tuner with its trials; None in a process that only runs trials for a chief elsewhere.

    With one trial at a time, this process runs all trials, as in TFX. It does so too where KERASTUNER_TUNER_ID and the
    variables beside it make this process a part of a larger search, whose chief returns at the end.

    parallel_trials: how many trials run at a time on this machine.
    cluster: the machines that search together; None if this one searches alone.
    is_over: whether the search has ended; a machine asks this while no chief answers.
    source: what worker processes are started from; by default they are new processes.

    Raises a ModuleError if the user's code raises, if too many trials fail in a row, or if none succeeds. Raises a
    ServerUnavailable if a machine gets no answer from the chief.
    """
    resuming.prepare()
    source = source or Source(fork=False)
    if _is_worker():
        worker.work(code)
        return None
    if cluster is not None and not cluster.is_chief:
        machine.work(code, parallel_trials, source, cluster, is_over)
        return None
    if code.fn_args.working_dir:
        take_over(Path(code.fn_args.working_dir))
    if cluster is not None or (parallel_trials > 1 and not utils.has_chief_oracle()):
        tuner = chief.search(code, parallel_trials, source, cluster)
    else:
        tuner, fit_kwargs = code.tuner()
        telling.begin(tuner.oracle, fit_kwargs)
        if utils.is_chief_oracle():
            chief.guard_keras_tuners_server()
        tuner.save()  # without the tuner's file, KerasTuner does not look for a search to go on with
        with failures.explained(tuner.oracle):
            user_modules.call("tuner.search", tuner.search, **fit_kwargs)
    failures.require_success(tuner.oracle)
    return tuner


def machines() -> Cluster | None:
    """Returns the machines of TF_CONFIG, which search together.

    None if there is only this one, or where KerasTuner's own variables make this process a part of a search.
    """
    return None if utils.has_chief_oracle() else distribution.cluster()


def has_results(cluster: Cluster | None) -> bool:
    """Whether this process has the results at the end: it does not just run trials for a chief elsewhere."""
    return not _is_worker() and (cluster is None or cluster.is_chief)


def _is_worker() -> bool:
    return bool(utils.has_chief_oracle() and not utils.is_chief_oracle())


def places() -> int:
    """Returns how many trials this machine can run at a time: one on each GPU, else one on each core.

    On cores, the free memory limits them too: a process with TensorFlow takes about a gigabyte without any data.
    """
    return len(keeper.devices()) or max(1, min(os.cpu_count() or 1, memory.free() // _WORKER_BYTES))


def take_over(working_dir: Path) -> None:
    """Lets this process resume the searches in a folder, whether a chief or a single process ran them.

    KerasTuner resumes a search only if there is a file of the tuner's ID; so both IDs get that file.
    """
    for folder in (path.parent for path in working_dir.glob("*/oracle.json")):
        tuner_files = [folder / f"{name}.json" for name in (chief.ID, _ALONE)]
        for path, other in (tuner_files, tuner_files[::-1]):
            if other.exists() and not path.exists():
                shutil.copyfile(other, path)


def remove(working_dir: Path) -> None:
    """Removes the searches in a folder. If this is killed, the rest counts as no search to go on with."""
    for oracle in working_dir.glob("*/oracle.json"):
        for name in (chief.ID, _ALONE):
            oracle.with_name(f"{name}.json").unlink(missing_ok=True)
    shutil.rmtree(working_dir, ignore_errors=True)
