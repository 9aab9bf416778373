"""Engines: where the shards of a heavy step are computed.

A step is a function of one shard and a merge of the small results. An engine maps such a function over shards, or folds
the results into one, always in the shards' order. So a step writes the same files whichever engine ran it. Data goes
through storage; only shards (descriptions) and results (accumulators of kilobytes to megabytes) go through an engine.
The function and its arguments must be picklable: a module-level function, or `functools.partial` of one.

    with open_engine("local:4") as engine:
        total = engine.fold(count_rows, operator.add, fold.groups(files))
"""

import re

from penstock.components.engines.fold import Engine
from penstock.core.errors import ConfigError

__all__ = ["EXPECTED", "PATTERN", "Engine", "open_engine"]

PATTERN = r"^local(:[1-9][0-9]*)?$"
EXPECTED = "local or, with N workers, local:N, such as local:4"


def open_engine(spec: str = "local") -> Engine:
    """Returns the engine that `spec` names: `local` (a worker per core) or `local:N` (N workers).

    Open it before TensorFlow runs anything in this process: the local engine forks. Raises a ConfigError for a spec
    that does not fit PATTERN.
    """
    if not re.fullmatch(PATTERN, spec):
        raise ConfigError(f"engine: expected {EXPECTED}, received {spec!r}")
    from penstock.components.engines.local import LocalEngine

    _, _, workers = spec.partition(":")
    return LocalEngine(int(workers) if workers else None)
