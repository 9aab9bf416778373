"""A process that runs the collector in children, each of which is killed at a step.

There is a step before everything that changes the disk or the log. It reads a line of JSON for each child,
{"step": 3, "log": …, "journals": …, "first": 0, "count": 8}, and answers with the kind of the step, the events that the
child was told are kept, and its exit status; -9 is a kill.
"""

import importlib
import json
import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from penstock.components.event_collector import collector as collecting
from penstock.components.event_collector.collector import Collector
from penstock.components.event_collector.metrics import Metrics
from penstock.components.event_collector.settings import Settings
from penstock.core.files.object_stores import Store
from tests.components.event_collector.conftest import event, late, now


class Steps:
    """Counts the steps of this process, and kills it at one."""

    def __init__(self, last: int) -> None:
        self._last, self._count = last, 0

    def step(self, kind: str) -> None:
        self._count += 1
        if self._count == self._last:
            say({"kind": kind})
            os.kill(os.getpid(), signal.SIGKILL)

    def before(self, function: Callable[..., Any], kind: str) -> Callable[..., Any]:
        def stepped(*arguments: Any, **more: Any) -> Any:
            self.step(kind)
            return function(*arguments, **more)

        return stepped


def say(value: object) -> None:
    os.write(1, json.dumps(value).encode() + b"\n")  # at once, for two threads say something


def run(order: dict[str, Any]) -> None:
    steps = Steps(order.get("step", 0))
    os.fsync = lambda _: None  # what is killed has written: it is the machine that must not lose power
    for name in ("pwrite", "fsync", "replace"):
        setattr(os, name, steps.before(getattr(os, name), name))
    unlink, unlink_journal = Path.unlink, steps.before(Path.unlink, "unlink")  # of a temporary file there may be none
    Path.unlink = lambda path, **more: (unlink_journal if path.suffix == ".journal" else unlink)(path, **more)  # type: ignore[method-assign,assignment]
    Store.upload = steps.before(Store.upload, "upload")  # type: ignore[method-assign]
    collecting._CARRIED_SHARE = 2  # of so small a journal that one event is as much
    settings = Settings(order["log"], Path(order["journals"]), "team", rotate_bytes=700)
    collector = Collector(settings, Metrics())
    collector.start()
    for number in range(order.get("first", 0), order.get("first", 0) + order.get("count", 0)):
        for kind in ("request", "response")[:: 1 if number % 2 else -1]:
            collector.add(late(event(kind, number), now())).result()
            say({"kept": [f"id-{number}", kind]})
    if left := collector.close():
        raise AssertionError(f"{left} journals are left")


def main() -> None:
    logging.disable()
    for module in sys.argv[1:]:  # once for all children
        importlib.import_module(module)
    for line in sys.stdin:
        order = json.loads(line)
        number = os.fork()
        if not number:
            try:
                run(order)
                os._exit(0)
            except BaseException as error:
                print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
                os._exit(1)
        say(os.waitstatus_to_exitcode(os.waitpid(number, 0)[1]))


if __name__ == "__main__":
    main()
