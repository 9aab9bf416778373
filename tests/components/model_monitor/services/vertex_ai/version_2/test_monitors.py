"""ModelMonitors and their schedules through Google's generated client: created, changed in place, left alone."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.components.model_monitor.services import Baseline, Service
from penstock.components.model_monitor.services.vertex_ai.service import VertexAI as VertexAIService
from penstock.components.model_monitor.services.vertex_ai.settings import Settings
from penstock.components.model_monitor.services.vertex_ai.version_2 import Watched
from penstock.components.model_monitor.services.vertex_ai.version_2.schedules import Schedules
from penstock.components.pusher.destinations import Pushed, rollout
from penstock.components.pusher.destinations import Service as Pusher
from penstock.core.artifacts import PushedVersion
from penstock.core.errors import ConfigError, ServerError
from penstock.core.examples import records
from penstock.core.services.vertex_operations import Operations
from tests.components.model_monitor.services.vertex_ai.conftest import schema, version
from tests.components.model_monitor.services.vertex_ai.test_service import read
from tests.servers.loopback import Status
from tests.servers.object_stores import ObjectStore
from tests.servers.vertex import VertexAI

type Watch = Callable[..., Service]
type Monitored = Callable[..., list[str]]

CHANNEL = "projects/my-project/notificationChannels/77"


def only_monitor(vertex: VertexAI) -> Any:
    (monitor,) = vertex.model_monitors.monitors.values()
    return monitor


def schedules(vertex: VertexAI) -> dict[str, Any]:
    """Returns the schedules by what they compare."""
    return {one.display_name.rpartition(" ")[2]: one for one in vertex.model_monitors.schedules.values()}


def spec(schedule: Any) -> Any:
    return schedule.create_model_monitoring_job_request.model_monitoring_job.model_monitoring_spec


def only_endpoint(vertex: VertexAI) -> Any:
    (endpoint,) = vertex.endpoints.endpoints.values()
    return endpoint


def changes(vertex: VertexAI) -> int:
    routes = ("/modelMonitors", "/schedules")
    made = [one for one in vertex.requests if one.method != "GET" and one.route.startswith(routes)]
    return len(made) + len([one for one in vertex.requests if one.method == "PATCH" and one.route == "/endpoints/{id}"])


def test_each_version_has_a_monitor_and_two_schedules(
    vertex: VertexAI,
    bucket: ObjectStore,
    monitored: Monitored,
    baseline: Baseline,
    pushed: PushedVersion,
    tmp_path: Path,
) -> None:
    (name,) = monitored(
        interval="6h",
        sample_rate=0.25,
        user_emails=["team@example.org"],
        notification_channels=[CHANNEL],
    )
    monitor, endpoint = only_monitor(vertex), only_endpoint(vertex)
    assert (monitor.name, monitor.display_name) == (name, f"taxi {pushed.version}")
    target = monitor.model_monitoring_target.vertex_model
    (deployed,) = endpoint.deployed_models
    assert (target.model, target.model_version_id) == (deployed.model, deployed.model_version_id)
    fields = monitor.model_monitoring_schema.feature_fields
    assert {one.name: (one.data_type, one.repeated) for one in fields} == {
        "company": ("categorical", False),
        "miles": ("float", False),
        "zone": ("categorical", False),
        "stops": ("categorical", True),
    }
    training = monitor.training_dataset.columnized_dataset.gcs_source
    assert training.format_.name == "TF_RECORD"
    path = tmp_path / "training.tfrecord"
    path.write_bytes(read(training.gcs_uri))
    (batch,) = (records.decode(each) for each in records.read(path))
    assert batch.column("zone").to_pylist()[0] == baseline.rows.column("zone").to_pylist()[0], "as requests have it"
    assert monitor.output_spec.gcs_base_directory.output_uri_prefix == bucket.uri("monitoring/results")
    both = schedules(vertex)
    assert both.keys() == {"skew", "drift"}
    table = {(one["name"], one["measure"]): one["value"] for one in baseline.record["thresholds"]}
    for comparison, one in both.items():
        assert (one.cron, one.create_model_monitoring_job_request.parent) == ("0 */6 * * *", name)
        target_dataset = spec(one).objective_spec.target_dataset
        assert list(target_dataset.vertex_endpoint_logs.endpoints) == [endpoint.name]
        assert target_dataset.time_offset.window == "6h"
        drift = spec(one).objective_spec.tabular_objective.feature_drift_spec
        assert set(drift.features) == set(drift.feature_alert_conditions) == {"company", "miles", "zone", "stops"}
        limit = drift.feature_alert_conditions["company"].threshold
        assert (limit == table["company", "l_infinity"]) == (comparison == "skew"), "two windows vary more than one"
        assert list(spec(one).notification_spec.email_config.user_emails) == ["team@example.org"]
        (channel,) = spec(one).notification_spec.notification_channel_configs
        assert (channel.notification_channel, spec(one).notification_spec.enable_cloud_logging) == (CHANNEL, True)
    assert spec(both["skew"]).objective_spec.baseline_dataset == monitor.training_dataset
    before = spec(both["drift"]).objective_spec.baseline_dataset
    assert (before.time_offset.offset, before.time_offset.window) == ("6h", "6h")
    assert list(before.vertex_endpoint_logs.endpoints) == [endpoint.name]


def test_a_rerun_changes_nothing(vertex: VertexAI, monitored: Monitored) -> None:
    first = monitored(user_emails=["team@example.org"])
    made = changes(vertex)
    assert monitored(user_emails=["team@example.org"]) == first
    assert changes(vertex) == made


def test_settings_are_changed_in_place(
    vertex: VertexAI, monitored: Monitored, caplog: pytest.LogCaptureFixture
) -> None:
    first = monitored(interval="6h")
    names = {key: one.name for key, one in schedules(vertex).items()}
    caplog.set_level("INFO")
    assert monitored(interval="1w", sample_rate=0.5, user_emails=["team@example.org"], display_name="Fares") == first
    assert only_monitor(vertex).display_name == "Fares"
    assert list(only_monitor(vertex).notification_spec.email_config.user_emails) == ["team@example.org"]
    both = schedules(vertex)
    assert {key: one.name for key, one in both.items()} == names
    assert {one.cron for one in both.values()} == {"0 0 * * 1"}
    assert spec(both["drift"]).objective_spec.baseline_dataset.time_offset.offset == "168h"
    assert only_endpoint(vertex).predict_request_response_logging_config.sampling_rate == 0.5
    assert "changed: display_name, notification_spec" in caplog.text
    assert "of drift: changed: cron, create_model_monitoring_job_request" in caplog.text


def test_other_features_are_a_change_in_place(
    vertex: VertexAI, watch: Watch, baseline_of: Callable[..., Baseline], monitored: Monitored, pushed: PushedVersion
) -> None:
    first = monitored()
    other = schema()
    del other.feature[[one.name for one in other.feature].index("stops")]
    assert watch(version=2).configure(baseline_of(other), [pushed]) == first
    assert {one.name for one in only_monitor(vertex).model_monitoring_schema.feature_fields} == {
        "company",
        "miles",
        "zone",
    }
    for one in schedules(vertex).values():
        assert "stops" not in spec(one).objective_spec.tabular_objective.feature_drift_spec.features


def test_a_comparison_that_is_no_longer_wanted_has_no_schedule(vertex: VertexAI, monitored: Monitored) -> None:
    monitored()
    monitored(skew=False)
    assert schedules(vertex).keys() == {"drift"}
    monitored(drift=False)
    assert schedules(vertex).keys() == {"skew"}


@pytest.mark.parametrize(("state", "after"), [("PAUSED", "PAUSED"), ("COMPLETED", "ACTIVE")])
def test_a_paused_schedule_stays_so_and_one_that_has_ended_is_made_anew(
    vertex: VertexAI, monitored: Monitored, caplog: pytest.LogCaptureFixture, state: str, after: str
) -> None:
    monitored()
    there = schedules(vertex)["drift"]
    there.state = state
    monitored(interval="6h")
    now = schedules(vertex)["drift"]
    assert (now.state.name, now.cron) == (after, "0 */6 * * *")
    assert (now.name == there.name) == (state == "PAUSED")
    assert ("of drift is paused, and stays so" in caplog.text) == (state == "PAUSED")


def test_a_schedule_of_somebody_else_is_left_alone(vertex: VertexAI, monitored: Monitored) -> None:
    monitored()
    own = schedules(vertex)["drift"]
    other = type(own)(own, name=f"{own.name}7", display_name="Mine", cron="0 9 * * 1")
    vertex.model_monitors.schedules[other.name] = other
    monitored(drift=False)
    assert {one.display_name for one in vertex.model_monitors.schedules.values()} == {
        "Mine",
        schedules(vertex)["skew"].display_name,
    }


def test_two_runs_at_once_leave_one_schedule(vertex: VertexAI, monitored: Monitored) -> None:
    monitored()
    own = schedules(vertex)["drift"]
    twin = type(own)(own, name=f"{own.name}7")
    vertex.model_monitors.schedules[twin.name] = twin
    monitored()
    assert len(vertex.model_monitors.schedules) == 2


def test_the_version_beside_a_canary_keeps_its_monitor_and_one_that_is_undeployed_loses_its_schedules(
    vertex: VertexAI, watch: Watch, baseline: Baseline, push: Callable[..., Pushed], service: Callable[..., Pusher]
) -> None:
    names = watch(version=2).configure(baseline, [version(push(0))])
    names += watch(version=2).configure(baseline, [version(push(1, canary=10))])
    assert len(set(names)) == 2
    assert len(vertex.model_monitors.schedules) == 4
    rollout.promote(service())
    names += watch(version=2).configure(baseline, [version(push(2))])  # the first is undeployed now
    owners = [one.create_model_monitoring_job_request.parent for one in vertex.model_monitors.schedules.values()]
    assert sorted(owners) == sorted([*names[1:], *names[1:]])
    assert set(vertex.model_monitors.monitors) == set(names), "what was found of it stays"


def test_the_version_that_another_run_has_pushed_meanwhile_keeps_its_schedules(
    vertex: VertexAI, watch: Watch, baseline: Baseline, push: Callable[..., Pushed]
) -> None:
    first = version(push(0))
    watched = Watched(copy.deepcopy(only_endpoint(vertex)), only_endpoint(vertex).deployed_models[0], first.version)
    for pushed in (first, version(push(1, canary=10))):
        watch(version=2).configure(baseline, [pushed])
    server = VertexAIService(Settings("gs://b/f", project="my-project", api_endpoint=vertex.url))._server(first.place)
    Schedules(server, watched, Operations(server, 10, "timeout")).delete_of_undeployed()
    assert len(vertex.model_monitors.schedules) == 4


def test_another_encryption_key_is_refused(vertex: VertexAI, monitored: Monitored) -> None:
    monitored()
    key = "projects/p/locations/us-central1/keyRings/r/cryptoKeys/k"
    with pytest.raises(ConfigError, match=f"encrypted with a key of Google, which cannot be changed to {key}: leave"):
        monitored(encryption_spec_key_name=key, display_name="Fares")
    assert only_monitor(vertex).display_name != "Fares"


def test_jobs_of_version_1_are_looked_for_before_anything_is_made(vertex: VertexAI, monitored: Monitored) -> None:
    vertex.fail("GET", "/modelDeploymentMonitoringJobs", Status(403, "not yours"))
    with pytest.raises(ServerError, match="not yours"):
        monitored()
    assert not vertex.model_monitors.monitors


def test_a_table_in_place_of_the_log(vertex: VertexAI, monitored: Monitored) -> None:
    monitored(dataset="bq://my-project.rides.requests", timestamp_field="asked_at")
    assert not only_endpoint(vertex).predict_request_response_logging_config.enabled
    target = spec(schedules(vertex)["drift"]).objective_spec.target_dataset
    assert target.columnized_dataset.bigquery_source.table_uri == "bq://my-project.rides.requests"
    assert (target.columnized_dataset.timestamp_field, target.time_offset.window) == ("asked_at", "24h")


def test_nothing_is_changed_where_nothing_can_be_monitored(
    vertex: VertexAI, watch: Watch, baseline_of: Callable[..., Baseline], pushed: PushedVersion
) -> None:
    text = schema()
    for one in [one for one in text.feature if one.name not in ("comment", "late")]:
        text.feature.remove(one)
    with pytest.raises(ConfigError, match="there is nothing to monitor: Vertex AI measures numbers"):
        watch(version=2).configure(baseline_of(text), [pushed])
    assert not vertex.model_monitors.monitors
    assert not only_endpoint(vertex).predict_request_response_logging_config.enabled


def test_a_job_of_version_1_is_told_of(
    vertex: VertexAI, watch: Watch, baseline: Baseline, pushed: PushedVersion, caplog: pytest.LogCaptureFixture
) -> None:
    (job,) = watch().configure(baseline, [pushed])
    watch(version=2).configure(baseline, [pushed])
    assert f"`gcloud ai model-monitoring-jobs delete {job.rpartition('/')[2]} --project=my-project" in caplog.text
    assert job in vertex.monitoring.jobs
