"""A Kubeflow Pipelines server on loopback: the part of /apis/v2beta1 that Penstock and kfp.Client use, kept in memory.

    with KubeflowPipelines() as server:
        server.fail("POST", "/runs", Cut(after=True))      # the next POST /runs has its effect, and no answer
        server.states = [{"state": "RUNNING"}, {"state": "SUCCEEDED"}]     # what each GET of a run adds to it
        kfp.Client(host=server.url, namespace="team")
        server.sent("POST", "/runs")                       # the decoded bodies

A body must fit kfp_server_api's model, with no key that the model does not have: else the answer is 400. The rest is
as KFP 2's sources have it. Errors are a google.rpc.Status; their message tells the outcome first and the cause last. A
pipeline that cannot be read, which is checked with the protocol's messages, is a failure of the server (500) that names
an InvalidInputError. What is empty is left out of an answer. A run can be terminated while it is pending or running,
else that is refused (400); it is CANCELING, ends as FAILED, and only its state_history knows why. Experiments' names
are unique (409). A filter is decoded once more than it was encoded, and lists come in pages.
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
from urllib.parse import unquote_plus

import kfp_server_api
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from tests.servers.cluster.cluster import KubeflowCluster
from tests.servers.loopback import CtrlC, Cut, Hang, Loopback, Refusal, Request, Status

API = "/apis/v2beta1"
_MODELS = {"runs": "V2beta1Run", "experiments": "V2beta1Experiment", "recurringruns": "V2beta1RecurringRun"}
_IDS = {"runs": "run_id", "experiments": "experiment_id", "recurringruns": "recurring_run_id"}
_KEYS = {"runs": "runs", "experiments": "experiments", "recurringruns": "recurringRuns"}
# What the messages call them.
_WORDS = {"runs": "Run", "experiments": "Experiment", "recurringruns": "Job"}
# google.rpc.Code of what an answer's status stands for.
_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 409: 6, 429: 8, 500: 13, 503: 14, 504: 4}
_LARGEST_PAGE = 200
_NOW = "2026-01-01T00:00:00Z"


class KubeflowPipelines(Loopback):
    """The server.

    Args:
        required: Headers that must come with every request, else the answer is 401.
        certificate: A PEM file with a key and its certificate: the server speaks TLS.
        cluster: What runs are run in. Without it they only change their states as the script says.
    """

    def __init__(
        self,
        required: Mapping[str, str] | None = None,
        certificate: Path | None = None,
        cluster: KubeflowCluster | None = None,
    ) -> None:
        super().__init__()
        self.cluster = cluster
        self.logs: dict[str, str] = cluster.logs if cluster else {}
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

    def received(self, request: Request) -> Status | Cut | Hang | CtrlC | None:
        """Notes a request; returns what the script has for it, or that it lacks a required header."""
        failure = super().received(request)
        if failure is None and any(request.headers.get(name) != value for name, value in self.required.items()):
            return Status(401, "Unauthenticated")
        return failure

    def error(self, failure: Status) -> dict[str, Any]:
        return {"code": _CODES.get(failure.code, 2), "message": failure.message}

    def answer(self, request: Request) -> dict[str, Any]:
        path = request.path.removeprefix(API)
        kind, _, rest = path.lstrip("/").partition("/")
        if not request.path.startswith("/apis/"):
            raise Refusal(404, html="404 page not found\n")
        if path == request.path or not (kind in _MODELS or path in ("/healthz", "/pipelines/upload")):
            raise Refusal(404, "Not Found")
        try:
            return self._answer(request, path, kind, *rest.partition(":")[::2])
        except KeyError as error:
            raise self._missing(kind, error.args[0]) from None
        except ValueError as error:
            raise Refusal(400, f"Invalid input error: {error}") from None

    def _missing(self, kind: str, identity: str) -> Refusal:
        word = _WORDS[kind]
        return Refusal(
            404, f"Failed to fetch {word.lower()} {identity}: ResourceNotFoundError: {word} {identity} not found."
        )

    def _answer(self, request: Request, path: str, kind: str, one: str, action: str) -> dict[str, Any]:
        if path == "/healthz":
            return {"commit_sha": "unknown", "tag_name": "2.17.0", "multi_user": False, "pipeline_store": "database"}
        if path == "/pipelines/upload":
            return {"pipeline_id": str(uuid.uuid4()), "display_name": request.query.get("name", "")}
        if not one:
            return self._create(kind, request.body) if request.method == "POST" else self._list(kind, request)
        stored = self.stored[kind][one]
        if request.method == "DELETE":
            del self.stored[kind][one]
            if self.cluster and kind == "recurringruns":
                self.cluster.unschedule(one)
            return {}
        if request.method == "POST":
            if action == "terminate":
                self._terminate(stored)
            else:
                stored["status"] = {"disable": "DISABLED", "enable": "ENABLED"}[action]
                stored["mode"] = action.upper()
            return {}
        if kind == "runs":
            self._go_on(stored)
        return stored

    def _terminate(self, run: dict[str, Any]) -> None:
        if run.get("state", "PENDING") not in ("PENDING", "RUNNING"):  # a fresh run has none
            text = f"Failed to terminate a run {run['run_id']}. Row not found"
            raise Refusal(400, f"Failed to terminate a run: Failed to terminate run {run['run_id']}: {text}")
        run["state"] = "CANCELING"
        run["state_history"] = [*run["state_history"], {"update_time": _NOW, "state": "CANCELING"}]
        if self.cluster:
            self.cluster.stop(run["run_id"])

    def _go_on(self, run: dict[str, Any]) -> None:
        """Gives a run its next state of the script; without one, a run that is being terminated ends."""
        if self.cluster:
            self.cluster.report(run)
        elif self.states:
            run |= self.states.pop(0)
        elif run["state"] == "CANCELING":
            run["state"] = "FAILED"
        history = run.setdefault("state_history", [])
        if run.get("state") and (not history or history[-1]["state"] != run["state"]):
            run["state_history"] = [*history, {"update_time": _NOW, "state": run["state"]}]

    def _create(self, kind: str, body: Any) -> dict[str, Any]:
        _check(body, _MODELS[kind])
        if kind == "experiments":
            if body["display_name"] in self.names("experiments"):
                told = f"Failed to create a new experiment. The name {body['display_name']} already exists"
                raise Refusal(409, f"Failed to create a experiment: Already exist error: {told}")
        elif body["experiment_id"] not in self.stored["experiments"]:
            raise self._missing("experiments", body["experiment_id"])
        else:
            _check_spec(body["pipeline_spec"])
        made = {**body, _IDS[kind]: str(uuid.uuid4()), "created_at": _NOW}
        history = [{"update_time": _NOW, "state": "PENDING"}]
        made |= {
            "runs": {"state": "PENDING", "state_history": history, "finished_at": "1970-01-01T00:00:00Z"},
            "recurringruns": {"status": "ENABLED"},
        }.get(kind, {})
        self.stored[kind][made[_IDS[kind]]] = made
        if self.cluster and kind == "runs":
            self.cluster.start(made)
        elif self.cluster and kind == "recurringruns":
            self.cluster.schedule(made, self._fire)
        return made

    def _fire(self, recurring: Mapping[str, Any]) -> None:
        """Creates a run of a schedule, as the cluster's clock asks for."""
        body = {key: recurring[key] for key in ("experiment_id", "pipeline_spec", "runtime_config") if key in recurring}
        with self.lock:
            made = self._create("runs", {**body, "display_name": f"Run of {recurring['display_name']}"})
        made["recurring_run_id"] = recurring["recurring_run_id"]

    def _list(self, kind: str, request: Request) -> dict[str, Any]:
        found = list(self.stored[kind].values())
        if self.cluster and kind == "runs":
            for run in found:
                self.cluster.report(run)
        if request.query.get("experiment_id"):
            found = [one for one in found if one["experiment_id"] == request.query["experiment_id"]]
        given = request.query.get("filter") or "{}"
        if re.search("%(?![0-9a-fA-F]{2})", given):
            raise Refusal(400, f"Invalid input error: failed to parse valid filter from {given!r}: invalid URL escape")
        for predicate in json.loads(unquote_plus(given)).get("predicates", []):
            if predicate["operation"] not in (1, "EQUALS") or predicate["key"] not in ("display_name", "name"):
                raise Refusal(400, f"filter: {predicate}")
            found = [one for one in found if one["display_name"] == predicate["stringValue"]]
        start = int(request.query.get("page_token") or 0)
        size = min(int(request.query.get("page_size") or 20), _LARGEST_PAGE)
        following = str(start + size) if len(found) > start + size else ""
        page = {_KEYS[kind]: found[start : start + size], "total_size": len(found), "next_page_token": following}
        return {key: value for key, value in page.items() if value}


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
            raise Refusal(400, f'proto: (line 1:2): unknown field "{key}"')
        _check_keys(value, types[key])


def _check_spec(spec: dict[str, Any]) -> None:
    platform = spec.get("platform_spec", {})
    try:
        json_format.ParseDict(platform, pipeline_spec_pb2.PlatformSpec())
        json_format.ParseDict(spec["pipeline_spec"] if platform else spec, pipeline_spec_pb2.PipelineSpec())
    except json_format.ParseError as error:
        raise Refusal(
            500,
            "Failed to create a new run: InternalServerError: Failed to create a run due to error fetching manifest: "
            "Failed to fetch a template with an invalid pipeline spec manifest: InvalidInputError: invalid v2 pipeline "
            f"spec: {error}",
        ) from None
