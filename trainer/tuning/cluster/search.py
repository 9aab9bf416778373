"""Runs the search of a tuner_fn: in this process, or as KerasTuner's chief with one worker process for each trial
that runs at a time, on this machine and, where TF_CONFIG names several, on others.

    chief (this process)            workers (processes of their own)
    tuner_fn(fn_args).tuner         tuner_fn(fn_args).tuner.search(**fit_kwargs)
    its oracle, served over gRPC <- asks for trials, reports scores

serving.py serves the oracle, keeper.py keeps a machine's workers alive, machine.py does so on a machine without the
oracle. The tuner's directory is `fn_args.working_dir`, which outlives this process: a search that was killed is begun
again with the trials that it has, those under way first.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from keras_tuner.src.distribute import utils

from penstock.core import user_modules
from penstock.trainer.data import memory
from penstock.trainer.hardware import distribution
from penstock.trainer.hardware.distribution import Cluster
from penstock.trainer.tuning import failures, telling
from penstock.trainer.tuning.cluster import chief, keeper, machine, worker
from penstock.trainer.tuning.cluster.processes import Source
from penstock.trainer.tuning.user_code import UserCode, write_whole_files

_WORKER_BYTES = 2 << 30
_ALONE = "tuner0"  # KerasTuner's ID of a tuner that runs its trials itself


def run(
    code: UserCode,
    parallel_trials: int = 1,
    cluster: Cluster | None = None,
    is_over: Callable[[], bool] = lambda: False,
    source: Source | None = None,
) -> Any:
    """Searches, and returns the tuner with the trials that it made.

    With one trial at a time everything happens in this process, as in TFX, and so it does where the environment says
    that this process is a part of a larger search (KERASTUNER_TUNER_ID and its kin): its chief returns at the end. A
    worker of it, or a machine of a cluster that is not its chief, returns None, for the chief has the results; such a
    machine asks `is_over` whether there are some already where no chief answers. Worker processes are started from
    `source`, by default as new ones.

    Raises a ModuleError if the user's code raises, if trial after trial fails, or if none succeeds.
    """
    write_whole_files()
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
        with failures.told(tuner.oracle):
            user_modules.call("tuner.search", tuner.search, **fit_kwargs)
    failures.require_success(tuner.oracle)
    return tuner


def machines() -> Cluster | None:
    """Returns the machines that search together, by TF_CONFIG; None if this one is alone, or where KerasTuner's own
    variables say who it is."""
    return None if utils.has_chief_oracle() else distribution.cluster()


def has_results(cluster: Cluster | None) -> bool:
    """Whether this process has the results at the end, and does not run trials for a chief elsewhere."""
    return not _is_worker() and (cluster is None or cluster.is_chief)


def _is_worker() -> bool:
    return bool(utils.has_chief_oracle() and not utils.is_chief_oracle())


def places() -> int:
    """Returns how many trials this machine has a place for at a time: one on each GPU, else one on each core.

    On cores the free memory limits them too: a process with TensorFlow takes about a gigabyte before any data.
    """
    return len(keeper.devices()) or max(1, min(os.cpu_count() or 1, memory.free() // _WORKER_BYTES))


def take_over(working_dir: Path) -> None:
    """Makes the searches there go on, whether they were begun by a chief or alone.

    KerasTuner takes a search for a new one unless there is a file of the tuner's own name, and forgets its trials.
    """
    for folder in (path.parent for path in working_dir.glob("*/oracle.json")):
        known = [folder / f"{name}.json" for name in (chief.ID, _ALONE)]
        for path, other in (known, known[::-1]):
            if other.exists() and not path.exists():
                shutil.copyfile(other, path)
