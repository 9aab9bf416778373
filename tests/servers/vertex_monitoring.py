"""Vertex AI's ModelDeploymentMonitoringJobs on loopback.

Rules are those of aiplatform_v1's own descriptions (types/model_deployment_monitoring_job.py, model_monitoring.py,
job_service.py): what is required, which fields may be changed, how durations are rounded, and the states of a job.
"""

import itertools
import re
from collections.abc import Callable
from typing import Any

from google.cloud import aiplatform_v1
from google.protobuf import duration_pb2

from tests.servers.loopback import Refusal, Request
from tests.servers.vertex_endpoints import Endpoints
from tests.servers.vertex_models import PROJECT_NUMBER
from tests.servers.vertex_operations import Operations, as_json, check_labels, page, parsed, require

_PATH = re.compile(r"^/v1/projects/[^/]+/locations/([^/]+)/modelDeploymentMonitoringJobs(?:/([^/:]+))?(?::(\w+))?$")
_CHANGEABLE = {
    "displayName",
    "modelDeploymentMonitoringObjectiveConfigs",
    "modelDeploymentMonitoringScheduleConfig",
    "loggingSamplingStrategy",
    "modelMonitoringAlertConfig",
    "labels",
    "logTtl",
    "enableMonitoringPipelineLogs",
}
_FORMATS = ("tf-record", "csv", "jsonl")
_HOUR, _DAY = 3600, 86400
_STATES = {"pause": "JOB_STATE_PAUSED", "resume": "JOB_STATE_RUNNING"}
_TIME, _NEXT = "2026-11-29T12:00:00Z", "2026-11-29T13:00:00Z"


class MonitoringJobs:
    """`jobs` are those that there are, by name."""

    def __init__(self, operations: Operations, endpoints: Endpoints) -> None:
        self.jobs: dict[str, Any] = {}
        self._operations = operations
        self._endpoints = endpoints
        self._numbers = itertools.count(6111111111111111111)

    def route(self, path: str) -> str | None:
        match = _PATH.match(path)
        one = match and ("/{id}" if match[2] else "") + (f":{match[3]}" if match[3] else "")
        return None if one is None else f"/modelDeploymentMonitoringJobs{one}"

    def answer(self, request: Request) -> Any:
        match = _PATH.match(request.path)
        assert match
        location, one, action = match.groups()
        parent = f"projects/{PROJECT_NUMBER}/locations/{location}"
        if not one:
            if request.method == "POST":
                return self._create(parent, request)
            listed = [job for name, job in self.jobs.items() if name.startswith(f"{parent}/")]
            return page(listed, "modelDeploymentMonitoringJobs", request.query.get("pageToken"))
        name = f"{parent}/modelDeploymentMonitoringJobs/{one}"
        if name not in self.jobs:
            raise Refusal(404, f"ModelDeploymentMonitoringJob {name} is not found.")
        job = self.jobs[name]
        require(not action or action in _STATES, f"no method {action}", 404)
        require(
            request.method == "GET" or job.state.name != "JOB_STATE_PENDING",
            f"The ModelDeploymentMonitoringJob {name} is in state JOB_STATE_PENDING: it is being created.",
        )
        if action:
            job.state = _STATES[action]
            return {}
        if request.method == "DELETE":
            return self._operations.start(
                name, "DeleteModelDeploymentMonitoringJob", lambda: self.jobs.pop(name) and None
            )
        return self._patch(job, request) if request.method == "PATCH" else as_json(job)

    def _create(self, parent: str, request: Request) -> Any:
        job = parsed(aiplatform_v1.ModelDeploymentMonitoringJob, request.body)
        self._check(job)
        number = next(self._numbers)
        job.name = f"{parent}/modelDeploymentMonitoringJobs/{number}"
        job.state = "JOB_STATE_PENDING"
        job.create_time = _TIME  # type: ignore[assignment]
        self._fill_in(job)
        self.jobs[job.name] = job
        self._operations.later(lambda: self._run(job.name))
        return as_json(job)

    def _run(self, name: str) -> None:
        job = self.jobs.get(name)
        if job and job.state.name == "JOB_STATE_PENDING":
            job.state = "JOB_STATE_RUNNING"

    def _has_explanations(self, deployed: Any) -> bool:
        if deployed.disable_explanations:
            return False
        model = self._endpoints.models.find(f"{deployed.model}@{deployed.model_version_id}")
        return bool(deployed.explanation_spec.parameters or model.explanation_spec.parameters)

    def _fill_in(self, job: Any) -> None:
        """Sets what the service says of a job, and what it takes where nothing was said."""
        schedule = job.model_deployment_monitoring_schedule_config
        if "monitor_window" not in schedule:
            schedule.monitor_window = schedule.monitor_interval
        job.update_time, job.next_schedule_time = _TIME, _NEXT
        dataset = f"{PROJECT_NUMBER}.model_deployment_monitoring_{job.endpoint.rpartition('/')[2]}"
        job.bigquery_tables = [
            {"log_source": "SERVING", "log_type": "PREDICT", "bigquery_table_path": f"bq://{dataset}.serving_predict"}
        ]

    def _patch(self, job: Any, request: Request) -> Any:
        change = parsed(aiplatform_v1.ModelDeploymentMonitoringJob, request.body)
        fields = request.query.get("updateMask", "").split(",")
        for field in fields:
            require(field in _CHANGEABLE, f"Invalid update_mask: {field}")
        changed = aiplatform_v1.ModelDeploymentMonitoringJob(job)
        for field in fields:
            attribute = re.sub("([A-Z])", lambda capital: f"_{capital[1].lower()}", field)
            setattr(changed, attribute, getattr(change, attribute))
        self._check(changed)
        self._fill_in(changed)

        def effect() -> Any:
            changed.state = self.jobs[job.name].state
            self.jobs[job.name] = changed
            return changed

        return self._operations.start(job.name, "UpdateModelDeploymentMonitoringJob", effect)

    def _check(self, job: Any) -> None:
        require(0 < len(job.display_name) <= 128, "display_name is required")
        endpoint = self._endpoints.endpoints.get(job.endpoint)
        require(endpoint, f"Endpoint {job.endpoint} is not found.", 404)
        configs = job.model_deployment_monitoring_objective_configs
        require(configs, "model_deployment_monitoring_objective_configs is empty in ModelDeploymentMonitoringJob.")
        deployed = {one.id: one for one in endpoint.deployed_models}
        for one in configs:
            require(one.deployed_model_id in deployed, f"DeployedModel {one.deployed_model_id} is not in the Endpoint.")
            _check_objective(one.objective_config)
            explains = one.objective_config.explanation_config.enable_feature_attributes
            require(
                not explains or self._has_explanations(deployed[one.deployed_model_id]),
                f"DeployedModel {one.deployed_model_id} does not have explanation_spec populated.",
            )
        schedule = job.model_deployment_monitoring_schedule_config
        require("monitor_interval" in schedule, "monitor_interval is required")
        _round(schedule.monitor_interval, _HOUR, lambda seconds: setattr(schedule, "monitor_interval", seconds))
        rate = job.logging_sampling_strategy.random_sample_config.sample_rate
        require(0 < rate <= 1, "logging_sampling_strategy: sample_rate is not in (0, 1]")
        for uri in (job.predict_instance_schema_uri, job.analysis_instance_schema_uri):
            require(not uri or uri.startswith("gs://"), f"{uri} is not a Cloud Storage URI")
        for channel in job.model_monitoring_alert_config.notification_channels:
            require(re.match(r"^projects/[^/]+/notificationChannels/[^/]+$", channel), f"Invalid channel: {channel}")
        if "log_ttl" in job:
            _round(job.log_ttl, _DAY, lambda seconds: setattr(job, "log_ttl", seconds))
        check_labels(job)


def _check_objective(config: Any) -> None:
    of_skew, of_drift = config.training_prediction_skew_detection_config, config.prediction_drift_detection_config
    skew = {**of_skew.skew_thresholds, **of_skew.attribution_score_skew_thresholds}
    drift = {**of_drift.drift_thresholds, **of_drift.attribution_score_drift_thresholds}
    attributed = of_skew.attribution_score_skew_thresholds or of_drift.attribution_score_drift_thresholds
    explains = config.explanation_config.enable_feature_attributes
    require(explains or not attributed, "attribution thresholds need enable_feature_attributes.")
    require(skew or drift, "An objective config needs thresholds.")
    if skew:
        dataset = config.training_dataset
        require(dataset.data_format in _FORMATS, f"data_format: {dataset.data_format}")
        require(dataset.gcs_source.uris, "training_dataset is required for skew detection")
    for name, limit in [*skew.items(), *drift.items()]:
        require(0 < limit.value <= 1, f"The threshold of {name} is not in (0, 1].")


def _round(duration: Any, unit: int, put: Callable[[duration_pb2.Duration], None]) -> None:
    """Rounds a duration up to whole units, as the service does."""
    put(duration_pb2.Duration(seconds=-(-int(duration.total_seconds()) // unit) * unit))
