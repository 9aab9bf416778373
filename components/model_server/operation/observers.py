"""Who is told of each request once it is answered: metrics, the access log, the request log, CloudEvents."""

import time
from collections.abc import Callable
from typing import Any

from penstock.components.model_server.operation import settings
from penstock.components.model_server.operation.access_log import AccessLog
from penstock.components.model_server.operation.background import Background
from penstock.components.model_server.operation.calls import Call
from penstock.components.model_server.operation.cloud_events import EventSender
from penstock.components.model_server.operation.metrics import Metrics
from penstock.components.model_server.operation.request_log.writer import RequestLogWriter

_CLOSING_SECONDS = 10.0  # for all logs to write what waits


class Observers:
    """The metrics and logs of one server. `in_flight` is how many requests it is answering."""

    def __init__(self, operation: settings.Operation, metrics: Metrics):
        """A ConfigError if a log cannot be written where it should be."""
        self.metrics = metrics
        self.in_flight = 0
        self.events = EventSender(operation.events, metrics.dropped("events")) if operation.events else None
        self._told: list[Callable[[Call, float], None]] = [metrics.answered]
        self._threads: list[Background[Any]] = [self.events] if self.events else []
        if operation.request_log:
            request_log = RequestLogWriter(operation.request_log, metrics.dropped("requests"))
            self._told.append(request_log.answered)
            self._threads.append(request_log)
        if operation.access_log:
            access_log = AccessLog(operation.access_log, metrics.dropped("access"))
            self._told.append(access_log.answered)
            self._threads.append(access_log)
        metrics.gauge(
            "penstock_requests_in_flight", "Requests that are being received or answered", lambda: self.in_flight
        )

    def start(self) -> None:
        """Starts the threads of the logs."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Writes what waits. It is called when no more requests come."""
        end = time.monotonic() + _CLOSING_SECONDS
        for thread in self._threads:
            thread.close(max(0.0, end - time.monotonic()))

    def answered(self, call: Call) -> None:
        """Tells all of a request that is answered, or has failed."""
        seconds = time.perf_counter() - call.started
        for told in self._told:
            told(call, seconds)
        call.inputs = call.outputs = None  # a line that waits for the access log shall not hold them
