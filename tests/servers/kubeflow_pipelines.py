"""A Kubeflow Pipelines server on loopback: the part of /apis/v2beta1 that Penstock and kfp.Client use, kept in memory.

    with KubeflowPipelines() as server:
        server.fail("POST", "/runs", Cut(after=True))      # the next POST /runs has its effect, and no answer
        server.states = [{"state": "RUNNING"}, {"state": "SUCCEEDED"}]     # what each GET of a run adds to it
        server.logs = {"small-x7k2p-system-container-impl-17": "what the pod has printed"}
        kfp.Client(host=server.url, namespace="team")
        server.sent("POST", "/runs")                       # the decoded bodies

It answers as a server of KFP 2.17.0 has: captured/kubeflow_answers.json holds what that said to 68 requests, and
test_kubeflow_pipelines.py beside this file asks this one the same. What no capture tells is as the sources have it.
Errors are a google.rpc.Status; their message tells the outcome first and the cause last. What is empty is left out of
an answer. Names are compared as MySQL does it, whatever their case, and have at most 128 characters of at most three
bytes. A run has no state until it is reported, or scripted; one that is terminated is CANCELING, ends as FAILED, and
only its state_history knows why. A filter is decoded once more than it was encoded, and lists come in pages.
Paths are written with {id}: "/runs/{id}:terminate". A failure is used up by one request.
"""

import base64
import binascii
import json
import re
import ssl
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

from tests.servers.kubeflow_requests import check_fields, check_name, check_recurring_run, check_run, malformed
from tests.servers.loopback import CtrlC, Cut, Hang, Loopback, Refusal, Request, Status

API = "/apis/v2beta1"
_LOG = re.compile(r"^/apis/v1alpha1/runs/(?P<run>[^/]+)/nodes/(?P<pod>[^/]+)/log$")
_MODELS = {"runs": "V2beta1Run", "experiments": "V2beta1Experiment", "recurringruns": "V2beta1RecurringRun"}
_IDS = {"runs": "run_id", "experiments": "experiment_id", "recurringruns": "recurring_run_id"}
_KEYS = {"runs": "runs", "experiments": "experiments", "recurringruns": "recurringRuns"}
# What the messages call them.
_WORDS = {"runs": "run", "experiments": "experiment", "recurringruns": "recurring run"}
_KINDS = {"runs": "Run", "experiments": "Experiment", "recurringruns": "Job"}
# google.rpc.Code of what an answer's status stands for.
_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 409: 6, 429: 8, 500: 13, 503: 14, 504: 4}
_CAUSE = re.compile(
    r".*(?:ResourceNotFoundError|Invalid input error|Already exist error|InvalidInputError): (?P<text>.*)"
)
_LARGEST_PAGE = 200
_EARLIER, _NOW, _NEVER = "2025-12-31T00:00:00Z", "2026-01-01T00:00:00Z", "1970-01-01T00:00:00Z"
_DEFAULT_EXPERIMENT = "Default"
_SERVICE_ACCOUNT = "pipeline-runner"
_PLUGINS = {
    "mlflow": {
        "entries": {"experiment_name": {"value": "KFP-Default"}},
        "state": "PLUGIN_FAILED",
        "state_message": "MLflow config resolution failed; run creation will continue: Invalid input error: Kubernetes "
        "bearer token is empty for MLflow auth",
    }
}


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
        self.logs: dict[str, str] = {}
        text = "All runs created without specifying an experiment will be grouped here."
        self._make("experiments", {"display_name": _DEFAULT_EXPERIMENT, "description": text}, _EARLIER)
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
        if _LOG.match(path):
            return "/runs/{id}/nodes/{id}/log"
        return re.sub(rf"^/({'|'.join(_MODELS)})/[^/:]+", r"/\1/{id}", path.removeprefix(API))

    def names(self, kind: str) -> list[str]:
        """Returns the display names of all runs, recurringruns, or experiments but the one that is always there."""
        found = [one["display_name"] for one in self.stored[kind].values()]
        return [name for name in found if (kind, name) != ("experiments", _DEFAULT_EXPERIMENT)]

    def received(self, request: Request) -> Status | Cut | Hang | CtrlC | None:
        """Notes a request; returns what the script has for it, or that it lacks a required header."""
        failure = super().received(request)
        if failure is None and any(request.headers.get(name) != value for name, value in self.required.items()):
            return Status(401, "Unauthenticated")
        return failure

    def error(self, failure: Status) -> dict[str, Any]:
        code = _CODES.get(failure.code, 2)
        cause = _CAUSE.match(failure.message)
        text = "Internal Server Error" if failure.code == 500 else cause and cause["text"]
        if text and text.startswith("Invalid page token"):
            text = "Invalid page token"
        details = [{"@type": "type.googleapis.com/google.rpc.Status", "code": code, "message": text}]
        return {"code": code, "message": failure.message} | ({"details": details} if text else {})

    def answer(self, request: Request) -> Any:
        log = _LOG.match(request.path)
        if log and request.method == "GET":
            return self._log(log["run"], log["pod"])
        path = request.path.removeprefix(API)
        kind, _, rest = path.lstrip("/").partition("/")
        if not request.path.startswith("/apis/"):
            raise Refusal(404, html="404 page not found\n", headers={"Content-Type": "text/plain; charset=utf-8"})
        if path == request.path or not (kind in _MODELS or path in ("/healthz", "/pipelines/upload")):
            raise Refusal(404, "Not Found")
        return self._answer(request, path, kind, *rest.partition(":")[::2])

    def _log(self, run: str, pod: str) -> str:
        """Returns what a pod has printed. A pod that is gone is a failure of the server, in words of its old API."""
        if run in self.stored["runs"] and pod in self.logs:
            return self.logs[pod]
        message = f'error in opening log stream: pods "{pod}" not found'
        answer = {"error_message": message, "error_details": message}
        raise Refusal(500, html=json.dumps(answer), headers={"Content-Type": "application/json"})

    def _answer(self, request: Request, path: str, kind: str, one: str, action: str) -> dict[str, Any]:
        if path == "/healthz":
            return {"commit_sha": "unknown", "tag_name": "2.17.0", "multi_user": False, "pipeline_store": "database"}
        if path == "/pipelines/upload":
            return {"pipeline_id": str(uuid.uuid4()), "display_name": request.query.get("name", "")}
        if not one:
            return self._create(kind, request.body) if request.method == "POST" else self._list(kind, request)
        verb = "delete" if request.method == "DELETE" else action
        if one not in self.stored[kind]:
            raise _missing(kind, one, verb)
        if request.method in ("DELETE", "POST"):
            self._change(kind, one, verb)
            return {}
        stored = self.stored[kind][one]
        return self._go_on(stored) if kind == "runs" else stored

    def _change(self, kind: str, one: str, verb: str) -> None:
        stored = self.stored[kind][one]
        if verb == "delete":
            del self.stored[kind][one]
        elif verb == "terminate":
            self._terminate(stored)
        elif verb == "archive":
            stored["storage_state"] = "ARCHIVED"
        else:
            stored["status"] = {"disable": "DISABLED", "enable": "ENABLED"}[verb]
            stored["mode"] = verb.upper()

    def _terminate(self, run: dict[str, Any]) -> None:
        if run.get("state") not in (None, "PENDING", "RUNNING"):
            text = f"Invalid input error: Failed to terminate a run {run['run_id']}. Row not found"
            raise Refusal(400, f"Failed to terminate a run: Failed to terminate run {run['run_id']}: {text}")
        run["state"] = "CANCELING"

    def _go_on(self, run: dict[str, Any]) -> dict[str, Any]:
        """Returns how a run stands: as the script has it, else as it is. What is being terminated ends after that.

        That it was being terminated is in its history from then on.
        """
        if self.states:
            run |= self.states.pop(0)
            _remember(run, run.get("state"))
            return run
        told = dict(run)
        if run.get("state") == "CANCELING":
            run["state"] = "FAILED"
            _remember(run, "CANCELING", "FAILED")
        return told

    def _create(self, kind: str, body: Any) -> dict[str, Any]:
        if isinstance(body, bytes):
            raise Refusal(400, malformed(body))
        check_fields(body, _MODELS[kind])
        body = {key: value for key, value in body.items() if key != "namespace"}
        if kind == "experiments":
            self._check_experiment(body)
        else:
            (check_run if kind == "runs" else check_recurring_run)(body)
            body = {"experiment_id": self._experiment(kind, body.get("experiment_id"))} | body
            if body.get("runtime_config") == {"parameters": {}}:
                del body["runtime_config"]
        check_name(kind, body.get("display_name", ""))
        return self._make(kind, body)

    def _check_experiment(self, body: dict[str, Any]) -> None:
        name = body.get("display_name", "")
        if not name:
            raise Refusal(
                500,
                "[ExperimentServer]: Failed to create a experiment due to conversion error: InternalServerError: "
                "Failed to convert API experiment to model experiment: Invalid input error: Experiment must have a "
                "non-empty name",
            )
        if name.casefold() in {one["display_name"].casefold() for one in self.stored["experiments"].values()}:
            told = f"Failed to create a new experiment. The name {name} already exists. Please specify a new name"
            raise Refusal(409, f"Failed to create a experiment: Already exist error: {told}")

    def _experiment(self, kind: str, given: str | None) -> str:
        known = self.stored["experiments"]
        if not given:
            return next(one for one in known if known[one]["display_name"] == _DEFAULT_EXPERIMENT)
        if given in known:
            return given
        new, word = ("new run", "run") if kind == "runs" else ("recurring run", "recurring run")
        raise Refusal(
            404,
            f"Failed to create a {new}: Failed to create a {word} due to invalid experimentId and namespace "
            f"combination: Failed to fetch namespace for experiment {given}: Failed to fetch namespace from "
            f"experiment {given}: ResourceNotFoundError: Experiment {given} not found",
        )

    def _make(self, kind: str, body: dict[str, Any], created: str = _NOW) -> dict[str, Any]:
        """Stores what is made; returns the answer. A run is reported at once, by a workflow that has no phase yet."""
        identity = str(uuid.uuid4())
        made = {_IDS[kind]: identity, **body, "created_at": created}
        if kind == "experiments":
            made |= {"storage_state": "AVAILABLE", "last_run_created_at": _NEVER}
        else:
            made |= {"service_account": body.get("service_account", _SERVICE_ACCOUNT)}
        if kind == "recurringruns":
            made |= {
                "trigger": body.get("trigger", {}),
                "updated_at": _NOW,
                "status": "ENABLED",
                "namespace": "kubeflow",
            }
        if kind == "runs":
            made |= {"storage_state": "AVAILABLE", "scheduled_at": _NOW, "finished_at": _NEVER}
            made |= {"state_history": [{"update_time": _NOW, "state": "PENDING"}], "plugins_output": _PLUGINS}
        self.stored[kind][identity] = made
        if kind != "runs":
            return made
        self.stored[kind][identity] = made | {"state_history": [*made["state_history"], {"update_time": _NOW}]}
        return made | {"state": "PENDING"}

    def _list(self, kind: str, request: Request) -> dict[str, Any]:
        found = list(self.stored[kind].values())
        if request.query.get("experiment_id"):
            found = [one for one in found if one["experiment_id"] == request.query["experiment_id"]]
        for name in _filtered(request.query.get("filter") or "{}"):
            found = [one for one in found if one["display_name"].casefold() == name.casefold()]
        by, _, order = request.query.get("sort_by", "").partition(" ")
        if by:
            found.sort(key=lambda one: one[by], reverse=order == "desc")
        start = _page_start(request.query.get("page_token") or "")
        size = int(request.query.get("page_size") or 20)
        if size < 0:
            raise _not_listed(f"The page size should be greater than 0. Got {size}")
        size = min(size, _LARGEST_PAGE)
        more = len(found) > start + size
        following = base64.b64encode(json.dumps({"start": start + size}).encode()).decode() if more else ""
        page = {_KEYS[kind]: found[start : start + size], "total_size": len(found), "next_page_token": following}
        return {key: value for key, value in page.items() if value}


def _remember(run: dict[str, Any], *states: str | None) -> None:
    for state in states:
        if state and run["state_history"][-1].get("state") != state:
            run["state_history"] = [*run["state_history"], {"update_time": _NOW, "state": state}]


def _missing(kind: str, identity: str, verb: str) -> Refusal:
    """Returns the refusal of what names something that is not there; `verb` is what was to become of it."""
    word, found = _WORDS[kind], f"ResourceNotFoundError: {_KINDS[kind]} {identity} not found"
    messages = {
        ("runs", ""): f"Failed to get a run: Failed to fetch run {identity}: {found}",
        (
            "runs",
            "terminate",
        ): f"Failed to terminate a run: Failed to terminate run {identity} due to error fetching the "
        f"run: Failed to fetch run {identity}: {found}",
        (
            "recurringruns",
            "delete",
        ): f"Failed to delete a recurring run: Failed to delete recurring run {identity}. Check if exists: {found}",
        **{
            ("recurringruns", one): f"Failed to {one} a recurring run: Failed to change recurring run's mode to "
            f"enable:{str(one == 'enable').lower()}. Check if recurring run {identity} exists: {found}"
            for one in ("enable", "disable")
        },
    }
    return Refusal(404, messages.get((kind, verb), f"Failed to fetch {word}: {found}"))


def _not_listed(cause: str) -> Refusal:
    return Refusal(400, f"Failed to create list options: Invalid input error: {cause}")


def _filtered(given: str) -> list[str]:
    """Returns the names that a filter asks for."""
    wrong = re.search("%(?![0-9a-fA-F]{2}).{0,2}", given)
    if wrong:
        raise _not_listed(f'failed to parse valid filter from "{given}": invalid URL escape "{wrong[0]}"')
    predicates = json.loads(unquote_plus(given)).get("predicates", [])
    for one in predicates:
        if one["key"] not in ("display_name", "name"):
            raise _not_listed(f'no support for filtering on unrecognized field "{one["key"]}"')
        if one["operation"] not in (1, "EQUALS"):
            raise _not_listed(f"this server knows no operation {one['operation']}")
    return [one["stringValue"] for one in predicates]


def _page_start(token: str) -> int:
    try:
        return int(json.loads(base64.b64decode(token, validate=True))["start"]) if token else 0
    except (binascii.Error, ValueError, KeyError):
        told = "Invalid page token: illegal base64 data at input byte 0"
        raise Refusal(400, f"Failed to create list options: InvalidInputError: {told}") from None
