"""The chief of a search: it serves the tuner's oracle, and has workers of its own on this machine."""

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from typing import Any

import tensorflow as tf

from penstock.trainer.hardware import distribution
from penstock.trainer.hardware.distribution import Cluster
from penstock.trainer.tuning import failures, telling
from penstock.trainer.tuning.cluster.keeper import DISTRIBUTED, Keeper
from penstock.trainer.tuning.cluster.processes import Source
from penstock.trainer.tuning.cluster.serving import Served
from penstock.trainer.tuning.user_code import UserCode

_POLL = 0.1  # seconds
ID = "chief"  # KerasTuner takes a tuner with this in its ID for the chief


def search(code: UserCode, count: int, source: Source, cluster: Cluster | None = None) -> Any:
    """Searches with `count` workers here, as many as there are trials at most, and with those of the other machines of
    a cluster; returns the tuner. The workers here are started from `source`.

    On return no worker runs, here or on a machine that lives.
    """
    as_chief = dict(zip(DISTRIBUTED, (ID, "127.0.0.1", "0"), strict=True))
    with _environment({**as_chief, distribution.VARIABLE: None}):
        with contextlib.suppress(RuntimeError):  # a GPU that is in use already stays so
            tf.config.set_visible_devices([], "GPU")
        tuner, fit_kwargs = code.tuner()
    telling.begin(tuner.oracle, fit_kwargs)
    tuner.save()
    count = min(count, tuner.oracle.max_trials or count)  # they share the cores
    host, _, port = cluster.addresses[0].rpartition(":") if cluster else ("127.0.0.1", "", "0")
    with Served(tuner.oracle, host, int(port)) as served:
        machine = cluster.index if cluster else None
        with Keeper(code, count, f"127.0.0.1:{served.port}", source, machine) as keeper, failures.told(tuner.oracle):
            _watch(keeper, served)
    tuner.save()
    return tuner


def _watch(keeper: Keeper, served: Served) -> None:
    """Returns when there are no more trials, and none is under way."""
    keeper.start()
    while keeper.is_running or not served.is_done:
        time.sleep(_POLL)
        served.look()
        keeper.look()
        if not keeper.is_running:
            keeper.start(most=served.waiting)  # what a machine that went away has left, when all others had ended
    served.look()  # the last worker may have ended with the search


@contextlib.contextmanager
def _environment(values: Mapping[str, str | None]) -> Iterator[None]:
    """Sets variables for a while; None takes one away."""
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
