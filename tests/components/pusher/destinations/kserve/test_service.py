"""Pushing to KServe on loopback, through the real client: in both modes, with every failure of every step."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from penstock.components.model_server import settings as model_server
from penstock.components.pusher.destinations.changes import Changes
from penstock.components.pusher.destinations.kserve.client import Client
from penstock.core.errors import ConfigError, PenstockError, ServerError, SystemFailure
from tests.components.pusher.destinations.kserve.conftest import LOGGER, candidate, changing, service, shares
from tests.servers import kserve_controller as faults
from tests.servers.inference_services import InferenceServicesAPI
from tests.servers.kserve_controller import Fault
from tests.servers.loopback import Cut, Hang, Request, Status

type Push = Callable[..., list[str]]
LEFT = "version 2 in InferenceService taxi in team, without requests: the next push takes its place"
ONE = "/inferenceservices/{name}"


def spec(cluster: InferenceServicesAPI) -> Any:
    return cluster.stored["taxi"]["spec"]["predictor"]


def revisions(cluster: InferenceServicesAPI) -> list[str]:
    return [one.name for one in cluster.controllers["taxi"].revisions]


def had_requests(cluster: InferenceServicesAPI, number: int) -> bool:
    """Whether the revision of that number ever had a request."""
    return any(f"taxi-predictor-{number:05d}" in looked for looked in cluster.controllers["taxi"].history)


def test_the_first_version(cluster: InferenceServicesAPI, push: Push) -> None:
    push(
        1,
        deployment_mode="Knative",
        min_replicas=0,
        max_replicas=4,
        request_timeout=30,
        service_account="reads-buckets",
        image_pull_secrets=["registry"],
        resources={"cpu": 0.5, "memory": "4Gi", "gpus": 1},
        node_selector={"pool": "gpu"},
        logger={"url": "http://sink.team"},
        annotations={"example.com/owner": "taxi"},
    )
    made = cluster.sent("POST", "/inferenceservices")[0]
    assert made["metadata"] == {
        "name": "taxi",
        "annotations": {
            "example.com/owner": "taxi",
            "serving.kserve.io/deploymentMode": "Knative",
            "penstock.dev/model-version": "1",
            "penstock.dev/model-digest": candidate(1).digest,
            "penstock.dev/push": "push-1",
        },
    }
    predictor = made["spec"]["predictor"]
    (container,) = predictor.pop("containers")
    assert predictor == {
        "minReplicas": 0,
        "maxReplicas": 4,
        "timeout": 30,
        "serviceAccountName": "reads-buckets",
        "imagePullSecrets": [{"name": "registry"}],
        "nodeSelector": {"pool": "gpu"},
        "logger": LOGGER,
    }
    amounts = {"cpu": "0.5", "memory": "4Gi", "nvidia.com/gpu": "1"}
    assert container["resources"] == {"requests": amounts, "limits": amounts}
    assert container["env"] == [{"name": "STORAGE_URI", "value": "s3://models/taxi/1"}]
    assert container["image"] == "registry.example.com/serving:1"
    assert container["command"] == ["python3", "-m", "penstock.components.model_server"]
    (served,) = container["args"]
    settings = model_server.parse(served)
    assert [(model.name, model.path) for model in settings.models] == [("taxi", "/mnt/models")]
    assert (settings.host, settings.port) == ("0.0.0.0", container["ports"][0]["containerPort"])
    endpoint = service().endpoint()
    assert endpoint
    assert (endpoint.name, endpoint.url) == ("InferenceService taxi in team", "http://taxi.team.example.com")
    assert endpoint.current
    assert (endpoint.current.version, endpoint.current.percent, endpoint.current.healthy) == ("1", 100, True)
    assert endpoint.current.digest == candidate(1).digest
    assert endpoint.canary is endpoint.previous is None


def test_nothing_is_there_yet(cluster: InferenceServicesAPI) -> None:
    assert service().endpoint() is None


def test_a_version_takes_over_when_it_is_ready(cluster: InferenceServicesAPI, push: Push) -> None:
    push(1)
    push(2)
    assert shares() == {"2": 100, "1": 0}
    assert "canaryTrafficPercent" not in spec(cluster)
    puts = [body["spec"]["predictor"] for body in cluster.sent("PATCH", ONE)]
    assert [put.get("canaryTrafficPercent") for put in puts] == [0, None]
    assert len(revisions(cluster)) == 2, "shifting the requests makes no new revision"


def test_a_canary_is_promoted(cluster: InferenceServicesAPI, push: Push) -> None:
    push(1)
    push(2)
    push(3, 10)
    endpoint = service().endpoint()
    assert endpoint
    assert shares() == {"3": 10, "2": 90, "1": 0}
    assert endpoint.canary
    assert (endpoint.canary.version, endpoint.canary.healthy) == ("3", True)
    assert endpoint.current
    assert endpoint.current.version == "2"
    assert endpoint.previous
    assert (endpoint.previous.version, endpoint.previous.uri) == ("1", "s3://models/taxi/1")
    assert service().health(endpoint.canary).healthy
    changing(lambda changes: service().promote(endpoint.canary, changes))
    assert shares() == {"3": 100, "2": 0}
    assert len(revisions(cluster)) == 3


def test_a_canary_is_taken_away(cluster: InferenceServicesAPI, push: Push) -> None:
    """Its requests go back at once, to the revision that has most of them; then the spec has that version again."""
    push(1)
    push(2)
    before = spec(cluster)
    push(3, 10)
    canary = service().endpoint().canary  # type: ignore[union-attr]
    assert canary
    changing(lambda changes: service().withdraw(canary, changes))
    assert shares() == {"2": 100, "1": 0}
    assert spec(cluster) == before
    history = cluster.controllers["taxi"].history
    taken = next(number for number, looked in enumerate(history) if "taxi-predictor-00003" in looked)
    since = [looked for looked in history[taken:] if "taxi-predictor-00003" not in looked]
    assert since[0] == {"taxi-predictor-00002": 100}, "the revision that served before, and no new one"
    with pytest.raises(ServerError, match="version 3 is on trial there no more"):
        service().promote(canary, Changes())


def test_a_canary_is_taken_away_where_no_new_pod_starts(cluster: InferenceServicesAPI, push: Push) -> None:
    """What counts is that its requests go back; a push tidies up what is left."""
    push(1)
    push(2)
    push(3, 10)
    canary = service().endpoint().canary  # type: ignore[union-attr]
    assert canary
    cluster.rollout = 10**6
    changing(lambda changes: service(timeout=1).withdraw(canary, changes))
    assert shares() == {"2": 100, "1": 0}
    cluster.rollout = 2
    push(4)
    assert shares() == {"4": 100, "2": 0}


def test_a_rollback_is_instant(cluster: InferenceServicesAPI, push: Push) -> None:
    push(1)
    push(2)
    cluster.rollout = 5
    push(1)  # what a rollback asks for: the previous version with all requests
    assert shares() == {"1": 100, "2": 0}
    history = cluster.controllers["taxi"].history
    back = next(number for number, looked in enumerate(history) if looked == {"taxi-predictor-00002": 100})
    others = [looked for looked in history[back:] if looked != {"taxi-predictor-00002": 100}]
    assert others[0] == {"taxi-predictor-00001": 100}, "its own pods take the requests, before a new revision is ready"
    assert others[-1] == {"taxi-predictor-00003": 100}
    push(2)
    assert shares() == {"2": 100, "1": 0}, "and forth again"


def test_a_rollback_to_a_revision_that_is_gone(
    cluster: InferenceServicesAPI, push: Push, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.components.pusher.destinations.kserve.service.PINNING", 0.05)
    push(1)
    push(2)
    cluster.controllers["taxi"].collected.add("taxi-predictor-00001")
    push(1)
    assert shares() == {"1": 100, "2": 0}


def test_a_rollback_takes_the_image_that_the_version_had(cluster: InferenceServicesAPI, push: Push) -> None:
    push(1)
    push(2, image="registry.example.com/serving:2")
    push(1, image="registry.example.com/serving:2")
    assert spec(cluster)["containers"][0]["image"] == "registry.example.com/serving:1"


@pytest.mark.parametrize("percent", [10, 100])
@pytest.mark.parametrize("fault", [faults.IMAGE, faults.UNRESOLVED_IMAGE, faults.CRASH, faults.STORAGE])
def test_a_version_that_fails_never_gets_a_request(
    cluster: InferenceServicesAPI, push: Push, fault: Fault, percent: int
) -> None:
    push(1)
    push(2)
    before = json.dumps(spec(cluster)), cluster.stored["taxi"]["metadata"]["annotations"]
    cluster.faults.append(fault)
    with pytest.raises(ServerError) as raised:
        push(3, percent)
    assert "InferenceService taxi in team: version 3 does not become ready" in raised.value.message
    assert fault.message.splitlines()[-1] in raised.value.message
    assert not getattr(raised.value, "__notes__", []), "nothing is left behind"
    assert not had_requests(cluster, 3)
    assert shares() == {"2": 100, "1": 0}
    assert (json.dumps(spec(cluster)), cluster.stored["taxi"]["metadata"]["annotations"]) == before
    push(3, percent)
    assert shares()["3"] == percent


def test_a_version_fails_where_pods_may_not_be_looked_at(cluster: InferenceServicesAPI, push: Push) -> None:
    """KServe itself says why a container ended, and nothing of an image that does not come."""
    push(1)
    cluster.forbidden = ("pods", "events", "revisions")
    cluster.faults += [faults.CRASH, None, faults.IMAGE]
    with pytest.raises(ServerError, match=r"2 does not become ready: ModelLoadFailed: loading\\npenstock: no mod"):
        push(2)
    with pytest.raises(SystemFailure, match=r"version 3 does not become ready \(waited 1 s: push.kserve.timeout\)"):
        push(3, timeout=1)
    assert shares() == {"1": 100}


def test_the_first_version_fails(cluster: InferenceServicesAPI, push: Push) -> None:
    """What the push has made is deleted: nothing served before."""
    cluster.faults.append(faults.CRASH)
    with pytest.raises(ServerError, match="kserve-container: CrashLoopBackOff: Error, exit code 2: penstock: no model"):
        push(1)
    assert cluster.stored == {}
    push(1)
    assert shares() == {"1": 100}


@pytest.mark.parametrize("cluster", ["Knative", "Standard"], indirect=True)
def test_a_version_that_takes_too_long(cluster: InferenceServicesAPI, push: Push) -> None:
    push(1)
    cluster.faults.append(faults.UNSCHEDULABLE)
    with pytest.raises(SystemFailure, match=r"Unschedulable: 0/3 nodes .*gpu.*waited 1 s: push.kserve.time"):
        push(2, timeout=1)
    assert shares() == {"1": 100}


def test_an_event_says_why(cluster: InferenceServicesAPI, push: Push) -> None:
    push(1)
    cluster.rollout = 10**6
    pod = "taxi-predictor-00002-deployment-5b6d7-xk2lp"
    for minute, message in enumerate(("is old", 'MountVolume.SetUp failed: secret "key" not found')):
        cluster.events.append(
            {
                "metadata": {"name": f"event-{minute}"},
                "involvedObject": {"name": pod},
                "lastTimestamp": f"2026-01-01T00:0{minute}:00Z",
                "reason": "FailedMount",
                "message": message,
            }
        )
    with pytest.raises(SystemFailure, match=r'FailedMount: MountVolume.* secret "key" not found') as raised:
        push(2, timeout=1)
    assert raised.value.__notes__ == [LEFT], "the new pods of the version before do not start either"
    assert not had_requests(cluster, 2)
    assert shares() == {"1": 100}
    cluster.forbidden = ("revisions",)
    assert shares() == {"taxi-predictor-00001": 100}
    cluster.forbidden, cluster.rollout = (), 2
    push(3)
    assert shares() == {"3": 100, "1": 0}


# What may become of a step's request: it has its effect once, and the push goes on.
_LOST = [Cut(after=True), Cut(after=False), Status(500, "etcdserver: timed out"), Status(429), Status(409, "modified")]


@pytest.mark.parametrize("failure", _LOST)
@pytest.mark.parametrize("step", ["put", "shift"])
def test_an_answer_is_lost(cluster: InferenceServicesAPI, push: Push, step: str, failure: Cut | Status) -> None:
    push(1)
    patches = []
    answer = cluster.answer

    def counted(request: Request) -> Any:
        if request.method == "PATCH":
            patches.append(request)
        return answer(request)

    cluster.answer = counted  # type: ignore[method-assign]
    if step == "shift":
        cluster.received = _second_patch(cluster, failure)  # type: ignore[method-assign]
    else:
        cluster.fail("PATCH", ONE, failure)
    push(2, 20)
    assert shares() == {"2": 20, "1": 80}
    assert len(revisions(cluster)) == 2
    assert len(patches) == 2


def _second_patch(cluster: InferenceServicesAPI, failure: Any) -> Callable[[Request], Any]:
    received, seen = cluster.received, []

    def failing(request: Request) -> Any:
        seen.append(request.method)
        found = received(request)
        return failure if request.method == "PATCH" and seen.count("PATCH") == 2 else found

    return failing


@pytest.mark.parametrize("failure", [Cut(after=True), Cut(after=False), Status(503), Status(429)])
def test_the_answer_to_the_first_push_is_lost(cluster: InferenceServicesAPI, push: Push, failure: Cut | Status) -> None:
    cluster.fail("POST", "/inferenceservices", failure)
    push(1)
    assert shares() == {"1": 100}
    assert revisions(cluster) == ["taxi-predictor-00001"]


@pytest.mark.parametrize("effect", [True, False])
def test_a_request_that_takes_too_long(
    cluster: InferenceServicesAPI, push: Push, monkeypatch: pytest.MonkeyPatch, effect: bool
) -> None:
    """Its effect may come later: then the patch that is made anew meets a conflict, and looks again."""
    push(1)
    monkeypatch.setattr(
        "penstock.core.services.kubernetes.Server.__init__.__kwdefaults__", {"namespace": "", "timeout": 0.2}
    )
    cluster.fail("PATCH", ONE, Hang(0.4, effect))
    push(2, 20)
    assert shares() == {"2": 20, "1": 80}
    assert len(revisions(cluster)) == 2


@pytest.mark.parametrize("step", ["put", "shift"])
def test_a_step_that_fails_for_good_is_undone(cluster: InferenceServicesAPI, push: Push, step: str) -> None:
    push(1)
    before = json.dumps(spec(cluster))
    received, patches = cluster.received, []

    def failing(request: Request) -> Any:
        found = received(request)
        if request.method != "PATCH":
            return found
        patches.append(request)
        refused = len(patches) == (1 if step == "put" else 2)
        return Status(403, "inferenceservices is forbidden") if refused else found

    cluster.received = failing  # type: ignore[method-assign]
    with pytest.raises(ServerError, match="does not let this account do that"):
        push(2, 20)
    assert shares() == {"1": 100}
    assert json.dumps(spec(cluster)) == before
    assert not had_requests(cluster, 2)


def test_what_cannot_be_undone_is_told(cluster: InferenceServicesAPI, push: Push) -> None:
    push(1)
    cluster.faults.append(faults.CRASH)
    received, patches = cluster.received, []

    def failing(request: Request) -> Any:
        found = received(request)
        if request.method != "PATCH":
            return found
        patches.append(request)
        return found if len(patches) == 1 else Status(500, "etcdserver: no leader")

    cluster.received = failing  # type: ignore[method-assign]
    with pytest.raises(ServerError) as raised:
        push(2, 20)
    (left,) = raised.value.__notes__
    assert left == LEFT
    assert shares() == {"1": 100}, "the version before serves everything"


@pytest.mark.parametrize("failure", _LOST)
def test_an_answer_is_lost_while_a_push_is_undone(
    cluster: InferenceServicesAPI, push: Push, failure: Cut | Status
) -> None:
    push(1)
    before = json.dumps(spec(cluster))
    cluster.faults.append(faults.CRASH)
    cluster.received = _second_patch(cluster, failure)  # type: ignore[method-assign]
    with pytest.raises(ServerError, match="does not become ready") as raised:
        push(2)
    assert not getattr(raised.value, "__notes__", [])
    assert (json.dumps(spec(cluster)), shares()) == (before, {"1": 100})


@pytest.mark.parametrize("percent", [20, 100])
def test_a_push_that_was_killed_is_gone_on_with(cluster: InferenceServicesAPI, push: Push, percent: int) -> None:
    """The version is in the spec without requests; nothing of it is made a second time."""
    push(1)
    killed = service()
    killed._shift = lambda *_: None  # type: ignore[method-assign]
    killed.deploy(candidate(2), 100, Changes())
    assert shares() == {"1": 100}, "a version without requests is not shown"
    changing(lambda changes: service().deploy(candidate(2, "another push"), percent, changes))
    assert shares() == {"2": percent, "1": 100 - percent}
    assert len(revisions(cluster)) == 2


def test_another_version_takes_the_place_of_a_killed_push(cluster: InferenceServicesAPI, push: Push) -> None:
    push(1)
    killed = service()
    killed._shift = lambda *_: None  # type: ignore[method-assign]
    killed.deploy(candidate(2), 100, Changes())
    push(3)
    assert shares() == {"3": 100, "1": 0}
    assert not had_requests(cluster, 2)


def test_what_others_have_changed_stays(cluster: InferenceServicesAPI, push: Push) -> None:
    push(1, logger={"url": "http://sink.team"})
    sidecar = {"name": "proxy", "image": "proxy:1"}
    own = spec(cluster)["containers"][0]
    own = own | {"env": [{"name": "OWN", "value": "1"}, *own["env"]]}
    change = {"containers": [sidecar, own], "priorityClassName": "high", "maxReplicas": 7}
    cluster.edit("taxi", {"metadata": {"labels": {"team": "taxi"}}, "spec": {"predictor": change}})
    push(2)
    changed = spec(cluster)
    assert changed["containers"][0] == sidecar
    assert changed["containers"][1]["env"] == [
        {"name": "OWN", "value": "1"},
        {"name": "STORAGE_URI", "value": "s3://models/taxi/2"},
    ]
    assert (changed["priorityClassName"], changed["maxReplicas"]) == ("high", 7)
    assert changed["logger"] == LOGGER, "what is left out stays"
    assert cluster.stored["taxi"]["metadata"]["labels"] == {"team": "taxi"}
    cluster.faults.append(faults.CRASH)
    with pytest.raises(ServerError):
        push(3)
    assert spec(cluster) == changed, "also where a push is undone"


def test_a_change_at_the_same_moment(cluster: InferenceServicesAPI, push: Push) -> None:
    """It is made between our look and our patch: the patch is refused, and made anew upon what there is then."""
    push(1)
    answer, edits = cluster.answer, []

    def meanwhile(request: Request) -> Any:
        if request.method == "PATCH" and len(edits) < 3:
            edits.append(request)
            cluster.edit("taxi", {"spec": {"predictor": {"maxReplicas": 10 + len(edits)}}})
        return answer(request)

    cluster.answer = meanwhile  # type: ignore[method-assign]
    push(2)
    assert shares() == {"2": 100, "1": 0}
    assert spec(cluster)["maxReplicas"] == 13


def test_a_change_at_every_moment(cluster: InferenceServicesAPI, push: Push) -> None:
    push(1)
    cluster.fail("PATCH", ONE, *[Status(409, "the object has been modified") for _ in range(10)])
    with pytest.raises(SystemFailure, match=r"could not be changed in 10 tries: .*the object has been modified"):
        push(2)
    assert shares() == {"1": 100}


@pytest.mark.parametrize("text", ["{", "[]", '{"previous": 3}'])
def test_somebody_spoils_the_record(cluster: InferenceServicesAPI, push: Push, text: str) -> None:
    push(1)
    push(2)
    cluster.edit("taxi", {"metadata": {"annotations": {"penstock.dev/previous-version": text}}})
    cluster.settle("taxi")
    assert shares()["2"] == 100
    push(3)
    assert shares() == {"3": 100, "2": 0}


def test_somebody_deletes_it(cluster: InferenceServicesAPI, push: Push) -> None:
    push(1)
    cluster.rollout = 10**6
    answer, looks = cluster.answer, []

    def deleted(request: Request) -> Any:
        looks.append(request.method)
        if looks.count("GET") == 6:
            cluster.stored.clear()
        return answer(request)

    cluster.answer = deleted  # type: ignore[method-assign]
    with pytest.raises(ServerError, match="InferenceService taxi in team is gone: somebody has deleted it; push again"):
        push(2)


def test_it_is_somebody_elses(cluster: InferenceServicesAPI, push: Push) -> None:
    model = {"modelFormat": {"name": "tensorflow"}, "storageUri": "gs://others/model"}
    body = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": "taxi"},
        "spec": {"predictor": {"model": model}},
    }
    client = Client("taxi", "team")
    client.create(body, "")
    cluster.settle("taxi")
    with pytest.raises(ConfigError, match=r"is there, and no push has made it.*`kubectl -n team delete infer"):
        push(1)
    assert spec(cluster) == {"model": model}


@pytest.mark.parametrize("cluster", ["Standard"], indirect=True)
class TestStandard:
    """Where a Deployment replaces its pods, and requests are not split."""

    def test_versions(self, cluster: InferenceServicesAPI, push: Push) -> None:
        push(1)
        push(2)
        assert shares() == {"2": 100, "1": 0}
        push(1)
        assert shares() == {"1": 100, "2": 0}
        assert not any(
            "canaryTrafficPercent" in body["spec"]["predictor"] for body in cluster.sent("POST", "/inferenceservices")
        )

    def test_there_is_no_canary(self, cluster: InferenceServicesAPI, push: Push) -> None:
        push(1)
        with pytest.raises(ConfigError, match=r"push.kserve.canary: in KServe's mode Standard a new version gets all"):
            push(2, 10)
        assert cluster.sent("PATCH", ONE) == []

    @pytest.mark.parametrize("fault", [faults.IMAGE, faults.CRASH, faults.STORAGE])
    def test_a_version_fails(self, cluster: InferenceServicesAPI, push: Push, fault: Fault) -> None:
        push(1)
        before = json.dumps(spec(cluster))
        cluster.faults.append(fault)
        with pytest.raises(ServerError, match=fault.message.splitlines()[-1]):
            push(2)
        assert json.dumps(spec(cluster)) == before
        assert shares() == {"1": 100}

    def test_the_pods_say_what_serves(self, cluster: InferenceServicesAPI, push: Push) -> None:
        """While the new pods start, and where the account may not look at them."""
        push(1)
        cluster.rollout = 10**6
        with pytest.raises(SystemFailure):
            service(timeout=1).deploy(candidate(2), 100, Changes())
        assert shares() == {"1": 100}
        cluster.forbidden = ("pods",)
        assert shares() == {"2": 0, "1": 0}


def test_a_mode_does_not_change(cluster: InferenceServicesAPI, push: Push) -> None:
    push(1)
    with pytest.raises(ConfigError, match="runs in KServe's mode Knative, which does not change"):
        push(2, deployment_mode="Standard")


def test_the_name_that_a_mode_had_before(cluster: InferenceServicesAPI, push: Push) -> None:
    """KServe takes `Serverless` when an InferenceService is made, and refuses every later change of it as a change."""
    push(1, deployment_mode="Serverless")
    push(2, 10, deployment_mode="Serverless")
    assert shares() == {"2": 10, "1": 90}


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (
            Status(404, "the server could not find the requested resource"),
            r"has no InferenceServices \(404\): install KS",
        ),
        (Status(403, "forbidden"), "bind the role penstock-kserve to the service account of the tasks"),
        (
            Status(403, 'admission webhook "x" denied the request: no'),
            r"refuses the request \(admission .* no\)",
        ),
        (Status(401, "Unauthorized"), "wants a sign-in"),
    ],
)
def test_a_refusal_is_a_sentence(cluster: InferenceServicesAPI, push: Push, failure: Status, message: str) -> None:
    cluster.fail("POST", "/inferenceservices", failure)
    with pytest.raises(PenstockError, match=message):
        push(1)
    assert cluster.stored == {}


def test_a_canary_that_is_not_healthy(cluster: InferenceServicesAPI, push: Push) -> None:
    push(1)
    push(2, 10)
    endpoint = service().endpoint()
    assert endpoint
    assert endpoint.canary
    assert endpoint.current
    cluster.controllers["taxi"].revisions[-1].fault = faults.CRASH
    health = service().health(endpoint.canary)
    assert not health.healthy
    assert "CrashLoopBackOff" in health.reason
    assert service().health(endpoint.current).healthy
    cluster.stored.clear()
    assert not service().health(endpoint.canary).healthy
