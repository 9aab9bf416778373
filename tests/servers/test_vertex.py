"""The loopback Vertex AI refuses what the service's own descriptions refuse, asked by Google's generated clients."""

from collections.abc import Iterator
from typing import Any

import pytest
from google.api_core.exceptions import BadRequest, Conflict, FailedPrecondition, GoogleAPICallError, NotFound
from google.cloud import aiplatform_v1 as v1
from google.protobuf import field_mask_pb2

from penstock.core.services.vertex import Connection, Server
from tests.servers.vertex import VertexAI
from tests.servers.vertex_operations import Failed

RESOURCES = v1.DedicatedResources(machine_spec={"machine_type": "n1-standard-2"}, min_replica_count=1)


@pytest.fixture
def vertex() -> Iterator[VertexAI]:
    with VertexAI() as server:
        yield server


@pytest.fixture
def client(vertex: VertexAI) -> Server:
    return Server(Connection("my-project", "us-central1", 10, vertex.url))


@pytest.fixture
def model(client: Server) -> str:
    return upload(client)


@pytest.fixture
def endpoint(client: Server) -> str:
    made = client.endpoints.create_endpoint(parent=client.parent, endpoint=v1.Endpoint(display_name="taxi"))
    return str(made.result().name)


def upload(client: Server, parent_model: str = "", aliases: tuple[str, ...] = (), uri: str = "gs://b/m") -> str:
    model = v1.Model(display_name="taxi", artifact_uri=uri, version_aliases=aliases)
    model.container_spec = v1.ModelContainerSpec(image_uri="gcr.io/p/serving:1")
    request = v1.UploadModelRequest(parent=client.parent, parent_model=parent_model, model=model)
    return str(client.models.upload_model(request=request).result().model)


def deploy(client: Server, endpoint: str, model: str, split: dict[str, int], **deployed: Any) -> str:
    message = v1.DeployedModel(model=model, **{"dedicated_resources": RESOURCES, **deployed})
    made = client.endpoints.deploy_model(endpoint=endpoint, deployed_model=message, traffic_split=split)
    return str(made.result().deployed_model.id)


def test_traffic(vertex: VertexAI, client: Server, model: str, endpoint: str) -> None:
    with pytest.raises(BadRequest, match="sum of traffic_split must be 100"):
        deploy(client, endpoint, model, {"0": 90})
    with pytest.raises(BadRequest, match="DeployedModel 7 in traffic_split does not exist"):
        deploy(client, endpoint, model, {"0": 90, "7": 10})
    first = deploy(client, endpoint, model, {"0": 100})
    second = deploy(client, endpoint, model, {"0": 10, first: 90})
    assert vertex.endpoints.shares("taxi") == [90, 10]
    third = deploy(client, endpoint, model, {}, id="123")
    assert vertex.endpoints.shares("taxi") == [90, 10, 0]
    with pytest.raises(Conflict, match="DeployedModel 123 already exists"):
        deploy(client, endpoint, model, {}, id="123")
    undeploy = client.endpoints.undeploy_model
    with pytest.raises(BadRequest, match="cannot be undeployed: it has traffic"):
        undeploy(endpoint=endpoint, deployed_model_id=second, traffic_split={})
    undeploy(endpoint=endpoint, deployed_model_id=second, traffic_split={first: 100}).result()
    undeploy(endpoint=endpoint, deployed_model_id=third, traffic_split={}).result()
    with pytest.raises(BadRequest, match="has deployed or being-deployed"):
        client.endpoints.delete_endpoint(name=endpoint)
    undeploy(endpoint=endpoint, deployed_model_id=first, traffic_split={}).result()
    assert dict(client.endpoints.get_endpoint(name=endpoint).traffic_split) == {}
    client.endpoints.delete_endpoint(name=endpoint).result()
    with pytest.raises(NotFound):
        client.endpoints.get_endpoint(name=endpoint)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dedicated_resources": None}, "prediction_resources is required"),
        ({"automatic_resources": v1.AutomaticResources()}, "does not support automatic_resources"),
        ({"dedicated_resources": v1.DedicatedResources()}, "min_replica_count must be greater"),
        ({"id": "a"}, "Invalid DeployedModel id: a"),
        (
            {"dedicated_resources": {"machine_spec": {"accelerator_count": 1}, "min_replica_count": 1}},
            "needs its count",
        ),
    ],
)
def test_what_cannot_be_deployed(client: Server, model: str, endpoint: str, change: Any, message: str) -> None:
    if "automatic_resources" in change:
        change = {**change, "dedicated_resources": None}
    with pytest.raises(BadRequest, match=message):
        deploy(client, endpoint, model, {"0": 100}, **change)
    with pytest.raises(NotFound, match="does not exist"):
        deploy(client, endpoint, f"{model}@7", {"0": 100})


def test_an_endpoint_changes_in_what_may_change(client: Server, model: str, endpoint: str) -> None:
    def update(paths: list[str], **fields: Any) -> Any:
        mask = field_mask_pb2.FieldMask(paths=paths)
        return client.endpoints.update_endpoint(endpoint=v1.Endpoint(name=endpoint, **fields), update_mask=mask)

    etag = client.endpoints.get_endpoint(name=endpoint).etag
    assert update(["labels"], labels={"a": "b"}, etag=etag).labels == {"a": "b"}
    with pytest.raises(Conflict, match="out of date"):
        update(["labels"], etag=etag)
    with pytest.raises(BadRequest, match="Invalid update_mask: network"):
        update(["network"])
    with pytest.raises(BadRequest, match="Invalid label value: B"):
        update(["labels"], labels={"a": "B"})
    one = deploy(client, endpoint, model, {"0": 100})
    mask = field_mask_pb2.FieldMask(paths=["dedicated_resources.machine_spec"])
    with pytest.raises(BadRequest, match="Invalid update_mask"):
        client.endpoints.mutate_deployed_model(endpoint=endpoint, deployed_model={"id": one}, update_mask=mask)


def test_versions_and_aliases(client: Server, model: str, endpoint: str) -> None:
    assert upload(client, model, ("champion",)) == model
    assert client.models.get_model(name=model).version_id == "1", "the first one is the default"
    assert client.models.get_model(name=f"{model}@champion").version_id == "2"
    client.models.merge_version_aliases(name=f"{model}@1", version_aliases=["champion"])
    assert client.models.get_model(name=f"{model}@champion").version_id == "1"
    with pytest.raises(BadRequest, match="exactly one default version alias"):
        client.models.merge_version_aliases(name=f"{model}@1", version_aliases=["-default"])
    with pytest.raises(BadRequest, match="Cannot delete the default version"):
        client.models.delete_model_version(name=f"{model}@1")
    assert [one.name for one in client.models.list_model_versions(name=model)] == [f"{model}@1", f"{model}@2"]
    deploy(client, endpoint, f"{model}@2", {"0": 100})
    for delete, name in ((client.models.delete_model_version, f"{model}@2"), (client.models.delete_model, model)):
        with pytest.raises(BadRequest, match="is deployed"):
            delete(name=name)
    with pytest.raises(BadRequest, match="artifact_uri is no Cloud Storage path"):
        upload(client, uri="/models")
    with pytest.raises(BadRequest, match="Invalid version alias: 1st"):
        upload(client, aliases=("1st",))


def test_operations(vertex: VertexAI, client: Server, model: str, endpoint: str) -> None:
    vertex.operations.steps = 3
    started = client.endpoints.create_endpoint(parent=client.parent, endpoint=v1.Endpoint(display_name="slow"))
    name = started.operation.name
    resource = name.partition("/operations/")[0]
    assert not started.operation.done
    assert client.running(resource) == [name]
    assert client.ended(name, "making it") is None
    assert client.ended(name, "making it").done
    assert client.running(resource) == []
    vertex.operations.end("DeployModel", Failed("it went wrong"))
    with pytest.raises((FailedPrecondition, GoogleAPICallError), match="it went wrong"):
        deploy(client, endpoint, model, {"0": 100})


def test_a_prediction_needs_traffic(client: Server, endpoint: str) -> None:
    predict = v1.PredictionServiceClient(
        credentials=client._credentials, client_options={"api_endpoint": client.host}, transport="rest"
    ).predict
    with pytest.raises(BadRequest, match="doesn't have traffic_split"):
        predict(endpoint=endpoint, instances=[1])


def test_a_monitoring_job_that_is_being_made_cannot_be_touched(vertex: VertexAI, client: Server, endpoint: str) -> None:
    one = deploy(client, endpoint, upload(client), {"0": 100})
    job = monitoring_job(endpoint, one)
    vertex.operations.steps = 2
    made = client.job_service.create_model_deployment_monitoring_job(
        parent=client.parent, model_deployment_monitoring_job=job
    )
    with pytest.raises(BadRequest, match="is in state JOB_STATE_PENDING"):
        client.job_service.pause_model_deployment_monitoring_job(name=made.name)
    client.job_service.get_model_deployment_monitoring_job(name=made.name)
    client.job_service.pause_model_deployment_monitoring_job(name=made.name)


def monitoring_job(endpoint: str, deployed: str) -> v1.ModelDeploymentMonitoringJob:
    config = v1.ModelMonitoringObjectiveConfig()
    config.prediction_drift_detection_config.drift_thresholds = {"miles": v1.ThresholdConfig(value=0.1)}
    return v1.ModelDeploymentMonitoringJob(
        display_name="taxi",
        endpoint=endpoint,
        model_deployment_monitoring_objective_configs=[{"deployed_model_id": deployed, "objective_config": config}],
        model_deployment_monitoring_schedule_config={"monitor_interval": {"seconds": 3600}},
        logging_sampling_strategy={"random_sample_config": {"sample_rate": 1.0}},
    )


def test_a_permission_that_no_method_needs_is_a_mistake_of_the_test(vertex: VertexAI, client: Server) -> None:
    vertex.denied = {"aiplatform.endpoint.list"}
    with pytest.raises(BadRequest, match="no method needs the permissions"):
        client.endpoints.list_endpoints(parent=client.parent)


def beta_schedule(monitor: str, endpoint: str, **changes: Any) -> Any:
    """Returns a schedule of one feature's drift between two windows of an endpoint's log, with changes."""
    condition = {"threshold": 0.1}
    drift = {
        "features": ["miles"],
        "categorical_metric_type": "l_infinity",
        "numeric_metric_type": "jensen_shannon_divergence",
        "feature_alert_conditions": {"miles": condition},
    }
    window = {"window": "6h"}
    logs = {"vertex_endpoint_logs": {"endpoints": [endpoint]}, "time_offset": window}
    objective = {
        "tabular_objective": {"feature_drift_spec": drift | changes.pop("drift", {})},
        "baseline_dataset": logs,
        "target_dataset": logs | changes.pop("target", {}),
    }
    job = {"model_monitoring_spec": {"objective_spec": objective}}
    request = {"parent": monitor, "model_monitoring_job": job}
    own = {"display_name": "drift", "cron": "0 * * * *", "max_concurrent_run_count": 1}
    return {**own, "create_model_monitoring_job_request": request, **changes}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cron": "hourly"}, "Invalid cron: hourly"),
        ({"max_concurrent_run_count": 0}, "max_concurrent_run_count is required"),
        ({"display_name": ""}, "display_name is required"),
        ({"drift": {"features": ["fare"]}}, "Features .*fare.* are not in the monitoring schema"),
        ({"drift": {"numeric_metric_type": "l_infinity"}}, "Invalid metric: l_infinity"),
        ({"drift": {"feature_alert_conditions": {"miles": {"threshold": 2}}}}, "threshold of miles is not in"),
        ({"target": {"time_offset": {"window": "90m"}}}, "Invalid time_offset: 90m"),
    ],
)
def test_schedules_of_model_monitors(client: Server, endpoint: str, changes: dict[str, Any], message: str) -> None:
    model = upload(client)
    deploy(client, endpoint, model, {"0": 100})
    wanted = {
        "display_name": "taxi",
        "model_monitoring_target": {"vertex_model": {"model": model, "model_version_id": "1"}},
        "model_monitoring_schema": {"feature_fields": [{"name": "miles", "data_type": "float"}]},
    }
    create = client.model_monitors.create_model_monitor
    request = {"parent": client.parent, "model_monitor": wanted, "model_monitor_id": "taxi"}
    with pytest.raises(BadRequest, match="Invalid model_monitor_id: Taxi"):
        create(request={**request, "model_monitor_id": "Taxi"})
    monitor = create(request=request).result().name
    schedule = client.monitoring_schedules.create_schedule
    with pytest.raises(BadRequest, match="does not enable request response logging"):
        schedule(parent=client.parent, schedule=beta_schedule(monitor, endpoint))
    log = {"enabled": True, "sampling_rate": 1.0, "bigquery_destination": {"output_uri": "bq://p"}}
    client.endpoints.update_endpoint(
        endpoint=v1.Endpoint(name=endpoint, predict_request_response_logging_config=log),
        update_mask=field_mask_pb2.FieldMask(paths=["predict_request_response_logging_config"]),
    )
    with pytest.raises(BadRequest, match=message):
        schedule(parent=client.parent, schedule=beta_schedule(monitor, endpoint, **changes))
    made = schedule(parent=client.parent, schedule=beta_schedule(monitor, endpoint))
    with pytest.raises(BadRequest, match="Invalid update_mask: state"):
        client.monitoring_schedules.update_schedule(
            schedule=made, update_mask=field_mask_pb2.FieldMask(paths=["state"])
        )
    with pytest.raises(BadRequest, match="has schedules"):
        client.model_monitors.delete_model_monitor(name=monitor)
