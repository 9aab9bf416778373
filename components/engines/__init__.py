"""Engines: where the shards of a heavy step are computed.

A step is a function of one shard and a merge of the small results. An engine maps such a function over shards and
returns the results in the shards' order, so that the files a step writes are the same whichever engine ran it. Data
goes through storage; only shards (descriptions) and results (accumulators of kilobytes to megabytes) go through an
engine. The function and its arguments must be picklable: a module-level function, or `functools.partial` of one.
"""

from collections.abc import Callable, Iterable
from typing import Protocol, Self, TypeVar

from penstock.core.errors import ConfigError

Shard = TypeVar("Shard")
Result = TypeVar("Result")


class Engine(Protocol):
    """Maps a function over shards. A context manager: leaving it ends what the engine started."""

    def map(self, function: Callable[[Shard], Result], shards: Iterable[Shard]) -> list[Result]:
        """Returns `[function(shard) for shard in shards]`, computed wherever the engine has workers.

        Raises what the function raised for the first failing shard in order. A shard whose worker was lost is tried
        once more alone; `WorkerLost` if that fails too.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...


def open_engine(spec: str = "local") -> Engine:
    """Returns the engine that `spec` names: `local` (a worker per core) or `local:N` (N workers).

    Open it before TensorFlow runs anything in this process: the local engine forks.
    """
    name, _, workers = spec.partition(":")
    if name == "local" and (not workers or (workers.isdecimal() and int(workers) > 0)):
        from penstock.components.engines.local import LocalEngine

        return LocalEngine(int(workers) if workers else None)
    raise ConfigError(f"engine: expected 'local' or 'local:N' with N workers, received {spec!r}")
