"""Vertex AI on loopback: the part of it that Penstock uses, kept in memory.

    with VertexAI() as server:
        server.states = [{"state": "PIPELINE_STATE_RUNNING"}, …]    # what each GET of a run or a job adds to it

Bodies are parsed with the package's own messages, so that an unknown field is 400, and pipeline specs with KFP's. Ids
that exist are 409. Routes are written "/pipelineJobs", "/pipelineJobs/{id}", "/pipelineJobs/{id}:cancel".
Models, endpoints, monitoring jobs and operations have modules of their own: vertex_models.py, vertex_endpoints.py,
vertex_monitoring.py, vertex_model_monitors.py, vertex_operations.py.
"""

import re
from pathlib import Path
from typing import Any

from google.cloud import aiplatform_v1
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from tests.servers import vertex_studies
from tests.servers.cluster.vertex_pipelines import VertexPipelines
from tests.servers.loopback import Loopback, Refusal, Request, Status
from tests.servers.vertex_endpoints import Endpoints
from tests.servers.vertex_model_monitors import ModelMonitors
from tests.servers.vertex_models import PROJECT_NUMBER, Models
from tests.servers.vertex_monitoring import MonitoringJobs
from tests.servers.vertex_operations import Operations, require

_MESSAGES = {
    "pipelineJobs": aiplatform_v1.PipelineJob,
    "schedules": aiplatform_v1.Schedule,
    "customJobs": aiplatform_v1.CustomJob,
    "hyperparameterTuningJobs": aiplatform_v1.HyperparameterTuningJob,
}
_PATH = re.compile(rf"^/v1/(projects/[^/]+/locations/[^/]+)/({'|'.join(_MESSAGES)})(?:/([^/:]+))?(?::(\w+))?$")
_PERMISSIONS = {  # as the methods' own pages name them
    "POST /models:upload": "aiplatform.models.upload",
    "GET /models": "aiplatform.models.list",
    "GET /models/{id}": "aiplatform.models.get",
    "DELETE /models/{id}": "aiplatform.models.delete",
    "GET /models/{id}:listVersions": "aiplatform.models.list",
    "POST /models/{id}:mergeVersionAliases": "aiplatform.models.update",
    "GET /endpoints": "aiplatform.endpoints.list",
    "POST /endpoints": "aiplatform.endpoints.create",
    "GET /endpoints/{id}": "aiplatform.endpoints.get",
    "PATCH /endpoints/{id}": "aiplatform.endpoints.update",
    "DELETE /endpoints/{id}": "aiplatform.endpoints.delete",
    "POST /endpoints/{id}:deployModel": "aiplatform.endpoints.deploy",
    "POST /endpoints/{id}:undeployModel": "aiplatform.endpoints.undeploy",
    "POST /endpoints/{id}:mutateDeployedModel": "aiplatform.endpoints.update",
    "POST /endpoints/{id}:predict": "aiplatform.endpoints.predict",
    "GET /modelDeploymentMonitoringJobs": "aiplatform.modelDeploymentMonitoringJobs.list",
    "POST /modelDeploymentMonitoringJobs": "aiplatform.modelDeploymentMonitoringJobs.create",
    "GET /modelDeploymentMonitoringJobs/{id}": "aiplatform.modelDeploymentMonitoringJobs.get",
    "PATCH /modelDeploymentMonitoringJobs/{id}": "aiplatform.modelDeploymentMonitoringJobs.update",
    "DELETE /modelDeploymentMonitoringJobs/{id}": "aiplatform.modelDeploymentMonitoringJobs.delete",
    "POST /modelDeploymentMonitoringJobs/{id}:pause": "aiplatform.modelDeploymentMonitoringJobs.pause",
    "POST /modelDeploymentMonitoringJobs/{id}:resume": "aiplatform.modelDeploymentMonitoringJobs.resume",
    "GET /modelMonitors/{id}": "aiplatform.modelMonitors.get",
    "POST /modelMonitors": "aiplatform.modelMonitors.create",
    "PATCH /modelMonitors/{id}": "aiplatform.modelMonitors.update",
    "GET /schedules": "aiplatform.schedules.list",
    "GET /schedules/{id}": "aiplatform.schedules.get",
    "POST /schedules": "aiplatform.schedules.create",
    "PATCH /schedules/{id}": "aiplatform.schedules.update",
    "DELETE /schedules/{id}": "aiplatform.schedules.delete",
}
_CANCELLED = {
    "pipelineJobs": "PIPELINE_STATE_CANCELLED",
    "customJobs": "JOB_STATE_CANCELLED",
    "hyperparameterTuningJobs": "JOB_STATE_CANCELLED",
}


class VertexAI(Loopback):
    """The server; with `pipelines` what is created there truly runs, else states change as the script says.

    `denied` are permissions that the caller does not have, such as aiplatform.endpoints.deploy.
    """

    def __init__(self, pipelines: VertexPipelines | None = None) -> None:
        super().__init__()
        self.pipelines = pipelines
        self.stored: dict[str, dict[str, Any]] = {kind: {} for kind in _MESSAGES}
        self.states: list[dict[str, Any]] = []
        self.operations = Operations()
        self.endpoints = Endpoints(self.operations)
        self.models = self.endpoints.models
        self.monitoring = MonitoringJobs(self.operations, self.endpoints)
        self.model_monitors = ModelMonitors(self.operations, self.endpoints)
        self.denied: set[str] = set()

    def route(self, path: str) -> str:
        match = _PATH.match(path)
        if not match:
            routes = (part.route(path) for part in (self.operations, *self._parts))
            return next(filter(None, routes), path)
        _, kind, one, action = match.groups()
        return f"/{kind}" + ("/{id}" if one else "") + (f":{action}" if action else "")

    @property
    def _parts(self) -> tuple[Endpoints, Models, MonitoringJobs, ModelMonitors]:
        return self.endpoints, self.models, self.monitoring, self.model_monitors

    def error(self, failure: Status) -> Any:
        return {"error": {"code": failure.code, "message": failure.message, "status": "ERROR"}}

    def answer(self, request: Request) -> Any:
        match = _PATH.match(request.path)
        if not match:
            return self._answer_serving(request)
        parent, kind, one, action = match.groups()
        if not one:
            if request.method == "POST":
                return self._create(parent, kind, request)
            return self._list(parent, kind, request)
        name = f"{parent}/{kind}/{one}"
        if name not in self.stored[kind]:
            raise Refusal(404, f"{name} was not found")
        stored = self.stored[kind][name]
        if request.method == "DELETE":
            del self.stored[kind][name]
            empty = {"@type": "type.googleapis.com/google.protobuf.Empty"}
            return {"name": f"{parent}/operations/1", "done": True, "response": empty}
        if action:
            state = {"cancel": _CANCELLED.get(kind), "pause": "PAUSED", "resume": "ACTIVE"}[action]
            self._change(stored, {"state": state})
            if self.pipelines and kind == "pipelineJobs":
                self.pipelines.stop(one)
            return {}
        if self.pipelines and kind == "pipelineJobs" and stored.state.name != _CANCELLED[kind]:
            self._change(stored, self.pipelines.report(one))
        if kind != "schedules" and self.states:
            self._change(stored, self.states.pop(0))
        return _json(stored)

    def _answer_serving(self, request: Request) -> Any:
        unknown = self.denied - set(_PERMISSIONS.values())
        require(not unknown, f"no method needs the permissions {unknown}")
        permission = _PERMISSIONS.get(f"{request.method} {request.route}")
        if permission in self.denied:
            resource = request.path.removeprefix("/v1/").partition(":")[0]
            denied = f"Permission '{permission}' denied on resource '//aiplatform.googleapis.com/{resource}'"
            raise Refusal(403, f"{denied} (or it may not exist).")
        self.operations.step()
        if self.operations.route(request.path):
            return self.operations.answer(request, _numbered)
        for part in self._parts:
            if part.route(request.path):
                return part.answer(request)
        raise Refusal(404, f"no route {request.path}")

    def _change(self, stored: Any, change: dict[str, Any]) -> None:
        message = type(stored).pb(stored)
        for key in change:
            message.ClearField(re.sub("([A-Z])", lambda capital: f"_{capital[1].lower()}", key))
        json_format.ParseDict(change, message)

    def _create(self, parent: str, kind: str, request: Request) -> Any:
        made = _MESSAGES[kind]()
        try:
            json_format.ParseDict(request.body, type(made).pb(made))
        except json_format.ParseError as error:
            raise Refusal(400, f"Invalid JSON payload received: {error}") from None
        if kind == "hyperparameterTuningJobs":
            vertex_studies.check(made)
        if kind in ("customJobs", "hyperparameterTuningJobs"):
            return self._keep(parent, kind, made, str(1000 + len(self.stored[kind])), "JOB_STATE_PENDING")
        job = made
        if kind == "schedules":
            job = made.create_pipeline_job_request.pipeline_job
            if made.create_pipeline_job_request.parent != parent or len(re.sub("^TZ=.* ", "", made.cron).split()) > 5:
                raise Refusal(400, "the schedule is not valid")
        spec = json_format.MessageToDict(type(job).pb(job).pipeline_spec)
        json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
        if not job.runtime_config.gcs_output_directory.startswith("gs://"):
            raise Refusal(400, "gcs_output_directory is not a bucket")
        one = request.query.get("pipelineJobId") or str(1000 + len(self.stored[kind]))
        if self.pipelines and kind == "pipelineJobs" and f"{parent}/{kind}/{one}" not in self.stored[kind]:
            config = json_format.MessageToDict(type(job).pb(job).runtime_config)
            self.pipelines.start(one, spec, config.get("parameterValues", {}), config["gcsOutputDirectory"])
        return self._keep(parent, kind, made, one, "ACTIVE" if kind == "schedules" else "PIPELINE_STATE_PENDING")

    def _keep(self, parent: str, kind: str, made: Any, one: str, state: str) -> Any:
        made.name = f"{parent}/{kind}/{one}"
        if made.name in self.stored[kind]:
            raise Refusal(409, f"{made.name} already exists")
        self._change(made, {"state": state})
        self.stored[kind][made.name] = made
        return _json(made)

    def _list(self, parent: str, kind: str, request: Request) -> Any:
        listed = [one for name, one in self.stored[kind].items() if name.startswith(f"{parent}/")]
        for condition in filter(None, request.query.get("filter", "").split(" AND ")):
            if condition == "create_pipeline_job_request:*":
                continue
            named = re.fullmatch('display_name="(.*)"', condition)
            if not named:
                raise Refusal(400, f"filter: {condition}")
            listed = [one for one in listed if one.display_name == named[1]]
        start = int(request.query.get("pageToken") or 0)
        following = {"nextPageToken": str(start + 2)} if len(listed) > start + 2 else {}  # pages of two
        return {kind: [_json(one) for one in listed[start : start + 2]], **following}


class TuningVertexAI(VertexAI):
    """Vertex AI that runs the trials of its tuning service; their metric files are below `folder`."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._trials: dict[str, vertex_studies.Trials] = {}

    def answer(self, request: Request) -> Any:
        name = request.path.removeprefix("/v1/").partition(":")[0]
        if name in self._trials:
            if request.route.endswith(":cancel"):
                self._trials.pop(name).end()
            elif self._trials[name].job.state.name in ("JOB_STATE_PENDING", "JOB_STATE_RUNNING"):
                self._trials[name].look()
        made = super().answer(request)
        if (request.method, request.route) == ("POST", "/hyperparameterTuningJobs"):
            job = self.stored["hyperparameterTuningJobs"][made["name"]]
            self._trials[made["name"]] = vertex_studies.Trials(job, self._folder)
        return made

    def __exit__(self, *error: object) -> None:
        for trials in self._trials.values():
            trials.end()
        super().__exit__(*error)


def _json(message: Any) -> Any:
    return json_format.MessageToDict(type(message).pb(message))


def _numbered(resource: str) -> str:
    """Returns a resource's name with the project's number."""
    return re.sub(r"^projects/[^/]+", f"projects/{PROJECT_NUMBER}", resource)
