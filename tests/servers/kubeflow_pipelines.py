"""A Kubeflow Pipelines server on loopback: the part of /apis/v2beta1 that Penstock and kfp.Client use, kept in memory.

    with KubeflowPipelines() as server:
        server.fail("POST", "/runs", Cut(after=True))      # the next POST /runs has its effect, and no answer
        server.states = [{"state": "RUNNING"}, {"state": "SUCCEEDED"}]     # what each GET of a run adds to it
        kfp.Client(host=server.url, namespace="team")
        server.sent("POST", "/runs")                       # the decoded bodies

A body must fit kfp_server_api's model, with no key that the model does not have, and its pipeline_spec the protocol's
messages: else the answer is 400, as a real server's. What is listed is filtered by display_name and comes in pages.
Paths are written with {id}: "/runs/{id}:terminate". A failure is used up by one request.
"""

import json
import re
import ssl
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

import kfp_server_api
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

API = "/apis/v2beta1"
_MODELS = {"runs": "V2beta1Run", "experiments": "V2beta1Experiment", "recurringruns": "V2beta1RecurringRun"}
_IDS = {"runs": "run_id", "experiments": "experiment_id", "recurringruns": "recurring_run_id"}
_KEYS = {"runs": "runs", "experiments": "experiments", "recurringruns": "recurringRuns"}
_NOW = "2026-01-01T00:00:00Z"


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
class Request:
    method: str
    route: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any


class BadRequest(Exception):
    pass


class KubeflowPipelines:
    """The server.

    Args:
        required: Headers that must come with every request, else the answer is 401.
        certificate: A PEM file with a key and its certificate: the server speaks TLS.
    """

    def __init__(self, required: Mapping[str, str] | None = None, certificate: Path | None = None) -> None:
        self.required = dict(required or {})
        self.requests: list[Request] = []
        self.stored: dict[str, dict[str, dict[str, Any]]] = {kind: {} for kind in _MODELS}
        self.states: list[dict[str, Any]] = []
        self._failures: dict[tuple[str, str], list[Status | Cut | Hang]] = defaultdict(list)
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"owner": self}))
        self._http.daemon_threads = True
        self._scheme = "https" if certificate else "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._http.socket = context.wrap_socket(self._http.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def fail(self, method: str, route: str, *failures: Status | Cut | Hang) -> None:
        """Scripts what happens to the next requests of a route, one each."""
        self._failures[method, route].extend(failures)

    def sent(self, method: str, route: str) -> list[Any]:
        """Returns the decoded bodies of the requests of a route."""
        return [one.body for one in self.requests if (one.method, one.route) == (method, route)]

    def names(self, kind: str) -> list[str]:
        """Returns the display names of all runs, experiments or recurringruns."""
        return [one["display_name"] for one in self.stored[kind].values()]

    def received(self, request: Request) -> Status | Cut | Hang | None:
        """Notes a request; returns what the script has for it."""
        with self._lock:
            self.requests.append(request)
            failures = self._failures[request.method, request.route]
            if failures:
                return failures.pop(0)
        if any(request.headers.get(name) != value for name, value in self.required.items()):
            return Status(401, "Unauthenticated")
        return None

    def answer(self, request: Request, path: str) -> dict[str, Any]:
        """Does what a request asks for; returns the answer's JSON. A KeyError is 404, a BadRequest 400."""
        kind, _, rest = path.lstrip("/").partition("/")
        one, _, action = rest.partition(":")
        with self._lock:
            if (request.method, path) == ("GET", "/healthz"):
                return {"multi_user": False}
            if (request.method, path) == ("POST", "/pipelines/upload"):
                return {"pipeline_id": str(uuid.uuid4()), "display_name": request.query.get("name", "")}
            if not one:
                return self._create(kind, request.body) if request.method == "POST" else self._list(kind, request)
            stored = self.stored[kind][one]
            if request.method == "DELETE":
                del self.stored[kind][one]
                return {}
            if request.method == "POST":
                stored |= {"terminate": {"state": "CANCELED"}, "disable": {"status": "DISABLED"}}.get(
                    action, {"status": "ENABLED"}
                )
                return {}
            if kind == "runs" and self.states:
                stored |= self.states.pop(0)
            return stored

    def _create(self, kind: str, body: Any) -> dict[str, Any]:
        _check(body, _MODELS[kind])
        if kind != "experiments":
            _check_spec(body["pipeline_spec"])
            if body["experiment_id"] not in self.stored["experiments"]:
                raise BadRequest("experiment not found")
        made = {**body, _IDS[kind]: str(uuid.uuid4()), "created_at": _NOW}
        made |= {"runs": {"state": "PENDING"}, "recurringruns": {"status": "ENABLED"}}.get(kind, {})
        self.stored[kind][made[_IDS[kind]]] = made
        return made

    def _list(self, kind: str, request: Request) -> dict[str, Any]:
        found = list(self.stored[kind].values())
        if request.query.get("experiment_id"):
            found = [one for one in found if one["experiment_id"] == request.query["experiment_id"]]
        for predicate in json.loads(request.query.get("filter") or "{}").get("predicates", []):
            if predicate["operation"] not in (1, "EQUALS") or predicate["key"] not in ("display_name", "name"):
                raise BadRequest(f"filter: {predicate}")
            found = [one for one in found if one["display_name"] == predicate["stringValue"]]
        start, size = int(request.query.get("page_token") or 0), int(request.query.get("page_size") or 10)
        following = {"next_page_token": str(start + size)} if len(found) > start + size else {}
        return {_KEYS[kind]: found[start : start + size], "total_size": len(found), **following}


class _Handler(BaseHTTPRequestHandler):
    owner: KubeflowPipelines
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._handle()

    do_POST = do_DELETE = do_GET

    def log_message(self, *_: Any) -> None:
        pass

    def _handle(self) -> None:
        url = urlsplit(self.path)
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = url.path.removeprefix(API)
        kind = path.split("/")[1] if path != url.path else ""
        route = re.sub(r"^/(\w+)/[^/:]+", r"/\1/{id}", path) if kind in _MODELS else path
        is_json = "json" in (self.headers.get("Content-Type") or "")
        body = json.loads(raw) if raw and is_json else raw
        request = Request(self.command, route, dict(parse_qsl(url.query)), dict(self.headers), body)
        failure = self.owner.received(request)
        if isinstance(failure, Hang):
            time.sleep(failure.seconds)
        if isinstance(failure, Status):
            self._fail(failure)
        elif failure is None or (isinstance(failure, Cut) and failure.after) or getattr(failure, "effect", False):
            known = kind in _MODELS or path in ("/healthz", "/pipelines/upload")
            self._answer(request, path if known else "", silent=failure is not None)
        if failure is not None and not isinstance(failure, Status):
            self.close_connection = True

    def _answer(self, request: Request, path: str, silent: bool) -> None:
        status = Status(200)
        answer: dict[str, Any] = {}
        if not path:
            return self._fail(Status(404, html="<html><body>404 page not found</body></html>"))
        try:
            answer = self.owner.answer(request, path)
        except KeyError as error:
            status = Status(404, f"{path.split('/')[1][:-1]} {error.args[0]} not found")
        except (BadRequest, ValueError, json_format.ParseError) as error:
            status = Status(400, f"Invalid input error: {error}")
        if silent:
            return None
        return self._fail(status) if status.code != 200 else self._send(200, json.dumps(answer), "application/json")

    def _fail(self, failure: Status) -> None:
        told = {"error": failure.message, "code": 2, "message": failure.message, "details": []}
        kind = "text/html" if failure.html else "application/json"
        self._send(failure.code, failure.html or json.dumps(told), kind, failure.headers)

    def _send(self, code: int, text: str, kind: str, headers: Mapping[str, str] | None = None) -> None:
        data = text.encode()
        self.send_response(code)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


def _check(body: Any, model: str) -> None:
    """Holds a body against a model of the generated client, with the models inside it."""
    _check_keys(body, model)
    kfp_server_api.ApiClient().deserialize(SimpleNamespace(data=json.dumps(body)), model)


def _check_keys(body: Any, model: str) -> None:
    kind = getattr(kfp_server_api, model, None)
    if kind is None or not isinstance(body, dict):
        return
    types = {key: kind.openapi_types[name] for name, key in kind.attribute_map.items()}
    for key, value in body.items():
        if key not in types:
            raise BadRequest(f"unknown field {key!r} in {model}")
        _check_keys(value, types[key])


def _check_spec(spec: dict[str, Any]) -> None:
    platform = spec.get("platform_spec", {})
    json_format.ParseDict(platform, pipeline_spec_pb2.PlatformSpec())
    json_format.ParseDict(spec["pipeline_spec"] if platform else spec, pipeline_spec_pb2.PipelineSpec())
