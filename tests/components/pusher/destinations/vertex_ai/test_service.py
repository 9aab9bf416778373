"""Pushes to Vertex AI, through Google's generated client: registered, deployed, given their share, and taken back."""

from collections.abc import Callable
from typing import Any

import pytest

from penstock.components.pusher.destinations import rollout
from penstock.components.pusher.destinations.destination import Pushed
from penstock.components.pusher.destinations.vertex_ai import names
from penstock.components.pusher.destinations.vertex_ai.service import VertexAI as Service
from penstock.core.artifacts import SavedModel
from penstock.core.errors import ModelError, ServerError, UserError
from tests.servers.vertex import VertexAI

type Push = Callable[..., Pushed]
type Read = Callable[..., Service]


def shares(vertex: VertexAI) -> list[int]:
    return vertex.endpoints.shares("taxi")


def versions(vertex: VertexAI) -> list[Any]:
    (model,) = vertex.models.versions.values()
    return list(model.values())


def test_a_first_push(vertex: VertexAI, push: Push, service: Read, models: list[Any]) -> None:
    pushed = push(
        0,
        model="taxi fares",
        aliases=["champion"],
        labels={"team": "rides"},
        machine_type="n2-standard-4",
        min_replica_count=2,
        max_replica_count=5,
        service_account="serving@my-project.iam.gserviceaccount.com",
    )
    assert pushed == Pushed(pushed.place, pushed.version)
    assert pushed.place == "projects/123456789012/locations/us-central1/endpoints/taxi"
    (version,) = versions(vertex)
    assert version.artifact_uri.endswith(f"/serving/{pushed.version}")
    assert version.container_spec.image_uri.endswith("/penstock-serving:1")
    assert (version.container_spec.predict_route, version.container_spec.health_route) == (
        "/predict",
        "/v2/health/ready",
    )
    assert version.container_spec.ports[0].container_port == 8080
    assert version.display_name == "taxi fares"
    assert list(version.version_aliases) == ["default", "champion"]
    digest = SavedModel(models[0]).digest()
    assert names.digest_of(version.labels) == digest
    assert version.labels["team"] == "rides"
    assert version.labels["penstock-version"] == pushed.version
    (endpoint,) = vertex.endpoints.endpoints.values()
    (deployed,) = endpoint.deployed_models
    resources = deployed.dedicated_resources
    assert resources.machine_spec.machine_type == "n2-standard-4"
    assert (resources.min_replica_count, resources.max_replica_count) == (2, 5)
    assert deployed.service_account == "serving@my-project.iam.gserviceaccount.com"
    assert dict(endpoint.traffic_split) == {deployed.id: 100}
    asked = service(**{"model": "taxi fares", "machine_type": "n2-standard-4", "min_replica_count": 2})
    seen = asked.endpoint()
    assert seen is not None
    assert seen.url == f"{vertex.url}/v1/{endpoint.name}:predict"
    assert [(one.version, one.percent, one.canary, one.uri) for one in seen.deployments] == [
        (pushed.version, 100, False, version.artifact_uri)
    ]
    assert seen.previous is None


def test_the_same_model_is_not_pushed_again(vertex: VertexAI, push: Push) -> None:
    first = push(0)
    asked = len([one for one in vertex.requests if one.method != "GET"])
    assert push(0) == Pushed(first.place, first.version, new=False)
    assert len([one for one in vertex.requests if one.method != "GET"]) == asked


def test_a_second_push_serves_everything_and_the_first_stays_for_a_rollback(
    vertex: VertexAI, push: Push, service: Read
) -> None:
    first, second = push(0), push(1)
    assert shares(vertex) == [0, 100]
    seen = service().endpoint()
    assert seen is not None
    assert [(one.version, one.percent) for one in seen.deployments] == [(second.version, 100), (first.version, 0)]
    assert seen.previous == seen.deployments[1]
    third = push(2)
    assert shares(vertex) == [0, 100], "what was pushed first is undeployed: only the previous version stays"
    assert [version.labels["penstock-version"] for version in versions(vertex)] == [
        first.version,
        second.version,
        third.version,
    ]
    assert [list(version.version_aliases) for version in versions(vertex)] == [[], [], ["default"]]
    deploys = len(vertex.sent("POST", "/endpoints/{id}:deployModel"))
    back = rollout.rollback(service())
    assert back.version == second.version
    assert shares(vertex) == [100, 0]
    assert list(versions(vertex)[1].version_aliases) == ["default"]
    assert len(vertex.sent("POST", "/endpoints/{id}:deployModel")) == deploys, "it was deployed still"
    forth = rollout.rollback(service())
    assert forth.version == third.version


def test_without_keep_previous_a_rollback_deploys_it_again(vertex: VertexAI, push: Push, service: Read) -> None:
    first = push(0, keep_previous=False)
    push(1, keep_previous=False)
    assert shares(vertex) == [100]
    back = rollout.rollback(service(keep_previous=False))
    assert back.version == first.version
    assert shares(vertex) == [100]
    assert len(versions(vertex)) == 2, "the version is in the registry still"


def test_a_canary_is_promoted(vertex: VertexAI, push: Push, service: Read) -> None:
    first = push(0)
    second = push(1, canary=10)
    assert (second.percent, shares(vertex)) == (10, [90, 10])
    assert "penstock promote" in second.notes[0]
    assert list(versions(vertex)[0].version_aliases) == ["default"]
    with pytest.raises(UserError, match="is on trial there with 10 %"):
        push(2)
    assert push(1, canary=10) == Pushed(second.place, second.version, 10, new=False, notes=second.notes)
    promoted = rollout.promote(service())
    assert (promoted.version, shares(vertex)) == (second.version, [0, 100])
    assert list(versions(vertex)[1].version_aliases) == ["default"]
    assert rollout.rollback(service()).version == first.version


def test_a_canary_is_withdrawn(vertex: VertexAI, push: Push, service: Read) -> None:
    first = push(0)
    push(1, canary=10)
    assert rollout.rollback(service()).version == first.version
    assert shares(vertex) == [100]
    assert list(versions(vertex)[0].version_aliases) == ["default"]
    with pytest.raises(UserError, match="no version to roll back to"):
        rollout.rollback(service())


def test_a_healthy_canary_is_promoted_by_itself(vertex: VertexAI, push: Push) -> None:
    push(0)
    assert push(1, canary=10, promote_after=0).percent == 100
    assert shares(vertex) == [0, 100]


def test_a_canary_without_replicas_is_taken_away(vertex: VertexAI, push: Push, monkeypatch: pytest.MonkeyPatch) -> None:
    push(0)
    monkeypatch.setattr(vertex.endpoints, "available", 0)
    with pytest.raises(ModelError, match="was taken away again: none of its replicas is available"):
        push(1, canary=10, promote_after=60)
    assert shares(vertex) == [100]


def test_another_image_or_machine_is_deployed_anew(vertex: VertexAI, push: Push, service: Read) -> None:
    push(0)
    image = "europe-west4-docker.pkg.dev/my-project/penstock/penstock-serving:2"
    assert push(0, image=image).new
    assert [one.container_spec.image_uri[-1] for one in versions(vertex)] == ["1", "2"]
    assert shares(vertex) == [0, 100]
    push(0, image=image, machine_type="n2-standard-8")
    assert len(versions(vertex)) == 2
    (endpoint,) = vertex.endpoints.endpoints.values()
    machines = [one.dedicated_resources.machine_spec.machine_type for one in endpoint.deployed_models]
    assert machines == ["n1-standard-2", "n2-standard-8"]
    assert not push(0, image=image, machine_type="n2-standard-8").new


def test_a_version_is_registered_with_explanations(vertex: VertexAI, push: Push) -> None:
    explanation = {"inputs": {"fare": 0.5, "company": "", "zone": None}, "output": "probabilities", "path_count": 10}
    push(0)
    push(0, explanation=explanation)
    push(0, explanation=explanation)
    plain, explained = versions(vertex)
    assert not plain.explanation_spec, "what explains is another version, and is not pushed again"
    spec = explained.explanation_spec
    assert spec.parameters.sampled_shapley_attribution.path_count == 10
    assert {name: list(one.input_baselines) for name, one in spec.metadata.inputs.items()} == {
        "fare": [0.5],
        "company": [""],
        "zone": [],
    }
    assert list(spec.metadata.outputs) == ["probabilities"]


def test_a_rollback_brings_back_the_old_image_and_machines(vertex: VertexAI, push: Push, service: Read) -> None:
    push(0)
    image = "europe-west4-docker.pkg.dev/my-project/penstock/penstock-serving:2"
    own = {"image": image, "machine_type": "n2-standard-8"}
    push(0, **own)
    for asked in (own, {}, own):
        rollout.rollback(service(**asked))
        (endpoint,) = vertex.endpoints.endpoints.values()
        assert [one.model_version_id for one in endpoint.deployed_models] == ["1", "2"]
    assert shares(vertex) == [100, 0]


def test_the_number_of_replicas_is_changed_in_place(vertex: VertexAI, push: Push) -> None:
    push(0)
    push(0, max_replica_count=4)
    (endpoint,) = vertex.endpoints.endpoints.values()
    (deployed,) = endpoint.deployed_models
    assert deployed.dedicated_resources.max_replica_count == 4
    assert not push(0, max_replica_count=4).new


def test_what_a_person_has_deployed_by_hand_stays(vertex: VertexAI, push: Push, service: Read) -> None:
    """At an endpoint with a display name alone, whose model has no labels of ours."""
    deploy_by_hand(vertex)
    (other,) = vertex.models.versions
    seen = service(endpoint="by hand").endpoint()
    assert seen is not None
    assert [(one.version, one.percent, one.digest) for one in seen.deployments] == [("other@1", 100, "")]
    push(0, endpoint="by hand", canary=20)
    assert vertex.endpoints.shares("by hand") == [80, 20]
    rollout.promote(service(endpoint="by hand"))
    assert vertex.endpoints.shares("by hand") == [0, 100]
    rollout.rollback(service(endpoint="by hand", aliases=["champion"]))
    assert vertex.endpoints.shares("by hand") == [100, 0]
    assert [list(one.version_aliases) for one in vertex.models.versions[other].values()] == [["default"]]
    rollout.rollback(service(endpoint="by hand"))
    push(1, endpoint="by hand")
    push(2, endpoint="by hand")
    assert vertex.endpoints.shares("by hand") == [0, 0, 100]


def test_two_endpoints_of_one_name(vertex: VertexAI, push: Push) -> None:
    deploy_by_hand(vertex)
    deploy_by_hand(vertex)
    with pytest.raises(ServerError, match=r"has 2 endpoints called by hand in us-central1 \(\d+, \d+\)"):
        push(0, endpoint="by hand")
    one = sorted(vertex.endpoints.endpoints)[0]
    assert push(0, endpoint=one.rpartition("/")[2], model="m").place == one
    assert push(1, endpoint=one, model="m").place == one


def test_an_endpoint_in_a_network_has_one_model(vertex: VertexAI, push: Push) -> None:
    network = "projects/123456789012/global/networks/vpc"
    push(0, network=network)
    with pytest.raises(UserError, match="has one model at most, and it has one: name another"):
        push(1, network=network)
    assert shares(vertex) == [100]
    with pytest.raises(UserError, match=r"push\.vertex_ai\.network: the endpoint taxi was made with .*/vpc, which"):
        push(1)
    assert shares(vertex) == [100]


def test_a_dedicated_endpoint(vertex: VertexAI, push: Push, service: Read) -> None:
    push(0, dedicated_endpoint=True, encryption_spec_key_name="projects/p/locations/l/keyRings/r/cryptoKeys/k")
    (endpoint,) = vertex.endpoints.endpoints.values()
    assert endpoint.encryption_spec.kms_key_name == versions(vertex)[0].encryption_spec.kms_key_name
    seen = service(dedicated_endpoint=True).endpoint()
    assert seen is not None
    assert seen.url == f"https://taxi.us-central1-1.prediction.vertexai.goog/v1/{endpoint.name}:predict"


@pytest.mark.parametrize("gpu", ["L4", "NVIDIA_L4"])
def test_a_gpu(vertex: VertexAI, push: Push, gpu: str) -> None:
    own = {"image": "gcr.io/my-project/serving-gpu:1", "machine_type": "g2-standard-8"}
    push(0, accelerator={"type": gpu, "count": 1}, **own)
    (endpoint,) = vertex.endpoints.endpoints.values()
    spec = endpoint.deployed_models[0].dedicated_resources.machine_spec
    assert (spec.machine_type, spec.accelerator_type.name, spec.accelerator_count) == ("g2-standard-8", "NVIDIA_L4", 1)


def test_a_gpu_is_not_dropped_silently(vertex: VertexAI, push: Push) -> None:
    push(0)
    own = {"image": "gcr.io/my-project/serving-gpu:1", "machine_type": "g2-standard-8", "accelerator": {"type": "L4"}}
    vertex.endpoints.drop_accelerators = True
    with pytest.raises(ServerError, match=r"with no GPU, not with the 1 NVIDIA_L4 of push\.vertex_ai\.accelerator"):
        push(1, **own)
    assert shares(vertex) == [100]
    assert len(versions(vertex)) == 1
    vertex.models.resources = ["AUTOMATIC_RESOURCES"]
    with pytest.raises(ServerError, match="deploys the model taxi on AUTOMATIC_RESOURCES only"):
        push(1, **own)
    assert shares(vertex) == [100]
    assert len(versions(vertex)) == 1


def deploy_by_hand(vertex: VertexAI) -> None:
    """Makes a model and an endpoint, as a person does in the console."""
    types, server = _client(vertex)
    model = types.Model(
        display_name="other", artifact_uri="gs://b/other", container_spec={"image_uri": "gcr.io/my-project/tf:1"}
    )
    uploaded = server.models.upload_model(parent=server.parent, model=model).result().model
    endpoint = types.Endpoint(display_name="by hand")
    made = server.endpoints.create_endpoint(parent=server.parent, endpoint=endpoint).result()
    resources = {"machine_spec": {"machine_type": "n1-standard-2"}, "min_replica_count": 1}
    deployed = types.DeployedModel(model=uploaded, dedicated_resources=resources)
    server.endpoints.deploy_model(endpoint=made.name, deployed_model=deployed, traffic_split={"0": 100}).result()


def _client(vertex: VertexAI) -> tuple[Any, Any]:
    from penstock.core.services.vertex import Connection, Server

    server = Server(Connection("my-project", "us-central1", 10, vertex.url))
    return server.types, server
