"""Tells an OpenLineage server of a run while it goes on, if OPENLINEAGE_URL is set."""

import importlib.util
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

from penstock.pipelines.local.records.record import RunRecord, TaskRecord
from penstock.pipelines.local.tracking import messages

if TYPE_CHECKING:
    from openlineage.client.event_v2 import RunEvent
    from openlineage.client.transport.http import HttpTransport

    from penstock.pipelines.local.tracking.lineage_events import Events

VARIABLE = "OPENLINEAGE_URL"
_DISABLED = "OPENLINEAGE_DISABLED"
_PATIENCE = 10.0  # seconds that the run's end waits for events that are not sent yet


class Lineage:
    """Sends a run's events in their order, by a thread of its own, so that no task waits for the server.

    After an event that could not be sent it sends no more; `close` says so.
    """

    def __init__(self, run: RunRecord) -> None:
        self._run = run
        self._open: dict[str, TaskRecord] = {}
        self._sent: list[Future[None]] = []
        self._failure = ""
        self._events: Events | None = None
        self._transport: HttpTransport | None = None
        self._sender = ThreadPoolExecutor(max_workers=1, thread_name_prefix="openlineage")
        url = os.environ.get(VARIABLE)
        if not url or os.environ.get(_DISABLED, "").strip().lower() == "true":
            return
        if importlib.util.find_spec("openlineage") is None:
            messages.warn(messages.not_installed(VARIABLE, "openlineage"))
            return
        from penstock.pipelines.local.tracking import lineage_events

        try:
            self._transport = lineage_events.transport(url)
        except ValueError as error:
            messages.warn(f"expected a URL in {VARIABLE}: {messages.reason(error)}")
            return
        self._events = lineage_events.Events(run)
        self._send(self._events.of_run)

    def task_started(self, task: TaskRecord) -> None:
        """Tells that a task has begun, or has begun again."""
        if self._events:
            events = self._events
            self._open[task.name] = task
            self._send(lambda: events.of_task(task))

    def task_ended(self, task: TaskRecord) -> None:
        """Tells what came of a task."""
        if self._events and self._open.pop(task.name, None):
            events = self._events
            self._send(lambda: events.of_task(task))

    def close(self) -> None:
        """Tells what came of the run, and of its tasks that have not ended, and waits a while for the server."""
        for task in list(self._open.values()):
            self.task_ended(task)
        if self._events:
            self._send(self._events.of_run)
        waiting = wait(self._sent, _PATIENCE).not_done
        self._sender.shutdown(wait=False, cancel_futures=True)
        if waiting and not self._failure:
            self._failure = f"{len(waiting)} of {len(self._sent)} events were not taken in time"
        if self._failure:
            messages.warn(f"OpenLineage was not told of the run, or not of all of it: {self._failure}")

    def _send(self, make: "Callable[[], RunEvent]") -> None:
        """Sends an event, which is made now: what it is of may change."""
        if self._failure or self._transport is None:
            return
        try:
            event = make()
        except Exception as error:  # a library's, or a value that it does not take: no reason for a run to fail
            self._failure = messages.reason(error)
            return
        self._sent.append(self._sender.submit(self._emit, self._transport, event))

    def _emit(self, transport: "HttpTransport", event: "RunEvent") -> None:
        if self._failure:
            return
        try:
            transport.emit(event)
        except Exception as error:  # of sockets, HTTP, TLS
            self._failure = messages.reason(error)
