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
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import kfp_server_api
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from tests.servers.loopback import Cut, Hang, Loopback, Refusal, Request, Status

API = "/apis/v2beta1"
_MODELS = {"runs": "V2beta1Run", "experiments": "V2beta1Experiment", "recurringruns": "V2beta1RecurringRun"}
_IDS = {"runs": "run_id", "experiments": "experiment_id", "recurringruns": "recurring_run_id"}
_KEYS = {"runs": "runs", "experiments": "experiments", "recurringruns": "recurringRuns"}
_NOW = "2026-01-01T00:00:00Z"


class KubeflowPipelines(Loopback):
    """The server.

    Args:
        required: Headers that must come with every request, else the answer is 401.
        certificate: A PEM file with a key and its certificate: the server speaks TLS.
    """

    def __init__(self, required: Mapping[str, str] | None = None, certificate: Path | None = None) -> None:
        super().__init__()
        self.required = dict(required or {})
        self.stored: dict[str, dict[str, dict[str, Any]]] = {kind: {} for kind in _MODELS}
        self.states: list[dict[str, Any]] = []
        self._scheme = "https" if certificate else "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._http.socket = context.wrap_socket(self._http.socket, server_side=True, do_handshake_on_connect=False)

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._http.server_address[1]}"

    def route(self, path: str) -> str:
        """Returns the path below the API, with {id} for what is named in it."""
        return re.sub(rf"^/({'|'.join(_MODELS)})/[^/:]+", r"/\1/{id}", path.removeprefix(API))

    def names(self, kind: str) -> list[str]:
        """Returns the display names of all runs, experiments or recurringruns."""
        return [one["display_name"] for one in self.stored[kind].values()]

    def received(self, request: Request) -> Status | Cut | Hang | None:
        """Notes a request; returns what the script has for it, or that it lacks a required header."""
        failure = super().received(request)
        if failure is None and any(request.headers.get(name) != value for name, value in self.required.items()):
            return Status(401, "Unauthenticated")
        return failure

    def error(self, failure: Status) -> dict[str, Any]:
        return {"error": failure.message, "code": 2, "message": failure.message, "details": []}

    def answer(self, request: Request) -> dict[str, Any]:
        path = request.path.removeprefix(API)
        kind, _, rest = path.lstrip("/").partition("/")
        if path == request.path or not (kind in _MODELS or path in ("/healthz", "/pipelines/upload")):
            raise Refusal(404, html="<html><body>404 page not found</body></html>")
        try:
            return self._answer(request, path, kind, *rest.partition(":")[::2])
        except KeyError as error:
            raise Refusal(404, f"{kind[:-1]} {error.args[0]} not found") from None
        except (ValueError, json_format.ParseError) as error:
            raise Refusal(400, f"Invalid input error: {error}") from None

    def _answer(self, request: Request, path: str, kind: str, one: str, action: str) -> dict[str, Any]:
        if path == "/healthz":
            return {"multi_user": False}
        if path == "/pipelines/upload":
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
                raise Refusal(400, "experiment not found")
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
                raise Refusal(400, f"filter: {predicate}")
            found = [one for one in found if one["display_name"] == predicate["stringValue"]]
        start, size = int(request.query.get("page_token") or 0), int(request.query.get("page_size") or 10)
        following = {"next_page_token": str(start + size)} if len(found) > start + size else {}
        return {_KEYS[kind]: found[start : start + size], "total_size": len(found), **following}


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
            raise Refusal(400, f"unknown field {key!r} in {model}")
        _check_keys(value, types[key])


def _check_spec(spec: dict[str, Any]) -> None:
    platform = spec.get("platform_spec", {})
    json_format.ParseDict(platform, pipeline_spec_pb2.PlatformSpec())
    json_format.ParseDict(spec["pipeline_spec"] if platform else spec, pipeline_spec_pb2.PipelineSpec())
