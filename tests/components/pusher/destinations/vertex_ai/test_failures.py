"""Each step of a push to Vertex AI fails, takes too long, or loses its answer: what served serves everything."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from penstock.components.pusher.destinations import rollout
from penstock.components.pusher.destinations.changes import Changes
from penstock.components.pusher.destinations.destination import Pushed
from penstock.core.errors import PenstockError, ServerError, SystemFailure
from penstock.core.services import retries
from penstock.core.services import vertex_operations as operations
from penstock.core.services.retries import Interrupted
from penstock.core.services.vertex_operations import Operations
from tests.servers.loopback import CtrlC, Cut, Hang, Status
from tests.servers.vertex import VertexAI
from tests.servers.vertex_operations import Endless, Failed

type Push = Callable[..., Pushed]

UPLOAD = ("POST", "/models:upload")
CREATE = ("POST", "/endpoints")
DEPLOY = ("POST", "/endpoints/{id}:deployModel")
SHARE = ("PATCH", "/endpoints/{id}")
ALIASES = ("POST", "/models/{id}:mergeVersionAliases")
UNDEPLOY = ("POST", "/endpoints/{id}:undeployModel")
STEPS = {"upload": UPLOAD, "deploy": DEPLOY, "share": SHARE, "aliases": ALIASES}
LOGS = "Model server exited unexpectedly. Model server logs can be found at https://console.cloud.google.com/logs/x."


def served(vertex: VertexAI) -> list[int]:
    """Returns what each deployed model has of the traffic, and checks that nothing is left that no push wanted."""
    (model,) = vertex.models.versions.values()
    shares = vertex.endpoints.shares("taxi")
    assert len(model) == len(shares)
    assert [version.version_id for version in model.values() if "default" in version.version_aliases] == ["1"]
    return shares


@pytest.fixture
def first(vertex: VertexAI, push: Push) -> Pushed:
    """What serves when a push fails."""
    return push(0)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    ("failures", "message"),
    [
        ([Status(400, "no such thing")], "refuses the request (400: no such thing)"),
        ([Status(403, "not yours")], "does not let this account do that (403: not yours): give it the role"),
        ([Status(429, "The following quota metrics exceed quota limits: x")] * 3, "no quota left (429: The following"),
        ([Status(500)] * 3, "failed (500): try again later"),
        ([Cut(after=False)] * 3, "was cut: try again"),
    ],
    ids=["refused", "forbidden", "quota", "broken", "cut"],
)
def test_a_step_fails(
    vertex: VertexAI, push: Push, first: Pushed, step: str, failures: list[Any], message: str
) -> None:
    vertex.fail(*STEPS[step], *failures)
    with pytest.raises(PenstockError) as raised:
        push(1)
    assert message in raised.value.message
    assert f"version {first.version} has 100 %" in raised.value.details
    assert "gcloud ai" not in raised.value.details, "nothing is left behind that has to be removed"
    assert served(vertex) == [100]
    assert push(1).new, "and what failed may be pushed again"


@pytest.mark.parametrize("step", [*STEPS, "create"])
@pytest.mark.parametrize("after", [False, True])
def test_the_answer_of_a_step_is_lost(vertex: VertexAI, push: Push, step: str, after: bool) -> None:
    """Whether the request had its effect or not: nothing is made twice."""
    vertex.fail(*{**STEPS, "create": CREATE}[step], Cut(after))
    pushed = push(0, aliases=["champion"])
    assert (pushed.percent, served(vertex)) == (100, [100])
    assert push(0, aliases=["champion"]) == dataclasses.replace(pushed, new=False)


@pytest.mark.parametrize("step", ["upload", "create", "deploy", "share"])
def test_the_answer_of_a_step_is_late(vertex: VertexAI, push: Push, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "PAUSE", 0.3)  # until the effect is there
    vertex.fail(*{**STEPS, "create": CREATE}[step], Hang(1.1, effect=True))
    assert push(0, request_timeout=1).percent == 100
    assert served(vertex) == [100]


@pytest.mark.parametrize(
    ("method", "what"),
    [
        ("UploadModel", "registering gs://.* as a version of the model taxi"),
        ("DeployModel", "deploying gs://.* at the endpoint taxi"),
    ],
)
def test_an_operation_fails(vertex: VertexAI, push: Push, first: Pushed, method: str, what: str) -> None:
    vertex.operations.end(method, Failed(LOGS))
    with pytest.raises(ServerError, match=f"{what} failed: {LOGS[:-1]}\n"):
        push(1)
    assert served(vertex) == [100]
    vertex.operations.end(method, Failed("", code=14))
    with pytest.raises(SystemFailure, match=f"{what} failed: code 14: try again\n"):
        push(1)
    assert served(vertex) == [100]


@pytest.mark.parametrize("method", ["UploadModel", "DeployModel"])
def test_an_operation_takes_too_long(vertex: VertexAI, push: Push, first: Pushed, method: str) -> None:
    vertex.operations.end(method, Endless())
    with pytest.raises(SystemFailure, match=r"took longer than 1 s: raise push\.vertex_ai\.timeout") as raised:
        push(1, timeout=1)
    assert vertex.sent("POST", "/operations/{id}:cancel")
    assert "gcloud ai" not in raised.value.details
    assert served(vertex) == [100]


def test_an_operation_that_cannot_be_cancelled_is_told_of(
    vertex: VertexAI, push: Push, first: Pushed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "UNDO_SECONDS", 0)
    vertex.operations.end("DeployModel", Endless())
    vertex.fail("POST", "/operations/{id}:cancel", Status(501, "not implemented"), *[Status(501)] * 2)
    with pytest.raises(SystemFailure, match="took longer than 1 s") as raised:
        push(1, timeout=1)
    left = "deployed without traffic: remove it with `gcloud ai endpoints undeploy-model taxi --deployed-model-id="
    assert left in raised.value.details
    assert "--project=my-project --region=us-central1`" in raised.value.details
    assert vertex.endpoints.shares("taxi") == [100]


def test_an_endpoint_that_was_made_for_nothing_goes_again(vertex: VertexAI, push: Push) -> None:
    vertex.operations.end("DeployModel", Failed(LOGS))
    with pytest.raises(ServerError, match="Model server exited"):
        push(0)
    assert vertex.endpoints.endpoints == {}
    assert vertex.models.versions == {}
    vertex.operations.end("CreateEndpoint", Failed("no address is left", code=8))
    with pytest.raises(ServerError, match="creating the endpoint taxi failed: no address is left"):
        push(0)
    assert vertex.endpoints.endpoints == {}
    assert vertex.models.versions == {}


def test_what_cannot_be_undone_is_left_with_the_command_that_removes_it(
    vertex: VertexAI, push: Push, first: Pushed
) -> None:
    vertex.fail(*SHARE, *[Status(400, "no")] * 1)
    vertex.fail(*UNDEPLOY, Status(403, "not you"))
    with pytest.raises(ServerError, match="refuses the request") as raised:
        push(1)
    (endpoint,) = vertex.endpoints.endpoints.values()
    assert vertex.endpoints.shares("taxi") == [100, 0]
    details = raised.value.details
    assert f"undeploy-model taxi --deployed-model-id={endpoint.deployed_models[1].id} --project=my-project" in details
    assert "`gcloud ai models list-version taxi --project=my-project --region=us-central1`" in details
    assert push(1).percent == 100, "the next push finds what is left"
    assert vertex.endpoints.shares("taxi") == [0, 100]


def test_ctrl_c_while_it_deploys(vertex: VertexAI, push: Push, first: Pushed) -> None:
    """What it has started is waited for, and undone."""
    vertex.operations.steps = 4
    vertex.fail(*DEPLOY, CtrlC())
    with pytest.raises(Interrupted):
        push(1)
    assert served(vertex) == [100]


def test_a_push_after_one_that_was_killed_while_it_deployed(
    vertex: VertexAI, push: Push, first: Pushed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The deployment goes on: it is waited for, and no second one is made."""
    run = Operations.run
    vertex.operations.steps = 6

    def killed(self: Operations, what: str, start: Any, *arguments: Any) -> None:
        if what.startswith("deploying"):
            self.server.request(start)
            raise GeneratorExit
        run(self, what, start, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Operations, "run", killed)
        patch.setattr(Changes, "undo", lambda _: [])
        with pytest.raises(GeneratorExit):
            push(1)
    assert vertex.endpoints.shares("taxi") == [100]
    assert push(1).percent == 100
    assert vertex.endpoints.shares("taxi") == [0, 100]
    assert len(vertex.sent(*DEPLOY)) == 2, "the first push's and the killed one's"


def test_somebody_else_changes_the_traffic_meanwhile(
    vertex: VertexAI, push: Push, first: Pushed, monkeypatch: pytest.MonkeyPatch
) -> None:
    patch = vertex.endpoints._patch

    def after_another(endpoint: Any, request: Any) -> Any:
        endpoint.etag = "another"
        monkeypatch.setattr(vertex.endpoints, "_patch", patch)
        return patch(endpoint, request)

    monkeypatch.setattr(vertex.endpoints, "_patch", after_another)
    with pytest.raises(SystemFailure, match="the traffic of the endpoint taxi was changed by somebody else meanwhile"):
        push(1)
    assert served(vertex) == [100]


def test_permissions_and_quotas(vertex: VertexAI, push: Push, first: Pushed) -> None:
    """Of a GPU there has to be one for the old version and one for the new, while both are deployed."""
    vertex.denied = {"aiplatform.endpoints.deploy"}
    with pytest.raises(ServerError, match=r"Permission 'aiplatform\.endpoints\.deploy' denied on resource"):
        push(1)
    assert served(vertex) == [100]
    vertex.denied = set()
    vertex.endpoints.quota = {"custom_model_serving_cpus": 3}
    with pytest.raises(PenstockError, match=r"no quota left .*quota limits: aiplatform\.googleapis\.com/custom_model"):
        push(1)
    assert served(vertex) == [100]
    vertex.endpoints.quota = {"custom_model_serving_cpus": 4}
    assert push(1).percent == 100


def test_a_bucket_that_vertex_ai_cannot_read(vertex: VertexAI, push: Push, service: Any) -> None:
    vertex.models.missing.add("*")
    with pytest.raises(ServerError, match=r"does not have `\[storage.objects.get\]` IAM permission"):
        push(0)
    assert vertex.models.versions == {}
    with pytest.raises(PenstockError, match="no version serves there yet"):
        rollout.promote(service())


def test_what_cleaning_up_leaves_is_told(vertex: VertexAI, push: Push) -> None:
    push(0)
    push(1)
    vertex.fail(*UNDEPLOY, Status(403, "not you"))
    (note,) = push(2).notes
    assert "is still deployed" in note
    assert "remove it with `gcloud ai endpoints undeploy-model taxi --deployed-model-id=" in note
