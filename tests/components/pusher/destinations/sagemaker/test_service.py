"""Pushes to SageMaker through boto3: what is made, and what serves what share. Faults: test_faults.py."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest

from penstock.components.pusher import destinations
from penstock.components.pusher.destinations.destination import Endpoint, Pushed
from penstock.components.pusher.destinations.sagemaker import destination
from penstock.core.artifacts import SavedModel
from penstock.core.errors import ConfigError, ModelError, UserError
from tests.components.pusher.destinations.conftest import IMAGE, ROLE, MakeDestination
from tests.servers.object_stores import BUCKET, ObjectStore
from tests.servers.sagemaker import REGION, SageMaker, backend

type MakeModel = Callable[[str], Path]


def shares(endpoint: Endpoint | None) -> dict[str, int]:
    """Returns the share of each version by what its model is called in its digest's place: unique and short."""
    assert endpoint is not None
    return {one.version: one.percent for one in endpoint.deployments}


def made() -> dict[str, list[str]]:
    """Returns the names of all that there is at SageMaker."""
    kinds = {"models": backend()._models, "configs": backend().endpoint_configs, "endpoints": backend().endpoints}
    return {kind: sorted(things) for kind, things in kinds.items()}


def changes(server: SageMaker) -> list[str]:
    return [one.route for one in server.requests if not one.route.startswith(("Describe", "List"))]


def test_the_first_push_makes_the_endpoint(
    server: SageMaker, make_destination: MakeDestination, make_model: MakeModel, s3_store: ObjectStore
) -> None:
    model = make_model("first")
    capture = {"destination": "s3://captured/taxi", "percent": 20}
    taxi = make_destination(canary=10, data_capture=capture, tags={"team": "rides"}, instance_count=2)
    assert taxi.endpoint() is None
    pushed = destinations.push(taxi, model)
    endpoint = taxi.endpoint()
    assert endpoint is not None
    assert pushed == Pushed(f"arn:aws:sagemaker:{REGION}:123456789012:endpoint/taxi", pushed.version)
    assert endpoint.name == pushed.place
    (deployed,) = endpoint.deployments
    assert (deployed.percent, deployed.canary, deployed.healthy, deployed.reason) == (100, False, True, "")
    assert (deployed.digest, deployed.version) == (SavedModel(model).digest(), pushed.version)
    assert deployed.uri == s3_store.uri("serving", pushed.version)

    name = f"taxi-{pushed.version}-{deployed.digest[:8]}"
    (request,) = server.sent("POST", "CreateModel")
    tags = {one["Key"]: one["Value"] for one in request.pop("Tags")}
    source = {"S3Uri": f"{deployed.uri}/", "S3DataType": "S3Prefix", "CompressionType": "None"}
    assert request == {
        "ModelName": name,
        "ExecutionRoleArn": ROLE,
        "PrimaryContainer": {"Image": IMAGE, "ModelDataSource": {"S3DataSource": source}},
    }
    assert tags.pop("penstock:push")
    assert tags == {"team": "rides", "penstock:endpoint": "taxi", "penstock:digest": deployed.digest}
    (config,) = server.sent("POST", "CreateEndpointConfig")
    assert config["EndpointConfigName"].startswith(f"{name}-")
    assert config["ProductionVariants"] == [
        {
            "VariantName": "current",
            "ModelName": name,
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": 2,
            "InitialVariantWeight": 100.0,
        }
    ]
    assert config["DataCaptureConfig"] == {
        "EnableCapture": True,
        "InitialSamplingPercentage": 20,
        "DestinationS3Uri": "s3://captured/taxi",
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"], "JsonContentTypes": ["application/json"]},
    }
    assert changes(server) == ["CreateModel", "CreateEndpointConfig", "CreateEndpoint"]


def test_a_second_run_finds_what_the_first_made(
    server: SageMaker, make_destination: MakeDestination, make_model: MakeModel
) -> None:
    first = destinations.push(make_destination(), make_model("first"))
    there, count = made(), len(changes(server))
    again = destinations.push(make_destination(canary=10), make_model("first"))
    assert again == Pushed(first.place, first.version, new=False)
    assert (made(), len(changes(server))) == (there, count)


def test_a_version_takes_over_at_once_and_a_rollback_brings_the_old_one_back(
    make_destination: MakeDestination, make_model: MakeModel
) -> None:
    taxi = make_destination()
    old, new = (destinations.push(taxi, make_model(name)) for name in ("old", "new"))
    assert shares(taxi.endpoint()) == {new.version: 100, old.version: 0}
    assert (len(made()["models"]), len(made()["configs"])) == (2, 1), "the replaced configuration is cleaned up"
    assert destinations.rollback(taxi) == Pushed(old.place, old.version)
    assert shares(taxi.endpoint()) == {old.version: 100, new.version: 0}
    assert destinations.rollback(taxi).version == new.version, "as `kubectl rollout undo` does"
    newest = destinations.push(taxi, make_model("newest"))
    assert shares(taxi.endpoint()) == {newest.version: 100, new.version: 0}
    assert (len(made()["models"]), len(made()["configs"])) == (2, 1), "and so is the model before the previous one"


def test_the_previous_model_pushed_again_is_not_stored_again(
    make_destination: MakeDestination, make_model: MakeModel, tmp_path: Path
) -> None:
    taxi = make_destination()
    old = destinations.push(taxi, make_model("old"))
    destinations.push(taxi, make_model("new"))
    again = destinations.push(taxi, make_model("old"))
    assert again.version == old.version
    new = destinations.push(taxi, make_model("new"))
    shutil.rmtree(tmp_path / "s3" / BUCKET / "serving" / old.version)
    again = destinations.push(taxi, make_model("old"))
    assert int(again.version) > int(old.version), "unless somebody has deleted it"
    assert shares(taxi.endpoint()) == {again.version: 100, new.version: 0}


def test_a_canary_is_promoted(server: SageMaker, make_destination: MakeDestination, make_model: MakeModel) -> None:
    taxi = make_destination(canary=10)
    old, new = (destinations.push(taxi, make_model(name)) for name in ("old", "new"))
    assert (new.percent, new.new) == (10, True)
    assert new.notes == (
        f"version {new.version} has 10 % at SageMaker endpoint taxi: `penstock promote` gives it all requests, "
        "`penstock rollback` takes it away",
    )
    endpoint = taxi.endpoint()
    assert shares(endpoint) == {old.version: 90, new.version: 10}
    assert endpoint is not None
    assert endpoint.canary is not None
    assert endpoint.canary.version == new.version
    again = destinations.push(taxi, make_model("new"))
    assert (again.version, again.percent, again.new) == (new.version, 10, False)
    with pytest.raises(UserError, match=f"version {new.version} is on trial there with 10 %: `penstock promote` or"):
        destinations.push(taxi, make_model("third"))
    count = len(changes(server))
    assert destinations.promote(taxi) == Pushed(old.place, new.version)
    assert changes(server)[count:] == [
        "UpdateEndpointWeightsAndCapacities",
        "CreateEndpointConfig",
        "UpdateEndpoint",
        "DeleteEndpointConfig",
        "DeleteEndpointConfig",
    ]
    assert shares(taxi.endpoint()) == {new.version: 100, old.version: 0}
    with pytest.raises(UserError, match=f"there is no canary: version {new.version} has 100 %"):
        destinations.promote(taxi)


def test_a_canary_is_taken_away(make_destination: MakeDestination, make_model: MakeModel) -> None:
    taxi = make_destination(canary=10)
    oldest, old = (destinations.push(taxi, make_model("oldest")), destinations.push(taxi, make_model("old")))
    destinations.promote(taxi)
    destinations.push(taxi, make_model("new"))
    assert destinations.rollback(taxi) == Pushed(old.place, old.version)
    assert shares(taxi.endpoint()) == {old.version: 100, oldest.version: 0}
    assert (len(made()["models"]), len(made()["configs"])) == (2, 1)
    assert destinations.rollback(taxi).version == oldest.version


def test_a_healthy_canary_is_promoted_by_itself(make_destination: MakeDestination, make_model: MakeModel) -> None:
    taxi = make_destination(canary=10, promote_after=0)
    old, new = (destinations.push(taxi, make_model(name)) for name in ("old", "new"))
    assert new == Pushed(old.place, new.version)
    assert shares(taxi.endpoint()) == {new.version: 100, old.version: 0}


@pytest.mark.parametrize(("failures", "passes"), [(20, False), (1, True)])
def test_a_canary_whose_requests_fail_is_taken_away(
    make_destination: MakeDestination, make_model: MakeModel, failures: int, passes: bool, s3_store: ObjectStore
) -> None:
    endpoint = f"taxi-{failures}"  # nobody takes metrics away again
    old = destinations.push(make_destination(endpoint=endpoint), make_model("old"))
    destinations.push(make_destination(endpoint=endpoint, canary=10), make_model("new"))
    put_metrics(s3_store, endpoint, Invocations=100, Invocation5XXErrors=failures)
    taxi = make_destination(endpoint=endpoint, canary=10, promote_after=0, max_error_rate=0.05)
    if passes:
        assert destinations.push(taxi, make_model("new")).percent == 100
        return
    with pytest.raises(ModelError, match=r"was taken away again: 20\.00% of its requests failed, expected at most 5"):
        destinations.push(taxi, make_model("new"))
    assert shares(taxi.endpoint()) == {old.version: 100}
    assert (len(made()["models"]), len(made()["configs"])) == (1, 1)


def put_metrics(store: ObjectStore, endpoint: str, **metrics: int) -> None:
    """Counts a canary's requests, as SageMaker does."""
    moto = store.environment["AWS_ENDPOINT_URL_S3"]
    client = boto3.Session("testing", "testing", region_name=REGION).client("cloudwatch", endpoint_url=moto)
    names = [{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": "canary"}]
    data = [{"MetricName": name, "Value": value, "Dimensions": names} for name, value in metrics.items()]
    client.put_metric_data(Namespace="AWS/SageMaker", MetricData=data)


def test_an_endpoint_that_was_made_by_hand(
    server: SageMaker, make_destination: MakeDestination, make_model: MakeModel
) -> None:
    """Its model and its configuration are left alone, its variant keeps its name, and a rollback brings it back."""
    client = boto3.Session("testing", "testing", region_name=REGION).client("sagemaker", endpoint_url=server.url)
    client.create_model(ModelName="by-hand", ExecutionRoleArn=ROLE, PrimaryContainer={"Image": IMAGE})
    variant = {"VariantName": "AllTraffic", "ModelName": "by-hand", "InstanceType": "ml.c5.xlarge"}
    client.create_endpoint_config(
        EndpointConfigName="by-hand", ProductionVariants=[{**variant, "InitialInstanceCount": 3}]
    )
    client.create_endpoint(EndpointName="taxi", EndpointConfigName="by-hand")
    server.finish("taxi")
    taxi = make_destination(canary=20)
    new = destinations.push(taxi, make_model("new"))
    assert shares(taxi.endpoint()) == {"by-hand": 80, new.version: 20}
    config = server.sent("POST", "CreateEndpointConfig")[-1]
    assert [one["InitialInstanceCount"] for one in config["ProductionVariants"]] == [3, 3]
    destinations.promote(taxi)
    assert [one["VariantName"] for one in backend().endpoints["taxi"].production_variants] == ["AllTraffic"]
    assert {"by-hand"} < set(made()["configs"])
    assert destinations.rollback(taxi).version == "by-hand"
    assert shares(taxi.endpoint()) == {"by-hand": 100, new.version: 0}


def test_alarms_watch_an_update(server: SageMaker, make_destination: MakeDestination, make_model: MakeModel) -> None:
    taxi = make_destination(alarms=["taxi-5xx"])
    for name in ("old", "new"):
        destinations.push(taxi, make_model(name))
    (request,) = server.sent("POST", "UpdateEndpoint")
    rollback = request["DeploymentConfig"]["AutoRollbackConfiguration"]
    assert rollback == {"Alarms": [{"AlarmName": "taxi-5xx"}]}


def test_names_of_endpoints_of_any_length(make_destination: MakeDestination, make_model: MakeModel) -> None:
    taxi = make_destination(endpoint="t" * 63, canary=50)
    old, new = (destinations.push(taxi, make_model(name)) for name in ("old", "new"))
    destinations.promote(taxi)
    assert shares(taxi.endpoint()) == {new.version: 100, old.version: 0}
    assert all(len(name) <= 63 for names in made().values() for name in names)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"endpoint": "a b"}, r"\.endpoint: expected letters, digits and dashes, 63 at most, received 'a b'"),
        ({"endpoint": None}, r"\.endpoint: expected the endpoint's name, received None"),
        ({"storage": "/models"}, r"\.storage: expected s3://BUCKET/FOLDER, which SageMaker reads, received /models"),
        ({"image": None}, r"\.image: expected the model server's image in a registry of Amazon's"),
        ({"role": 7}, r"\.role: expected the ARN of a role, received 7"),
        ({"canary": 100}, r"\.canary: expected a percentage from 1 to 99, received 100"),
        ({"canary": "ten"}, r"\.canary: expected a whole number of percent, 1 or more, received 'ten'"),
        ({"promote_after": 60}, r"\.promote_after: expected a canary"),
        ({"max_error_rate": 2}, r"\.max_error_rate: expected a share from 0 to 1, received 2"),
        ({"timeout": 0}, r"\.timeout: expected a whole number of seconds, 1 or more, received 0"),
        ({"instance_count": 0}, r"\.instance_count: expected a whole number of instances, 1 or more"),
        ({"data_capture": {"percent": 5}}, r"data_capture\.destination: expected s3://BUCKET/FOLDER, received None"),
        ({"data_capture": {"destination": "s3://c", "percent": 101}}, r"percent: expected a percentage from 0 to 100"),
        ({"data_capture": {"destination": "s3://c", "capture": ["all"]}}, r"capture: expected some of input, output"),
        ({"tags": {"team": 1}}, r"tags\.team: expected a text, received 1"),
        ({"alarms": "taxi"}, r"alarms: expected a list of names, received 'taxi'"),
        ({"instance": "ml.m5.large"}, "unknown key 'instance'; did you mean 'instance_type'"),
    ],
)
def test_wrong_settings(settings: dict[str, Any], sentence: str) -> None:
    base = {"endpoint": "taxi", "storage": "s3://bucket/serving", "role": ROLE, "image": IMAGE}
    with pytest.raises(ConfigError, match=rf"push_destination\.sagemaker.*{sentence}"):
        destination("push_destination.sagemaker", {**base, **settings})
