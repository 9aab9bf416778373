"""A process that decides on a retraining in children, each of which is killed at a step.

There is a step before and after every file that is renamed to its place, every request to a server, and every message.
It reads a line of JSON for each child, {"step": 3, "state": …, "package": …, "server": …, "alerts": …}, and answers
with its exit status; -9 is a kill. With "together" it starts several children, which are not killed, and waits for all.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import google.cloud.aiplatform_v1  # noqa: F401  once for all children
import kfp_server_api  # noqa: F401

from penstock.components.alerter.channels.webhook import WebhookChannel
from penstock.components.retrainer import decisions, executor, package, servers
from penstock.components.retrainer.notices import Audience
from penstock.components.retrainer.policy import Policy
from penstock.components.retrainer.state import RETRAININGS
from penstock.core.services import kubeflow, retries, vertex
from penstock.core.state import open_folder
from tests.components.retrainer.conftest import observed


def child(order: dict[str, Any]) -> None:
    count = 0

    def step() -> None:
        nonlocal count
        count += 1
        if count == order.get("step"):
            os.kill(os.getpid(), signal.SIGKILL)

    def around(function: Callable[..., Any]) -> Callable[..., Any]:
        def stepped(*arguments: Any, **options: Any) -> Any:
            step()
            result = function(*arguments, **options)
            step()
            return result

        return stepped

    os.replace = around(os.replace)
    for server in (kubeflow.Server, vertex.Server):
        server._send = around(server._send)  # type: ignore[method-assign]
    WebhookChannel.send = around(WebhookChannel.send)  # type: ignore[method-assign]
    training, now = package.read(order["package"]), datetime.now(UTC)
    runs = servers.open_runs(order["server"], training)
    changed = executor.change(
        order["state"], training.name, runs, lambda state: decisions.decide(state, observed(0), Policy(), now)
    )
    assert runs
    audience = Audience(f"{order['state']}-alerts", order["alerts"], training.name, "taxi", Policy(), runs.name)
    untold = audience.tell(open_folder(order["state"], RETRAININGS).read(), changed.result, now)
    if error := changed.error or untold:
        raise error


def main() -> None:
    retries.PAUSE = 0.01
    for line in sys.stdin:
        order = json.loads(line)
        numbers = []
        for _ in range(order.get("together", 1)):
            number = os.fork()
            if not number:
                child(order)
                os._exit(0)
            numbers.append(number)
        print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(number, 0)[1]) for number in numbers]), flush=True)


if __name__ == "__main__":
    main()
