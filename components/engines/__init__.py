"""Engines: where the shards of a heavy step are computed.

A step is a function of one shard and a merge of the small results. An engine maps such a function over shards, or folds
the results into one, always in the shards' order. So a step writes the same files whichever engine ran it. Data goes
through storage; only shards (descriptions) and results (accumulators of kilobytes to megabytes) go through an engine.
The function and its arguments must be picklable: a module-level function, or `functools.partial` of one.

    with open_engine("local:4") as engine:
        total = engine.fold(count_rows, operator.add, fold.groups(files))
"""

from pathlib import Path

from penstock.components.engines import settings
from penstock.components.engines.fold import Engine

__all__ = ["Engine", "open_engine"]


def open_engine(spec: str = "local", place: Path | None = None) -> Engine:
    """Returns the engine that `spec` names (settings.py): `local` (a worker per core), `local:4`, `spark`, `beam`.

    `place` is the folder of an artifact that the task writes: workers on other machines hand their results over there.
    Open the engine before TensorFlow runs anything in this process: the local one forks. Raises a ConfigError for a
    spec that cannot be.
    """
    asked = settings.parse(spec)
    if isinstance(asked, settings.Local):
        from penstock.components.engines.local import LocalEngine

        return LocalEngine(asked.workers)
    assert place is not None, "an engine of other machines needs a place"
    if isinstance(asked, settings.Spark):
        from penstock.components.engines.spark import SparkEngine

        return SparkEngine(asked, place)
    from penstock.components.engines.beam import BeamEngine

    return BeamEngine(asked, place)
