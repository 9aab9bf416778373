"""Connections of HTTP, within bounds: how many, how long headers may be, and how long a client may keep us waiting.

uvicorn bounds none of these. How large a body may be is the gate's business (gate.py).
"""

import asyncio
from asyncio import TimerHandle
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from penstock.components.model_server.operation import settings

REFUSED = "penstock.refused"  # the key of a scope with the status that the client has got from here
_LINGER = 5.0  # seconds in which the rest of a refused body is read and thrown away, so that the client sees the answer
_REFUSALS = {
    408: b"408 Request Timeout",
    429: b"429 Too Many Requests\r\nretry-after: 1",
    431: b"431 Request Header Fields Too Large",
}


class LimitedProtocol(HttpToolsProtocol):
    """A connection of uvicorn's; a timer runs only while a client keeps it waiting in the middle of a request."""

    LIMITS: ClassVar[settings.Limits]

    def __init__(self, *arguments: Any, **options: Any):
        super().__init__(*arguments, **options)
        self._in_headers = False
        self._in_message = False
        self._header_bytes = 0
        self._timer: TimerHandle | None = None
        self._writing_timer: TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.LIMITS.connections:
            self._refuse(429, f"this server has its {self.LIMITS.connections} connections: try again later")
        else:  # until the first request has come
            self._set_timer(self.LIMITS.receive_seconds, self._late)

    def connection_lost(self, exc: Exception | None) -> None:
        self._unset_timer()
        self._unset_writing_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._in_message or self.transport.is_closing():
            return
        if self._in_headers:
            self._header_bytes += len(data)
            if self._header_bytes > self.LIMITS.header_bytes:
                self._refuse(431, f"expected headers of at most {self.LIMITS.header_bytes:,} bytes")
                return
        if self._timer is None:
            self._set_timer(self.LIMITS.receive_seconds, self._late)

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """Keeps a connection that its client has half closed until the answer is sent; without TLS, which cannot."""
        cycle = self.cycle
        if cycle is None or cycle.response_complete or cycle.more_body or self.scheme == "https":
            return None
        cycle.keep_alive = False
        return True

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_headers = self._in_message = True
        self._header_bytes = 0

    def on_headers_complete(self) -> None:
        self._in_headers = False
        self._unset_timer()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_message = False
        self._unset_timer()
        if self.cycle.response_complete and not self.transport.is_closing():  # the rest of a refused body has come
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._in_message and not self._in_headers and not self.transport.is_closing():
            self._set_timer(_LINGER, self.transport.close)

    def pause_writing(self) -> None:
        """Is called when the client does not read its answer as fast as it is sent."""
        super().pause_writing()
        self._watch_writing()

    def _watch_writing(self, before: int | None = None) -> None:
        """Ends the connection if the client has read nothing in the time that it has; else gives it as long again."""
        left = self.transport.get_write_buffer_size()
        if before is not None and left >= before:
            self.transport.abort()
        else:
            self._writing_timer = self.loop.call_later(self.LIMITS.receive_seconds, self._watch_writing, left)

    def resume_writing(self) -> None:
        self._unset_writing_timer()
        super().resume_writing()

    def _unset_writing_timer(self) -> None:
        if self._writing_timer is not None:
            self._writing_timer.cancel()
            self._writing_timer = None

    def _late(self) -> None:
        if self._waits_for_us():
            self._set_timer(self.LIMITS.receive_seconds, self._late)
        elif self._in_message and not self.transport.is_closing():
            what = "the request's headers" if self._in_headers else "the whole body"
            self.scope[REFUSED] = 408  # type: ignore[literal-required]
            self._refuse(408, f"expected {what} within {self.LIMITS.receive_seconds:g} s")
        else:
            self.transport.close()

    def _waits_for_us(self) -> bool:
        """Whether an earlier request of this connection has not been answered yet: its client may well be waiting."""
        cycle = self.cycle
        return cycle is not None and not cycle.response_complete and (self._in_headers or bool(self.pipeline))

    def _set_timer(self, seconds: float, what: Any) -> None:
        self._unset_timer()
        self._timer = self.loop.call_later(seconds, what)

    def _unset_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, status: int, sentence: str) -> None:
        """Answers in place of the application, which never sees this request, and closes the connection."""
        body = b'{"error":"%b"}' % sentence.encode()
        head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        if not self._waits_for_us():  # else this answer would be taken for that of the earlier request
            self.transport.write(head % (_REFUSALS[status], len(body)) + body)
        self.transport.close()


def limited(limits: settings.Limits) -> type[LimitedProtocol]:
    """Returns the class of connections within these limits, which is what uvicorn's `http` takes."""
    return type("LimitedProtocol", (LimitedProtocol,), {"LIMITS": limits})
