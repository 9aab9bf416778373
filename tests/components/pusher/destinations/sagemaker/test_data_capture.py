"""What SageMaker keeps of requests: set with a version, or by a configuration of its own where the model serves."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.components.pusher import destinations
from penstock.core.errors import PenstockError, ServerError
from tests.components.pusher.destinations.conftest import MakeDestination
from tests.components.pusher.destinations.sagemaker.test_faults import FAILURES, changes, made, shares
from tests.servers.loopback import Cut, Status
from tests.servers.sagemaker import SageMaker, backend

CAPTURE = {"destination": "s3://captured/taxi", "percent": 20}
KEPT = {
    "EnableCapture": True,
    "InitialSamplingPercentage": 20,
    "DestinationS3Uri": "s3://captured/taxi",
    "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
    "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"], "JsonContentTypes": ["application/json"]},
}

type MakeModel = Callable[[str], Path]


def kept() -> Any:
    """Returns what the endpoint keeps of requests, by the configuration that it serves by."""
    config = backend().endpoints["taxi"].endpoint_config_name
    return backend().endpoint_configs[config].data_capture_config or None


def test_a_model_that_serves_already_gets_it_by_a_new_configuration(
    server: SageMaker, make_destination: MakeDestination, make_model: MakeModel
) -> None:
    model = make_model("first")
    first = destinations.push(make_destination(instance_count=2), model)
    assert kept() is None
    count = len(changes(server))
    again = destinations.push(make_destination(data_capture=CAPTURE), model)
    assert (again.version, again.percent, again.new) == (first.version, 100, False)
    assert kept() == KEPT
    assert changes(server)[count:] == ["CreateEndpointConfig", "UpdateEndpoint", "DeleteEndpointConfig"]
    (config,) = backend().endpoint_configs.values()
    assert [one["InitialInstanceCount"] for one in config.production_variants] == [2]
    for settings in ({"data_capture": CAPTURE}, {}):
        count = len(changes(server))
        destinations.push(make_destination(**settings), model)
        assert (changes(server)[count:], kept()) == ([], KEPT), "as it is, and as it is left"
    destinations.push(
        make_destination(data_capture=CAPTURE | {"percent": 0, "capture": ["input"], "kms_key": "k"}), model
    )
    assert kept() == KEPT | {
        "EnableCapture": False, "InitialSamplingPercentage": 0, "CaptureOptions": [{"CaptureMode": "Input"}],
        "KmsKeyId": "k",
    }  # fmt: skip


def test_what_a_person_has_set_stays_with_the_next_models(
    make_destination: MakeDestination, make_model: MakeModel
) -> None:
    destinations.push(make_destination(data_capture=CAPTURE), make_model("old"))
    taxi = make_destination(canary=10)
    destinations.push(taxi, make_model("new"))
    assert kept() == KEPT, "also while a canary is on trial"
    destinations.promote(taxi)
    assert kept() == KEPT
    destinations.rollback(taxi)
    assert kept() == KEPT


def test_a_canary_is_not_disturbed(server: SageMaker, make_destination: MakeDestination, make_model: MakeModel) -> None:
    destinations.push(make_destination(), make_model("old"))
    destinations.push(make_destination(canary=10), make_model("new"))
    for model in ("new", "old"):
        count = len(changes(server))
        destinations.push(make_destination(canary=10, data_capture=CAPTURE), make_model(model))
        assert (changes(server)[count:], kept()) == ([], None)
    destinations.promote(make_destination(canary=10, data_capture=CAPTURE))
    assert kept() == KEPT


@pytest.mark.parametrize("step", ["CreateEndpointConfig", "UpdateEndpoint"])
@pytest.mark.parametrize("failure", ["refused", "unanswered", "lost, and nothing is known"])
def test_a_failure_changes_nothing(
    server: SageMaker, make_destination: MakeDestination, make_model: MakeModel, step: str, failure: str
) -> None:
    model = make_model("first")
    first = destinations.push(make_destination(), model)
    there = made()
    server.fail("POST", step, *FAILURES[failure])
    server.outage = 3 if failure.startswith("lost") else 0
    with pytest.raises(PenstockError) as raised:
        destinations.push(make_destination(data_capture=CAPTURE), model)
    assert (kept(), made()) == (None, there)
    assert shares(make_destination().endpoint()) == {first.version: 100}
    assert f"version {first.version} has 100 %" in raised.value.details
    destinations.push(make_destination(data_capture=CAPTURE), model)
    assert kept() == KEPT


@pytest.mark.parametrize("step", ["CreateEndpointConfig", "UpdateEndpoint"])
def test_a_lost_answer_is_found_again(
    server: SageMaker, make_destination: MakeDestination, make_model: MakeModel, step: str
) -> None:
    model = make_model("first")
    destinations.push(make_destination(), model)
    count = len(changes(server))
    server.fail("POST", step, Cut(after=True))
    destinations.push(make_destination(data_capture=CAPTURE), model)
    assert kept() == KEPT
    assert changes(server)[count:].count(step) == 1, "made once"


def test_an_endpoint_that_does_not_take_it_serves_as_before(
    server: SageMaker, make_destination: MakeDestination, make_model: MakeModel
) -> None:
    model = make_model("first")
    first = destinations.push(make_destination(), model)
    server.broken = "The role may not write to s3://captured."
    with pytest.raises(ServerError, match="may not write"):
        destinations.push(make_destination(data_capture=CAPTURE), model)
    assert kept() is None
    assert shares(make_destination().endpoint()) == {first.version: 100}


def test_another_change_under_way_is_waited_for(
    server: SageMaker, make_destination: MakeDestination, make_model: MakeModel
) -> None:
    model = make_model("first")
    destinations.push(make_destination(), model)
    server.fail("POST", "UpdateEndpoint", Status(400, "Cannot update in-progress endpoint."))
    destinations.push(make_destination(data_capture=CAPTURE), model)
    assert kept() == KEPT
