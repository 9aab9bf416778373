"""An API on loopback that answers as a test says, also what no decent server would.

    with Api(lambda request: Reply(b'[{"x": 1}]', {"ETag": '"1"'})) as api:
        ...
        api.requests[0].headers

A Reply may lie about its length, and may be cut.
"""

import contextlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    """An answer. `length` is what Content-Length says, by default the truth; None for none, till the connection ends.
    `sent` is how many bytes of the body are sent before the connection is cut, by default all."""

    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 200
    length: int | None = -1
    sent: int | None = None


type Answer = Callable[[Asked], Reply]


class Api:
    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.requests: list[Asked] = []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"owner": self}))
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    owner: Api
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        asked = Asked(self.command, unquote(url.path), dict(parse_qsl(url.query)), dict(self.headers), body)
        self.owner.requests.append(asked)
        reply = self.owner.answer(asked)
        self.send_response(reply.status)
        if reply.length is not None:
            self.send_header("Content-Length", str(len(reply.body) if reply.length < 0 else reply.length))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(ConnectionError):  # of who has read enough
            self.wfile.write(reply.body if reply.sent is None else reply.body[: reply.sent])
        if reply.length is None or reply.sent is not None or reply.length >= 0:
            self.close_connection = True

    do_POST = do_GET

    def log_message(self, *_: Any) -> None:
        pass
