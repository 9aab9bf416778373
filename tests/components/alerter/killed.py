"""A process that runs the Alerter in children, each of which is killed at a step.

There is a step before and after every file that is renamed to its place or object that is made, and before and after
every message.

It reads a line of JSON for each child, {"step": 3, "arguments": {…}}, and answers with its exit status and the kind of
the step; -9 is a kill. With "together" it starts several children, which are not killed, and waits for all.
"""

import importlib
import json
import os
import signal
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from penstock.components.alerter import channels, executor, settings, state
from penstock.components.alerter.channels.channel import Channel
from penstock.components.alerter.decisions import Measured, Window
from penstock.core.files.object_stores import Store
from penstock.core.services import retries


class Steps:
    """Counts the steps of this process, and kills it at one."""

    def __init__(self, last: int) -> None:
        self._last = last
        self._count = 0

    def step(self, kind: str) -> None:
        self._count += 1
        if self._count == self._last:
            print(kind, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, function: Callable[..., Any], kind: str) -> Callable[..., Any]:
        def stepped(*arguments: Any) -> Any:
            self.step(f"before {kind}")
            result = function(*arguments)
            self.step(f"after {kind}")
            return result

        return stepped


def run(order: dict[str, Any]) -> None:
    steps = Steps(order.get("step", 0))
    os.replace = steps.around(os.replace, "write")
    Store.create = steps.around(Store.create, "write")  # type: ignore[method-assign]
    make = channels.make

    def stepped(settings_of_channels: Any) -> list[Channel]:
        made = make(settings_of_channels)
        for channel in made:
            object.__setattr__(channel, "send", steps.around(channel.send, "send"))
        return made

    channels.make = stepped
    window = order["window"]
    measured = [Measured(**one) for one in window.pop("measured")]
    arguments = (
        Path(order["alerts"]),
        [Window(**window, measured=measured)],
        order["state"],
        settings.read(order["settings"]),
    )
    error = executor.tell_windows(*arguments, datetime.fromisoformat(order["now"])).error
    if error:
        raise error


def child(order: dict[str, Any]) -> int:
    number = os.fork()
    if number:
        return number
    try:
        run(order)
        os._exit(0)
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        os._exit(1)


def main() -> None:
    for module in ("requests", *sys.argv[1:]):  # once for all children
        importlib.import_module(module)

    retries.PAUSE = 0.01
    settings.read("")
    state.ALERTS.parse(state.ALERTS.serialized(state.empty()), "")
    for line in sys.stdin:
        order = json.loads(line)
        numbers = [child(order) for _ in range(order.get("together", 1))]
        codes = [os.waitstatus_to_exitcode(os.waitpid(number, 0)[1]) for number in numbers]
        print(json.dumps(codes), flush=True)


if __name__ == "__main__":
    main()
