"""What KServe's logger sends: set with a version, or alone where the model serves already; what others set stays."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.components.pusher import destinations
from penstock.components.pusher.destinations import kserve
from penstock.components.pusher.destinations.kserve.service import KServe
from penstock.core.errors import PenstockError
from tests.components.pusher.destinations.kserve.conftest import (
    LOGGER,
    SETTINGS,
    candidate,
    changing,
    service,
)
from tests.servers import kserve_controller as faults
from tests.servers.inference_services import InferenceServicesAPI
from tests.servers.loopback import Cut, Request, Status

MODES = pytest.mark.parametrize("cluster", ["Knative", "Standard"], indirect=True)
SINK = {"url": "http://sink.team"}

type Pushes = Callable[..., Any]


@pytest.fixture
def push(cluster: InferenceServicesAPI, make_model: Callable[[str], Path], tmp_path: Path) -> Pushes:
    """Returns a function that pushes a model, by default always the same."""
    claim = {"storage": "pvc://team-files/taxi", "claim_mount": str(tmp_path / "claim")}

    def push(model: str = "first", **settings: Any) -> destinations.destination.Pushed:
        place: KServe = kserve.destination("push_destination.kserve", SETTINGS | {"timeout": 20} | claim | settings)
        return destinations.push(place, make_model(model))

    return push


def logger(cluster: InferenceServicesAPI) -> Any:
    return cluster.stored["taxi"]["spec"]["predictor"].get("logger")


def patches(cluster: InferenceServicesAPI) -> int:
    return sum(request.method == "PATCH" for request in cluster.requests)


@MODES
def test_a_model_that_serves_already_gets_the_logger_in_place(cluster: InferenceServicesAPI, push: Pushes) -> None:
    first = push()
    assert logger(cluster) is None
    again = push(logger=SINK)
    assert (again.version, again.percent, again.new) == (first.version, 100, False)
    assert (logger(cluster), patches(cluster)) == (LOGGER, 1)
    push(logger=SINK)
    push()
    assert (logger(cluster), patches(cluster)) == (LOGGER, 1), "as it is, and as it is left"
    push(logger=SINK | {"mode": "request", "metadata_headers": ["X-Team"]})
    assert logger(cluster) == LOGGER | {"mode": "request", "metadataHeaders": ["X-Team"]}


def test_what_a_person_has_set_stays(cluster: InferenceServicesAPI, push: Pushes) -> None:
    push()
    own = {"mode": "response", "url": "http://own", "metadataHeaders": ["X-Own"], "metadataAnnotations": ["own"]}
    cluster.edit("taxi", {"spec": {"predictor": {"logger": own}}})
    push()
    push("second")
    assert logger(cluster) == own
    push("second", logger=SINK)
    annotations = ["own", "penstock.dev/model-version"]
    assert logger(cluster) == own | LOGGER | {"metadataAnnotations": annotations}


@MODES
@pytest.mark.parametrize("before", [None, LOGGER | {"url": "http://before"}])
def test_a_revision_that_does_not_become_ready_is_undone(
    cluster: InferenceServicesAPI, push: Pushes, before: dict[str, Any] | None
) -> None:
    first = push(**({"logger": {"url": before["url"]}} if before else {}))
    cluster.faults.append(faults.CRASH)
    with pytest.raises(PenstockError) as raised:
        push(logger=SINK | {"metadata_headers": ["X-Team"]})
    assert logger(cluster) == before
    assert f"version {first.version} has 100 %" in raised.value.details
    push(logger=SINK)
    assert logger(cluster) == LOGGER


@pytest.mark.parametrize(
    ("failure", "passes"),
    [([Status(409)], True), ([Cut(after=True)], True), ([Cut(after=False)], True), ([Status(403)], False)],
)
def test_a_patch_that_fails_or_whose_answer_is_lost(
    cluster: InferenceServicesAPI, push: Pushes, failure: list[Any], passes: bool
) -> None:
    push()
    cluster.fail("PATCH", "/inferenceservices/{name}", *failure)
    if passes:
        push(logger=SINK)
        assert logger(cluster) == LOGGER
        return
    with pytest.raises(PenstockError):
        push(logger=SINK)
    assert logger(cluster) is None


def test_a_kserve_without_annotations_of_events_leaves_them_out(
    cluster: InferenceServicesAPI, push: Pushes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its resource has no such field: the API server prunes it, and there is nothing to wait for."""
    answer = cluster.answer

    def pruned(request: Request) -> Any:
        sent = request.body.get("spec", {}).get("predictor", {}).get("logger") if request.body else None
        if sent:
            sent.pop("metadataAnnotations", None)
        return answer(request)

    monkeypatch.setattr(cluster, "answer", pruned)
    push()
    for _ in range(2):
        push(logger=SINK)
    assert logger(cluster) == {"mode": "all", "url": "http://sink.team"}
    assert len(cluster.controllers["taxi"].revisions) == 2


def test_the_logger_of_a_version_that_is_there_is_put_back(cluster: InferenceServicesAPI) -> None:
    """What a person has set is not lost where the version is there already, and fails with another logger."""

    def deploy(**settings: Any) -> None:
        changing(lambda changes: service(**settings).deploy(candidate(1), 100, changes))

    deploy()
    own = {"mode": "response", "url": "http://own"}
    cluster.edit("taxi", {"spec": {"predictor": {"logger": own}}})
    cluster.faults += [faults.CRASH, faults.CRASH]
    with pytest.raises(PenstockError):
        deploy(logger=SINK)
    assert logger(cluster) == own


def test_a_logger_is_not_waited_for_where_a_version_was_withdrawn(cluster: InferenceServicesAPI, push: Pushes) -> None:
    """The spec has the version that was taken away as long as the one before could not be put there."""
    first = push()
    push("second", canary=10)
    cluster.rollout = 10**6
    place: KServe = kserve.destination("push_destination.kserve", SETTINGS | {"timeout": 1})
    assert destinations.rollback(place).version == first.version
    again = push(logger=SINK, timeout=1)
    assert (again.version, again.new, logger(cluster)) == (first.version, False, None)
