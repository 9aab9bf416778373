"""The chief of a search: it serves the tuner's oracle, and runs workers on its own machine."""

import contextlib
import logging
import os
import time
from collections.abc import Iterator, Mapping
from concurrent import futures
from pathlib import Path
from types import SimpleNamespace

import grpc  # type: ignore[import-untyped]
import tensorflow as tf
from keras_tuner.src.distribute import oracle_chief
from keras_tuner.src.engine.base_tuner import BaseTuner

from penstock.trainer.hardware import distribution
from penstock.trainer.hardware.distribution import Cluster
from penstock.trainer.tuning import failures, telling
from penstock.trainer.tuning.cluster import protocol, tokens
from penstock.trainer.tuning.cluster.keeper import DISTRIBUTED, Keeper
from penstock.trainer.tuning.cluster.processes import Source
from penstock.trainer.tuning.cluster.serving import Served
from penstock.trainer.tuning.user_code import UserCode

_POLL = 0.1  # seconds
logger = logging.getLogger(__name__)
ID = "chief"  # for KerasTuner, a tuner with this in its ID is the chief


def search(code: UserCode, count: int, source: Source, cluster: Cluster | None = None) -> BaseTuner:
    """Searches with workers on this machine and on the others of a cluster; returns the tuner with its trials.

    count: of the workers on this machine, which are started from `source`; no more start than there are trials.

    On return, no worker runs on any machine that is still alive. Raises a ModuleError if too many trials fail, and what
    a worker fails of before it has a trial.
    """
    as_chief = dict(zip(DISTRIBUTED, (ID, "127.0.0.1", "0"), strict=True))
    with _environment({**as_chief, distribution.VARIABLE: None}):
        with contextlib.suppress(RuntimeError):  # TensorFlow has used a GPU already, and keeps it
            tf.config.set_visible_devices([], "GPU")
        tuner, fit_kwargs = code.tuner()
    telling.begin(tuner.oracle, fit_kwargs)
    tuner.save()
    count = min(count, tuner.oracle.max_trials or count)  # they share the cores
    host, _, port = cluster.addresses[0].rpartition(":") if cluster else ("127.0.0.1", "", "0")
    token = tokens.make(Path(code.fn_args.working_dir or "")) if cluster else tokens.new()
    with Served(tuner.oracle, host, int(port), token) as served:
        machine = cluster.index if cluster else None
        address = f"127.0.0.1:{served.port}"
        with Keeper(code, count, address, source, lambda: token, machine) as keeper, failures.explained(tuner.oracle):
            _watch(keeper, served)
    tuner.save()
    return tuner


def guard_keras_tuners_server() -> None:
    """Makes the server that KerasTuner starts, where its own variables make a chief of this process, check the token.

    There is one only if whoever starts the processes has given them PENSTOCK_SEARCH_TOKEN.
    """
    token = os.environ.get(tokens.VARIABLE)
    if not token:
        logger.warning(
            "who reaches this search's port can take part in it: set %s to the same secret in all its processes",
            tokens.VARIABLE,
        )
        return

    def server(pool: futures.ThreadPoolExecutor) -> grpc.Server:
        return grpc.server(pool, interceptors=[protocol.Checks(token)])

    oracle_chief.grpc = SimpleNamespace(server=server)


def _watch(keeper: Keeper, served: Served) -> None:
    """Keeps the search going until no trial is left and none is running."""
    keeper.start()
    while keeper.is_running or not served.is_done:
        time.sleep(_POLL)
        served.look()
        keeper.look()
        if not keeper.is_running:
            keeper.start(most=served.waiting)  # trials of a lost machine, when all other workers had ended
    served.look()  # raises what ended the search, of which the last worker may have ended too


@contextlib.contextmanager
def _environment(values: Mapping[str, str | None]) -> Iterator[None]:
    """Sets environment variables for a while; None removes one."""
    before = {name: os.environ.get(name) for name in values}
    _set(values)
    try:
        yield
    finally:
        _set(before)


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
