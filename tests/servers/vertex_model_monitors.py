"""Vertex AI's ModelMonitors (Model Monitoring, version 2) and their schedules on loopback.

Rules are those of aiplatform_v1beta1's own descriptions (types/model_monitor.py, model_monitoring_spec.py,
model_monitoring_service.py, schedule.py, schedule_service.py): what is required, which fields may be changed, and what
a comparison may be of.
"""

import itertools
import re
from collections.abc import Iterable
from typing import Any

from tests.servers.loopback import Refusal, Request
from tests.servers.vertex_endpoints import Endpoints
from tests.servers.vertex_models import PROJECT_NUMBER
from tests.servers.vertex_operations import Operations, as_json, page, parsed, require

_PATH = re.compile(r"^/v1beta1/projects/[^/]+/locations/([^/]+)/(modelMonitors|schedules)(?:/([^/:]+))?(?::(\w+))?$")
_ID = re.compile(r"^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$")
_LENGTH = re.compile(r"^[1-9][0-9]*[hdwHDW]$")
_CRON = re.compile(r"^(TZ=\S+ |CRON_TZ=\S+ )?(\S+ ){4}\S+$")
_CHANGEABLE = {
    "modelMonitors": {
        "displayName",
        "trainingDataset",
        "modelMonitoringSchema",
        "tabularObjective",
        "outputSpec",
        "notificationSpec",
        "explanationSpec",
    },
    "schedules": {"displayName", "cron", "endTime", "maxConcurrentRunCount", "createModelMonitoringJobRequest"},
}
_DATA_TYPES = ("float", "integer", "boolean", "string", "categorical")
_CATEGORICAL, _NUMERIC = ("l_infinity", "jensen_shannon_divergence"), ("jensen_shannon_divergence",)
_STATES = {"pause": "PAUSED", "resume": "ACTIVE"}
_TIME, _NEXT = "2026-11-29T12:00:00Z", "2026-11-29T18:00:00Z"


class ModelMonitors:
    """`monitors` and `schedules` are those that there are, by name."""

    def __init__(self, operations: Operations, endpoints: Endpoints) -> None:
        self.monitors: dict[str, Any] = {}
        self.schedules: dict[str, Any] = {}
        self._operations = operations
        self._endpoints = endpoints
        self._numbers = itertools.count(9111111111111111111)

    def route(self, path: str) -> str | None:
        match = _PATH.match(path)
        return match and f"/{match[2]}" + ("/{id}" if match[3] else "") + (f":{match[4]}" if match[4] else "")

    def answer(self, request: Request) -> Any:
        match = _PATH.match(request.path)
        assert match
        location, kind, one, action = match.groups()
        parent = f"projects/{PROJECT_NUMBER}/locations/{location}"
        stored = self.monitors if kind == "modelMonitors" else self.schedules
        if not one:
            if request.method == "POST":
                create = self._create_monitor if kind == "modelMonitors" else self._create_schedule
                return create(parent, request)
            return page(self._filtered(stored.values(), request), kind, request.query.get("pageToken"))
        name = f"{parent}/{kind}/{one}"
        if name not in stored:
            raise Refusal(404, f"{name} is not found.")
        if action:
            require(kind == "schedules" and action in _STATES, f"no method {action}", 404)
            require(stored[name].state.name != "COMPLETED", "The schedule is completed.")
            stored[name].state = _STATES[action]
            return {}
        if request.method == "DELETE":
            return self._delete(name, kind, request)
        if request.method == "PATCH":
            return (
                self._patch_monitor(name, request) if kind == "modelMonitors" else self._patch_schedule(name, request)
            )
        return as_json(stored[name])

    def _filtered(self, messages: Iterable[Any], request: Request) -> list[Any]:
        condition = request.query.get("filter", "")
        require(condition in ("", "create_model_monitoring_job_request:*"), f"Invalid filter: {condition}")
        return list(messages)

    def _create_monitor(self, parent: str, request: Request) -> Any:
        from google.cloud import aiplatform_v1beta1  # takes seconds, and few tests need it

        monitor = parsed(aiplatform_v1beta1.ModelMonitor, request.body)
        one = request.query.get("modelMonitorId") or str(next(self._numbers))
        require(_ID.match(one) or "modelMonitorId" not in request.query, f"Invalid model_monitor_id: {one}")
        monitor.name = f"{parent}/modelMonitors/{one}"
        require(monitor.name not in self.monitors, f"ModelMonitor {monitor.name} already exists.", 409)
        self._check_monitor(monitor)
        monitor.create_time = monitor.update_time = _TIME
        return self._operations.start(
            monitor.name,
            "CreateModelMonitor",
            lambda: self.monitors.setdefault(monitor.name, monitor),
            beta=True,
        )

    def _patch_monitor(self, name: str, request: Request) -> Any:
        changed = _changed(self.monitors[name], request, _CHANGEABLE["modelMonitors"])
        self._check_monitor(changed)

        def effect() -> Any:
            self.monitors[name] = changed
            return changed

        return self._operations.start(name, "UpdateModelMonitor", effect, beta=True)

    def _check_monitor(self, monitor: Any) -> None:
        require(0 < len(monitor.display_name) <= 128, "display_name is required")
        target = monitor.model_monitoring_target.vertex_model
        require(target.model and target.model_version_id, "model_monitoring_target is required")
        self._endpoints.models.find(f"{target.model}@{target.model_version_id}")
        fields = monitor.model_monitoring_schema.feature_fields
        require(fields, "model_monitoring_schema is required for custom models.")
        for field in fields:
            require(field.name and field.data_type in _DATA_TYPES, f"Invalid data_type: {field.data_type}")
        _check_notification(monitor.notification_spec)

    def _create_schedule(self, parent: str, request: Request) -> Any:
        from google.cloud import aiplatform_v1beta1

        schedule = parsed(aiplatform_v1beta1.Schedule, request.body)
        schedule.name = f"{parent}/schedules/{next(self._numbers)}"
        self._check_schedule(schedule)
        schedule.state = "ACTIVE"
        schedule.create_time = schedule.update_time = _TIME
        schedule.next_run_time = _NEXT
        self.schedules[schedule.name] = schedule
        return as_json(schedule)

    def _patch_schedule(self, name: str, request: Request) -> Any:
        changed = _changed(self.schedules[name], request, _CHANGEABLE["schedules"])
        kinds = [type(one).pb(one).WhichOneof("request") for one in (self.schedules[name], changed)]
        require(kinds[0] == kinds[1], "The scheduled request type cannot be changed.")
        self._check_schedule(changed)
        self.schedules[name] = changed
        return as_json(changed)

    def _check_schedule(self, schedule: Any) -> None:
        require(0 < len(schedule.display_name) <= 128, "display_name is required")
        require(schedule.max_concurrent_run_count >= 1, "max_concurrent_run_count is required")
        require(_CRON.match(schedule.cron), f"Invalid cron: {schedule.cron}")
        wanted = schedule.create_model_monitoring_job_request
        require(wanted.parent in self.monitors, f"ModelMonitor {wanted.parent} is not found.", 404)
        monitor, spec = self.monitors[wanted.parent], wanted.model_monitoring_job.model_monitoring_spec
        objective = spec.objective_spec
        known = {one.name for one in monitor.model_monitoring_schema.feature_fields}
        _check_drift(objective.tabular_objective.feature_drift_spec, known)
        _check_attribution(objective, known)
        for dataset in (objective.baseline_dataset, objective.target_dataset):
            self._check_dataset(dataset, monitor.model_monitoring_target.vertex_model)
        _check_notification(spec.notification_spec)

    def _check_dataset(self, dataset: Any, model: Any) -> None:
        kind = type(dataset).pb(dataset).WhichOneof("dataset")
        require(kind, "A dataset is required.")
        offset = dataset.time_offset
        for length in filter(None, (offset.offset, offset.window)):
            require(_LENGTH.match(length), f"Invalid time_offset: {length}")
        rows = dataset.columnized_dataset
        require(
            not offset.window or kind != "columnized_dataset" or rows.timestamp_field, "timestamp_field is required"
        )
        for name in dataset.vertex_endpoint_logs.endpoints:
            endpoint = self._endpoints.endpoints.get(name)
            require(endpoint, f"Endpoint {name} is not found.", 404)
            logging = endpoint.predict_request_response_logging_config
            require(logging.enabled, f"Endpoint {name} does not enable request response logging.")
            deployed = [(one.model, one.model_version_id) for one in endpoint.deployed_models]
            require(
                (model.model, model.model_version_id) in deployed,
                f"Endpoint {name} does not contain the model {model.model}@{model.model_version_id}.",
            )

    def _delete(self, name: str, kind: str, request: Request) -> Any:
        stored = self.monitors if kind == "modelMonitors" else self.schedules
        if kind == "modelMonitors" and request.query.get("force") != "true":
            own = [one for one in self.schedules.values() if one.create_model_monitoring_job_request.parent == name]
            require(not own, f"ModelMonitor {name} has schedules.")
        method = "DeleteModelMonitor" if kind == "modelMonitors" else "DeleteSchedule"
        return self._operations.start(name, method, lambda: stored.pop(name) and None)


def _changed(there: Any, request: Request, changeable: set[str]) -> Any:
    """Returns a copy of a message with the fields of a PATCH; output only fields stay as they are."""
    change, changed = parsed(type(there), request.body), type(there)(there)
    for field in request.query.get("updateMask", "").split(","):
        require(field in changeable, f"Invalid update_mask: {field}")
        attribute = re.sub("([A-Z])", lambda capital: f"_{capital[1].lower()}", field)
        setattr(changed, attribute, getattr(change, attribute))
    return changed


def _check_drift(drift: Any, known: set[str]) -> None:
    require(set(drift.features) <= known, f"Features {set(drift.features) - known} are not in the monitoring schema.")
    if not drift.features:
        return
    require(drift.categorical_metric_type in _CATEGORICAL, f"Invalid metric: {drift.categorical_metric_type}")
    require(drift.numeric_metric_type in _NUMERIC, f"Invalid metric: {drift.numeric_metric_type}")
    _check_conditions(drift.feature_alert_conditions, known)


def _check_attribution(objective: Any, known: set[str]) -> None:
    spec = objective.tabular_objective.feature_attribution_spec
    if not type(spec).pb(spec).ByteSize():
        return
    explained = type(objective.explanation_spec.parameters).pb(objective.explanation_spec.parameters)
    require(explained.WhichOneof("method"), "explanation_spec is required for feature attribution objectives.")
    require(set(spec.features) <= known, f"Features {set(spec.features) - known} are not in the monitoring schema.")
    _check_conditions(spec.feature_alert_conditions, known)


def _check_conditions(conditions: Any, known: set[str]) -> None:
    require(set(conditions) <= known, f"Features {set(conditions) - known} are not in the monitoring schema.")
    for name, condition in conditions.items():
        require(0 < condition.threshold <= 1, f"The threshold of {name} is not in (0, 1].")


def _check_notification(spec: Any) -> None:
    for one in spec.notification_channel_configs:
        valid = re.match(r"^projects/[^/]+/notificationChannels/[^/]+$", one.notification_channel)
        require(valid, f"Invalid channel: {one.notification_channel}")
