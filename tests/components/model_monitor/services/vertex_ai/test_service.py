"""Monitoring jobs through Google's generated client: created, changed in place, made anew, left alone."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import duration_pb2

from penstock.components.model_monitor.services import Baseline, Service
from penstock.components.pusher.destinations import Pushed, rollout
from penstock.components.pusher.destinations import Service as Pusher
from penstock.core.artifacts import PushedVersion, pushed_metadata
from penstock.core.artifacts.monitoring import MonitoringBaseline
from penstock.core.errors import ConfigError, ServerError
from penstock.core.examples import records
from penstock.core.files import object_stores
from tests.components.model_monitor.services.vertex_ai.conftest import schema, version
from tests.servers.object_stores import ObjectStore
from tests.servers.vertex import VertexAI

type Watch = Callable[..., Service]

CHANNEL = "projects/my-project/notificationChannels/77"


def read(uri: str) -> bytes:
    with object_stores.open_store(uri) as store:
        return store.read(uri)


def only_job(vertex: VertexAI) -> Any:
    (job,) = vertex.monitoring.jobs.values()
    return job


def changes(vertex: VertexAI) -> int:
    return len([one for one in vertex.requests if one.method != "GET" and "onitoring" in one.route])


def test_the_endpoint_of_a_pushed_model_is_monitored(
    vertex: VertexAI, bucket: ObjectStore, watch: Watch, baseline: Baseline, pushed: PushedVersion
) -> None:
    settings = {
        "user_emails": ["team@example.org"],
        "notification_channels": [CHANNEL],
        "interval": "6h",
        "sample_rate": 0.25,
        "log_ttl": "30d",
        "labels": {"team": "rides"},
    }
    (name,) = watch(**settings).configure(baseline, [pushed])
    job = only_job(vertex)
    assert (job.name, job.endpoint, job.display_name) == (name, pushed.place, "taxi")
    (endpoint,) = vertex.endpoints.endpoints.values()
    (config,) = job.model_deployment_monitoring_objective_configs
    assert config.deployed_model_id == endpoint.deployed_models[0].id
    assert job.model_deployment_monitoring_schedule_config.monitor_interval.total_seconds() == 6 * 3600
    assert job.logging_sampling_strategy.random_sample_config.sample_rate == 0.25
    assert job.log_ttl.days == 30
    alerts = job.model_monitoring_alert_config
    assert list(alerts.email_alert_config.user_emails) == ["team@example.org"]
    assert (list(alerts.notification_channels), alerts.enable_logging) == ([CHANNEL], True)
    assert job.labels["team"] == "rides"
    objective = config.objective_config
    skew = objective.training_prediction_skew_detection_config.skew_thresholds
    table = {(one["name"], one["measure"]): one["value"] for one in baseline.record["thresholds"]}
    assert {key: limit.value for key, limit in skew.items()} == {
        "miles": pytest.approx(skew["miles"].value),
        "zone": table["zone", "l_infinity"],
        "company": table["company", "l_infinity"],
        "stops": table["stops", "l_infinity"],
    }
    drift = objective.prediction_drift_detection_config.drift_thresholds
    assert drift.keys() == skew.keys()
    others = set(skew) - {"miles"}
    assert all(drift[one].value > skew[one].value for one in others), "two windows vary more than one and the training"
    assert objective.training_dataset.target_field == "late"


def test_schemas_and_training_data_lie_in_the_bucket(
    vertex: VertexAI, bucket: ObjectStore, watch: Watch, baseline: Baseline, pushed: PushedVersion, tmp_path: Any
) -> None:
    watch().configure(baseline, [pushed])
    job = only_job(vertex)
    assert job.predict_instance_schema_uri.startswith(bucket.uri("monitoring/predict_instance-"))
    predict = yaml.safe_load(read(job.predict_instance_schema_uri))
    assert predict["type"] == "object"
    assert predict["properties"] == {
        "company": {"type": "string"},
        "miles": {"type": "number"},
        "zone": {"type": "integer"},
        "comment": {"type": "string"},
        "stops": {"type": "array", "items": {"type": "string"}},
    }
    assert predict["required"] == ["company", "zone", "comment", "stops"]
    analysed = yaml.safe_load(read(job.analysis_instance_schema_uri))
    assert analysed["properties"] == {
        "company": {"type": "string"},
        "miles": {"type": "number"},
        "zone": {"type": "string"},
        "stops": {"type": "array", "items": {"type": "string"}},
    }
    dataset = job.model_deployment_monitoring_objective_configs[0].objective_config.training_dataset
    assert dataset.data_format == "tf-record"
    path = tmp_path / "training.tfrecord"
    path.write_bytes(read(dataset.gcs_source.uris[0]))
    (batch,) = (records.decode(batch) for batch in records.read(path))
    assert batch.schema.names == ["company", "late", "miles", "stops", "zone"]
    assert batch.num_rows == baseline.rows.num_rows
    assert batch.column("miles").cast(baseline.rows.column("miles").type) == baseline.rows.column("miles")
    assert batch.column("zone").to_pylist()[0] == [str(baseline.rows.column("zone")[0][0]).encode()]


def test_a_rerun_changes_nothing(vertex: VertexAI, watch: Watch, baseline: Baseline, pushed: PushedVersion) -> None:
    first = watch(log_ttl="30d").configure(baseline, [pushed])
    made = changes(vertex)
    assert watch(log_ttl="30d").configure(baseline, [pushed]) == first
    assert changes(vertex) == made == 1
    job = only_job(vertex)
    assert job.model_deployment_monitoring_schedule_config.monitor_window, "the service has filled in what was left out"
    schedule = job.model_deployment_monitoring_schedule_config
    schedule.monitor_window = schedule.monitor_interval * 2
    job.log_ttl = duration_pb2.Duration()
    assert watch().configure(baseline, [pushed]) == first
    assert changes(vertex) == made


def test_settings_are_changed_in_place(
    vertex: VertexAI, watch: Watch, baseline: Baseline, pushed: PushedVersion, caplog: pytest.LogCaptureFixture
) -> None:
    first = watch(user_emails=["team@example.org"]).configure(baseline, [pushed])
    only_job(vertex).labels["cost-centre"] = "7"
    caplog.set_level("INFO")
    assert watch(sample_rate=0.5, log_ttl="90d", drift=False).configure(baseline, [pushed]) == first
    (patch,) = vertex.sent("PATCH", "/modelDeploymentMonitoringJobs/{id}")
    assert "endpoint" in patch
    job = only_job(vertex)
    assert job.logging_sampling_strategy.random_sample_config.sample_rate == 0.5
    assert job.log_ttl.days == 90
    assert not job.model_monitoring_alert_config.email_alert_config.user_emails
    assert not job.model_deployment_monitoring_objective_configs[0].objective_config.prediction_drift_detection_config
    assert job.labels["cost-centre"] == "7", "labels of others stay"
    assert (
        "changed: model_deployment_monitoring_objective_configs, logging_sampling_strategy, "
        "model_monitoring_alert_config, log_ttl"
    ) in caplog.text


def test_a_paused_job_stays_paused(
    vertex: VertexAI, watch: Watch, baseline: Baseline, pushed: PushedVersion, caplog: pytest.LogCaptureFixture
) -> None:
    watch().configure(baseline, [pushed])
    only_job(vertex).state = "JOB_STATE_PAUSED"
    watch(sample_rate=0.5).configure(baseline, [pushed])
    job = only_job(vertex)
    assert (job.state.name, job.logging_sampling_strategy.random_sample_config.sample_rate) == ("JOB_STATE_PAUSED", 0.5)
    assert "is paused, and stays so: resume it with `gcloud ai model-monitoring-jobs resume" in caplog.text


@pytest.mark.parametrize("paused", [True, False])
def test_a_job_with_another_schema_is_made_anew(
    vertex: VertexAI,
    watch: Watch,
    baseline: Baseline,
    baseline_of: Callable[..., Baseline],
    pushed: PushedVersion,
    paused: bool,
) -> None:
    first = watch().configure(baseline, [pushed])
    only_job(vertex).state = state = "JOB_STATE_PAUSED" if paused else "JOB_STATE_RUNNING"
    other = schema()
    del other.feature[[one.name for one in other.feature].index("stops")]
    second = watch().configure(baseline_of(other), [pushed])
    assert second != first
    job = only_job(vertex)
    assert ([job.name], job.state.name) == (second, state if paused else "JOB_STATE_PENDING")
    assert "penstock-to-pause" not in job.labels
    assert "stops" not in yaml.safe_load(read(job.analysis_instance_schema_uri))["properties"]


def test_a_job_that_has_failed_is_made_anew(
    vertex: VertexAI, watch: Watch, baseline: Baseline, pushed: PushedVersion
) -> None:
    first = watch().configure(baseline, [pushed])
    only_job(vertex).state = "JOB_STATE_FAILED"
    assert watch().configure(baseline, [pushed]) != first
    assert only_job(vertex).state.name == "JOB_STATE_PENDING"


def test_beside_a_canary_the_version_before_is_monitored_as_it_was(
    vertex: VertexAI,
    watch: Watch,
    baseline: Baseline,
    push: Callable[..., Pushed],
    service: Callable[..., Pusher],
    baseline_of: Callable[..., Baseline],
) -> None:
    first = version(push(0))
    watch().configure(baseline, [first])
    (before,) = only_job(vertex).model_deployment_monitoring_objective_configs
    canary = version(push(1, canary=10))
    other = baseline_of(window_rows=100)
    watch().configure(other, [canary])
    configs = list(only_job(vertex).model_deployment_monitoring_objective_configs)
    assert len(configs) == 2
    assert before in configs
    (new,) = (one for one in configs if one != before)
    skew, old = (
        one.objective_config.training_prediction_skew_detection_config.skew_thresholds for one in (new, before)
    )
    assert skew["miles"].value > old["miles"].value
    rollout.promote(service())
    last = version(push(2))  # the first is undeployed now
    watch().configure(other, [last])
    ids = {one.deployed_model_id for one in only_job(vertex).model_deployment_monitoring_objective_configs}
    assert before.deployed_model_id not in ids
    assert len(ids) == 2


def test_a_job_of_somebody_else_is_left_alone(
    vertex: VertexAI, watch: Watch, baseline: Baseline, pushed: PushedVersion
) -> None:
    watch().configure(baseline, [pushed])
    only_job(vertex).labels = {}
    with pytest.raises(
        ServerError, match=r"has monitoring jobs .*, none of them from ModelMonitor: .*delete"
    ) as raised:
        watch(sample_rate=0.5).configure(baseline, [pushed])
    assert "`gcloud ai model-monitoring-jobs delete" in raised.value.message
    assert changes(vertex) == 1


def test_what_the_service_cannot_monitor(
    watch: Watch, baseline: Baseline, baseline_of: Callable[..., Baseline]
) -> None:
    (sentence,) = watch().left_out(baseline)
    assert sentence == "text is not monitored by Vertex AI, but by `penstock monitor`: comment"
    asked = baseline_of(thresholds=json.dumps({"comment": 0.1}))
    with pytest.raises(ConfigError, match=r"thresholds.comment: Vertex AI measures numbers .* 'comment' is text"):
        watch().left_out(asked)
    other = baseline_of(thresholds=json.dumps({"miles": {"missing": 0.1}, "zone": None, "comment": None}))
    assert any(
        "other thresholds hold for `penstock monitor` alone: those of miles" in one for one in watch().left_out(other)
    )


def test_thresholds_that_are_set(
    vertex: VertexAI, watch: Watch, baseline_of: Callable[..., Baseline], pushed: PushedVersion
) -> None:
    """The configuration's hold for both comparisons, and before the schema's, which has one for each."""
    own = schema()
    for feature in own.feature:
        if feature.name in ("company", "zone"):
            feature.skew_comparator.infinity_norm.threshold = 0.25
            feature.drift_comparator.infinity_norm.threshold = 0.5
    baseline = baseline_of(own, thresholds=json.dumps({"miles": 0.125, "zone": 0.75, "stops": None}))
    watch().configure(baseline, [pushed])
    config = only_job(vertex).model_deployment_monitoring_objective_configs[0].objective_config
    skew = config.training_prediction_skew_detection_config.skew_thresholds
    drift = config.prediction_drift_detection_config.drift_thresholds
    assert {name: limit.value for name, limit in skew.items()} == {"miles": 0.125, "zone": 0.75, "company": 0.25}
    assert {name: limit.value for name, limit in drift.items()} == {"miles": 0.125, "zone": 0.75, "company": 0.5}


def test_the_component_monitors_what_was_pushed(
    vertex: VertexAI, bucket: ObjectStore, monitor: Callable[..., Any], pushed: PushedVersion, tmp_path: Path
) -> None:
    settings = {"storage": bucket.uri("monitoring"), "api_endpoint": vertex.url}
    service = json.dumps({"vertex_ai": settings})
    nowhere = monitor(service=service, pushed={"pushed": 0})
    assert not vertex.monitoring.jobs
    assert "monitors" not in nowhere.metadata["baseline"]
    result = monitor(service=service, pushed=pushed_metadata([PushedVersion("/models/1", "1"), pushed]))
    assert json.loads(result.metadata["baseline"]["monitors"]) == [only_job(vertex).name]
    assert (
        MonitoringBaseline(tmp_path / "baseline").read()["notes"][-1].startswith("text is not monitored by Vertex AI")
    )
    with pytest.raises(ConfigError, match="service: expected a pushed_model"):
        monitor(service=service)
    with pytest.raises(
        ConfigError, match=r"expected a model that was pushed to an endpoint of Vertex AI, .* /models/1"
    ):
        monitor(service=service, pushed=pushed_metadata([PushedVersion("/models/1", "1")]))
