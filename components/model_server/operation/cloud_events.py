"""Requests and answers as CloudEvents for a URL, in the form that KServe's logger gives them.

The bodies go as they came, in CloudEvents' binary mode: the attributes are headers, `ce-type` and the others. Whatever
receives the events of KServe's agent (kserve, pkg/logger) receives these.
"""

import random
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import urllib3

from penstock.components.model_server.operation import settings
from penstock.components.model_server.operation.background import Background

REQUEST = "org.kubeflow.serving.inference.request"
RESPONSE = "org.kubeflow.serving.inference.response"
_MOST_ENTRIES = 5_000
_EVENT_BYTES = 500  # beside its body, about
_TRIES = 3
_PAUSE = 0.5  # seconds before the second try, twice as many before the third
_LAST_TRIES = 1.0  # seconds before the end, from which on nothing is tried again
_FAILED = 429  # and 500 and more: it may succeed later


@dataclass(frozen=True, slots=True)
class Event:
    """A request's body, or that of its answer; both have the same id."""

    type: str
    id: str
    time: float
    content_type: str
    body: bytes


class EventSender(Background[Event]):
    """Sends a sample of requests, and their answers where they succeeded. What cannot be sent is counted as dropped."""

    def __init__(self, events: settings.Events, dropped: Callable[[int], None]):
        super().__init__("events", dropped, _MOST_ENTRIES, events.queue_bytes)
        self._settings = events
        self._attributes = {
            "ce-specversion": "1.0",
            "ce-source": events.source or socket.gethostname(),
            "ce-inferenceservicename": events.service,
            "ce-namespace": events.namespace,
            "ce-component": events.component,
            "ce-endpoint": events.endpoint,
            "ce-metadata": "{}",
        }
        self._stopped = threading.Event()
        self._client = urllib3.PoolManager(
            maxsize=1, retries=False, timeout=urllib3.Timeout(connect=events.seconds, read=events.seconds)
        )

    def sampled(self) -> bool:
        """Decides whether a request, and its answer, are sent."""
        return self._settings.sample >= 1 or random.random() < self._settings.sample

    def requested(self, id: str, time: float, content_type: str, body: bytes) -> None:
        """Adds the event of a request."""
        if self._settings.mode != "response":
            self.add(Event(REQUEST, id, time, content_type, body), len(body) + _EVENT_BYTES)

    def answered(self, id: str, time: float, content_type: str, body: bytes) -> None:
        """Adds the event of a request's answer."""
        if self._settings.mode != "request":
            self.add(Event(RESPONSE, id, time, content_type, body), len(body) + _EVENT_BYTES)

    def take(self, entries: Sequence[Event]) -> None:
        for event in entries:
            failure = self._send(event)
            if failure:
                self._dropped(1)
                self.warn(f"{self._settings.url} does not take an event: {failure}")

    def close(self, seconds: float) -> None:
        timer = threading.Timer(max(0.0, seconds - _LAST_TRIES), self._stopped.set)
        timer.start()
        super().close(seconds)
        timer.cancel()

    def _send(self, event: Event) -> str:
        """Sends an event, up to three times; returns why it was not taken, "" if it was."""
        failure = ""
        for number in range(_TRIES):
            if number and self._stopped.wait(_PAUSE * number):
                break
            try:
                answer = self._client.request("POST", self._settings.url, body=event.body, headers=self._headers(event))
            except urllib3.exceptions.HTTPError as error:
                failure = str(error)
                continue
            if answer.status < 300:
                return ""
            failure = f"it answers {answer.status}"
            if answer.status < 500 and answer.status != _FAILED:
                break
        return failure

    def _headers(self, event: Event) -> dict[str, str]:
        return self._attributes | {
            "ce-id": event.id,
            "ce-type": event.type,
            "ce-time": datetime.fromtimestamp(event.time, UTC).isoformat().replace("+00:00", "Z"),
            "content-type": event.content_type,
        }
