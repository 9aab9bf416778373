"""What the loopback servers share: a script of failures for the next requests, and a record of what was asked.

    with SomeServer() as server:
        server.fail("POST", "/pipelineJobs", Cut(after=True))     # the next POST has its effect, and no answer
        server.sent("POST", "/pipelineJobs")                      # the decoded bodies

A server gives `route`, what a path is called in a script, and `answer`. A failure is used up by one request.
"""

import json
import os
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit


@dataclass(frozen=True)
class Status:
    """An answer of the script: a status, what its JSON says, or a page of HTML."""

    code: int
    message: str = ""
    html: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Cut:
    """The connection is closed without an answer, before or after the request has its effect."""

    after: bool


@dataclass(frozen=True)
class Hang:
    """Nothing is answered for a while; the request has its effect, if any, at the end of it."""

    seconds: float
    effect: bool = False


@dataclass(frozen=True)
class CtrlC:
    """The client's process, which is the server's too, gets Ctrl-C; the request has its effect, and no answer."""


@dataclass(frozen=True)
class Request:
    method: str
    route: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any


class Refusal(Exception):
    """What the server itself refuses."""

    def __init__(self, code: int, message: str = "", html: str = "", headers: Mapping[str, str] | None = None):
        super().__init__(message)
        self.status = Status(code, message, html, headers or {})


class Loopback:
    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.lock = threading.Lock()
        self._failures: dict[tuple[str, str], list[Status | Cut | Hang | CtrlC | None]] = defaultdict(list)
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"owner": self}))
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def route(self, path: str) -> str:
        raise NotImplementedError

    def route_of(self, path: str, headers: Mapping[str, str]) -> str:
        """Returns what a request is called in a script, where its path alone does not say it."""
        return self.route(path)

    def answer(self, request: Request) -> Any:
        """Does what a request asks for; returns the answer's JSON, or its text, or raises a Refusal.

        It is called with the lock held. A body that is not the JSON that it should be comes as bytes.
        """
        raise NotImplementedError

    def error(self, failure: Status) -> Any:
        """Returns the JSON of a failure."""
        raise NotImplementedError

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

    def fail(self, method: str, route: str, *failures: Status | Cut | Hang | CtrlC | None) -> None:
        """Scripts what happens to the next requests of a route, one each; None lets one pass."""
        self._failures[method, route].extend(failures)

    def sent(self, method: str, route: str) -> list[Any]:
        """Returns the decoded bodies of the requests of a route."""
        return [one.body for one in self.requests if (one.method, one.route) == (method, route)]

    def received(self, request: Request) -> Status | Cut | Hang | CtrlC | None:
        """Notes a request; returns what the script has for it."""
        with self.lock:
            self.requests.append(request)
            failures = self._failures[request.method, request.route]
            return failures.pop(0) if failures else None


class _Handler(BaseHTTPRequestHandler):
    owner: Loopback
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # an answer is two packets: the second would wait 40 ms for an acknowledgement

    def do_GET(self) -> None:
        self._handle()

    do_POST = do_DELETE = do_PATCH = do_GET

    def log_message(self, *_: Any) -> None:
        pass

    def _handle(self) -> None:
        url = urlsplit(self.path)
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = unquote(url.path)
        query, headers = dict(parse_qsl(url.query)), dict(self.headers)
        is_json = "json" in (self.headers.get("Content-Type") or "")
        body = _decoded(raw) if raw and is_json else raw or None
        request = Request(self.command, self.owner.route_of(path, headers), path, query, headers, body)
        failure = self.owner.received(request)
        if isinstance(failure, Hang):
            time.sleep(failure.seconds)
        has_effect = isinstance(failure, CtrlC) or (isinstance(failure, Cut) and failure.after)
        if isinstance(failure, Status):
            self._fail(failure)
        elif failure is None or has_effect or getattr(failure, "effect", False):
            self._answer(request, silent=failure is not None)
        if isinstance(failure, CtrlC):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1.0)  # the client is to be interrupted while it waits
        if failure is not None and not isinstance(failure, Status):
            self.close_connection = True

    def _answer(self, request: Request, silent: bool) -> None:
        try:
            with self.owner.lock:
                answer = self.owner.answer(request)
        except Refusal as error:
            return None if silent else self._fail(error.status)
        if silent:
            return None
        if isinstance(answer, str):
            return self._send(200, answer, "text/plain")
        return self._send(200, json.dumps(answer), "application/json")

    def _fail(self, failure: Status) -> None:
        kind = "text/html" if failure.html else "application/json"
        self._send(failure.code, failure.html or json.dumps(self.owner.error(failure)), kind, failure.headers)

    def _send(self, code: int, text: str, kind: str, headers: Mapping[str, str] | None = None) -> None:
        data = text.encode()
        self.send_response(code)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


def _decoded(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return raw
