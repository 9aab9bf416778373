"""Times StatisticsGen on an engine, and the engine's own floor: an empty map of as many shards.

    python benchmarks/engines.py ENGINE EXAMPLES      prints the seconds as JSON

Run by side_by_side.py, each engine in a process of its own. "first" is with what starts once: the application, its
workers, and what these import. "again" is in the same application; Beam has none, and starts all of it anew.
"""

import contextlib
import gc
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from penstock.components.engines import fold, open_engine
from penstock.components.statistics_gen import executor
from penstock.core.artifacts import Examples


def nothing(_: object) -> None:
    pass


def main(engine: str, examples: str) -> dict[str, float]:
    gc.freeze()
    data = Examples(Path(examples))
    shards = [group for split in data.splits() for group in fold.groups(data.files(split))]
    seconds: dict[str, float] = {"shards": len(shards)}

    @contextlib.contextmanager
    def timed(name: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        seconds[name] = round(time.monotonic() - started, 2)

    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as application:
        with timed("start"):
            opened = application.enter_context(open_engine(engine, Path(folder, "application")))
        with timed("floor, first"):
            opened.map(nothing, shards)
        with timed("floor"):
            opened.map(nothing, shards)
        for name in ("StatisticsGen, first", "StatisticsGen"):
            with timed(name):
                executor.run(statistics=f"{folder}/{name}", examples=examples, engine=engine)
    return seconds


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
