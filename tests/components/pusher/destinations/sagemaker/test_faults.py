"""Pushes to SageMaker that fail, are killed, or meet another: half a push is none."""

import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from penstock.components.pusher import destinations
from penstock.components.pusher.destinations.changes import Changes
from penstock.components.pusher.destinations.destination import Pushed
from penstock.components.pusher.destinations.sagemaker.service import SageMaker as SageMakerDestination
from penstock.core.errors import PenstockError, ServerError
from penstock.core.services import aws as connection
from tests.components.pusher.destinations.conftest import MakeDestination
from tests.components.pusher.destinations.sagemaker.test_service import MakeModel, changes, made, shares
from tests.servers.loopback import CtrlC, Cut, Hang, Status
from tests.servers.object_stores import BUCKET
from tests.servers.sagemaker import REGION, SageMaker, backend

CHANGES = ("CreateModel", "CreateEndpointConfig", "UpdateEndpoint", "UpdateEndpointWeightsAndCapacities")


FAILURES = {
    "refused": [Status(400, "You have reached a limit.")],
    "unanswered": [Cut(after=False)] * 3,
    "late": [Hang(1.5)],
    "lost, and nothing is known": [Cut(after=True)],
}
STEPS = [*((name, 0) for name in CHANGES), ("CreateEndpointConfig", 1), ("UpdateEndpoint", 1)]


@pytest.mark.parametrize(
    ("step", "earlier", "failure"),
    [
        *((*step, failure) for step in STEPS for failure in ("refused", "lost, and nothing is known")),
        *(("UpdateEndpoint", earlier, "late") for earlier in (0, 1)),
        ("CreateModel", 0, "unanswered"),
        ("UpdateEndpoint", 0, "unanswered"),
    ],
)
def test_a_push_that_fails_half_way_leaves_the_old_model_serving_everything(
    server: SageMaker,
    make_destination: MakeDestination,
    make_model: MakeModel,
    tmp_path: Path,
    step: str,
    earlier: int,
    failure: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`earlier` is how many requests of the step are answered before: a push with a promotion makes some twice."""
    old = destinations.push(make_destination(), make_model("old"))
    there = made()
    server.fail("POST", step, *[None] * earlier, *FAILURES[failure])
    monkeypatch.setattr(connection, "TIMEOUT", 1.0 if failure == "late" else 20.0)
    server.outage = 3 if failure.startswith("lost") else 0
    taxi = make_destination(canary=10, promote_after=0)
    with pytest.raises(PenstockError) as raised:
        destinations.push(taxi, make_model("new"))
    assert shares(taxi.endpoint()) == {old.version: 100}
    assert made() == there
    serving, *left = raised.value.details.splitlines()[-2:]
    assert serving == f"SageMaker endpoint taxi: version {old.version} has 100 %"
    assert len(left) == 1
    assert "which serves nothing: a retry uses it" in left[0]
    assert f"rm -r {tmp_path}/s3/{BUCKET}/serving/" in left[0]
    if failure == "refused":
        new = destinations.push(taxi, make_model("new"))
        assert shares(taxi.endpoint()) == {new.version: 100, old.version: 0}, "a retry goes on"


@pytest.mark.parametrize("failure", ["refused", "lost, and nothing is known"])
@pytest.mark.parametrize("step", ["CreateModel", "CreateEndpointConfig", "CreateEndpoint"])
def test_a_first_push_that_fails_leaves_nothing(
    server: SageMaker, make_destination: MakeDestination, make_model: MakeModel, step: str, failure: str
) -> None:
    server.fail("POST", step, *FAILURES[failure])
    server.outage = 3 if failure.startswith("lost") else 0
    with pytest.raises(PenstockError) as raised:
        destinations.push(make_destination(), make_model("first"))
    assert made() == {"models": [], "configs": [], "endpoints": []}
    assert "SageMaker endpoint taxi: nothing serves there" in raised.value.details
    assert destinations.push(make_destination(), make_model("first")).percent == 100


@pytest.mark.parametrize(("step", "earlier"), STEPS)
def test_a_lost_answer_is_found_again(
    server: SageMaker, make_destination: MakeDestination, make_model: MakeModel, step: str, earlier: int
) -> None:
    old = destinations.push(make_destination(), make_model("old"))
    count = len(changes(server))
    server.fail("POST", step, *[None] * earlier, Cut(after=True))
    new = destinations.push(make_destination(canary=10, promote_after=0), make_model("new"))
    assert shares(make_destination().endpoint()) == {new.version: 100, old.version: 0}
    assert changes(server)[count:].count(step) == 1 + [name for name, _ in STEPS[4:]].count(step), "made once"


@pytest.mark.parametrize(("step", "earlier"), STEPS)
def test_a_retry_goes_on_where_a_killed_push_ended(
    server: SageMaker,
    make_destination: MakeDestination,
    make_model: MakeModel,
    step: str,
    earlier: int,
) -> None:
    """What is killed undoes nothing. The retry finds it: nothing is there twice, and nothing is left."""
    old = destinations.push(make_destination(), make_model("old"))
    server.fail("POST", step, *[None] * earlier, Status(400, "the end"))
    killed = pytest.MonkeyPatch()
    killed.setattr(Changes, "undo", lambda self: [])
    with pytest.raises(ServerError, match="the end"):
        destinations.push(make_destination(canary=10, promote_after=0), make_model("new"))
    killed.undo()
    new = destinations.push(make_destination(canary=10, promote_after=0), make_model("new"))
    assert shares(make_destination().endpoint()) == {new.version: 100, old.version: 0}
    assert (len(made()["models"]), len(made()["configs"])) == (2, 1)


@pytest.mark.parametrize("step", CHANGES[1:])
@pytest.mark.parametrize("change", [destinations.promote, destinations.rollback])
def test_a_promotion_or_a_rollback_that_fails_can_be_made_again(
    server: SageMaker,
    make_destination: MakeDestination,
    make_model: MakeModel,
    change: Callable[[SageMakerDestination], Pushed],
    step: str,
) -> None:
    """The canary has no more requests than before, and what the second try makes is all that there is."""
    taxi = make_destination(canary=10)
    old, new = (destinations.push(taxi, make_model(name)) for name in ("old", "new"))
    server.fail("POST", step, Status(400, "not now"))
    with pytest.raises(ServerError, match="not now"):
        change(taxi)
    assert shares(taxi.endpoint())[old.version] >= 90
    assert change(taxi).version == (new if change is destinations.promote else old).version
    assert (len(made()["models"]), len(made()["configs"])) == (2 if change is destinations.promote else 1, 1)


@pytest.mark.parametrize("broken", ["CreateEndpoint", "UpdateEndpoint"])
def test_an_endpoint_that_does_not_take_a_version(
    server: SageMaker, make_destination: MakeDestination, make_model: MakeModel, broken: str
) -> None:
    taxi = make_destination()
    if broken == "UpdateEndpoint":
        destinations.push(taxi, make_model("old"))
    there = made()
    server.broken = "The primary container did not pass the ping health check."
    with pytest.raises(ServerError, match=r"did not take the version: The primary container .*CloudWatch") as raised:
        destinations.push(taxi, make_model("new"))
    assert made() == there
    assert ("nothing serves there" in raised.value.details) == (broken == "CreateEndpoint")


def test_what_cannot_be_undone_is_told(
    server: SageMaker, make_destination: MakeDestination, make_model: MakeModel
) -> None:
    destinations.push(make_destination(), make_model("old"))
    server.broken = "no capacity"
    server.fail("POST", "DeleteEndpointConfig", Status(400, "not today"))
    with pytest.raises(ServerError, match="no capacity") as raised:
        destinations.push(make_destination(), make_model("new"))
    (left,) = [line for line in raised.value.details.splitlines() if "endpoint-config" in line]
    (name,) = set(made()["configs"]) - {backend().endpoints["taxi"].endpoint_config_name}
    removal = f"aws sagemaker delete-endpoint-config --endpoint-config-name {name} --region {REGION}"
    assert left == f"left behind: endpoint configuration {name}: remove it with `{removal}`"
    assert len(made()["models"]) == 1, "the rest is undone"


def test_what_cannot_be_cleaned_up_is_a_note(
    server: SageMaker, make_destination: MakeDestination, make_model: MakeModel
) -> None:
    destinations.push(make_destination(), make_model("old"))
    server.fail("POST", "DeleteEndpointConfig", *[Status(503)] * 3)
    pushed = destinations.push(make_destination(), make_model("new"))
    assert pushed.percent == 100
    assert [note.partition(":")[0].partition(" taxi-")[0] for note in pushed.notes] == ["endpoint configuration"]


def test_ctrl_c_undoes_the_push(server: SageMaker, make_destination: MakeDestination, make_model: MakeModel) -> None:
    old = destinations.push(make_destination(), make_model("old"))
    there = made()
    server.fail("POST", "UpdateEndpoint", CtrlC())
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(PenstockError) as raised:
            destinations.push(make_destination(), make_model("new"))
    finally:
        signal.signal(signal.SIGINT, before)
    assert raised.value.exit_code == 130
    assert (shares(make_destination().endpoint()), made()) == ({old.version: 100}, there)


@pytest.mark.parametrize("same", [True, False])
def test_two_pushes_beside_each_other(
    server: SageMaker, make_destination: MakeDestination, make_model: MakeModel, same: bool
) -> None:
    """The same model is served once; of two models one is told that another push was there, and takes nothing away."""
    old = destinations.push(make_destination(), make_model("old"))
    models = [make_model("new"), make_model("new" if same else "other")]
    ended: list[Pushed | PenstockError] = []

    def push(model: Path) -> None:
        try:
            ended.append(destinations.push(make_destination(canary=10, promote_after=0), model))
        except PenstockError as error:
            ended.append(error)

    threads = [threading.Thread(target=push, args=[model]) for model in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pushed = [one for one in ended if isinstance(one, Pushed)]
    assert len(pushed) == 2 if same else pushed, "both where it is the same, else at least one of them"
    endpoint = make_destination().endpoint()
    assert endpoint is not None
    serving = [one for one in endpoint.deployments if one.percent]
    assert [one.percent for one in serving] == [100]
    assert serving[0].version in {one.version for one in pushed}
    assert old.version not in {one.version for one in serving}
    assert len(made()["models"]) == 2, "nothing is left of the one that was refused"
    assert backend().endpoint_configs.keys() >= {backend().endpoints["taxi"].endpoint_config_name}
