"""Pushes by the rules of all services, to an InferenceService: a model in a folder, to requests and back."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.components.pusher import destinations, executor
from penstock.components.pusher.destinations import kserve
from penstock.components.pusher.destinations.kserve.service import KServe
from penstock.core.artifacts import Model
from penstock.core.errors import ModelError, ServerError, UserError
from penstock.pipelines.cli import main
from tests.components.pusher.destinations.kserve.conftest import SETTINGS
from tests.servers import kserve_controller as faults
from tests.servers.inference_services import InferenceServicesAPI
from tests.servers.loopback import CtrlC, Cut

type MakeModel = Callable[[str], Path]


@pytest.fixture
def settings(cluster: InferenceServicesAPI, tmp_path: Path) -> dict[str, Any]:
    """An InferenceService whose storage is on a claim, which is mounted here."""
    claim = {"storage": "pvc://team-files/taxi", "claim_mount": str(tmp_path / "claim")}
    return {**SETTINGS, "timeout": 20, **claim}


@pytest.fixture
def make(settings: dict[str, Any]) -> Callable[..., KServe]:
    """Returns a function that makes the destination, as a push reads it each time."""
    return lambda **changed: kserve.destination("push_destination.kserve", settings | changed)


def shares(place: KServe) -> dict[str, int]:
    endpoint = place.endpoint()
    return {one.version: one.percent for one in endpoint.deployments} if endpoint else {}


def test_a_model_is_stored_and_served(
    cluster: InferenceServicesAPI, make: Callable[..., KServe], make_model: MakeModel, tmp_path: Path
) -> None:
    pushed = destinations.push(make(), make_model("first"))
    assert (pushed.place, pushed.percent, pushed.new) == ("InferenceService taxi in team", 100, True)
    assert (tmp_path / "claim" / "taxi" / pushed.version / "saved_model.pb").is_file()
    container = cluster.stored["taxi"]["spec"]["predictor"]["containers"][0]
    assert container["env"] == [{"name": "STORAGE_URI", "value": f"pvc://team-files/taxi/{pushed.version}"}]
    requests = len(cluster.requests)
    again = destinations.push(make(canary=10), make_model("first"))
    assert (again.version, again.new) == (pushed.version, False)
    assert {request.method for request in cluster.requests[requests:]} == {"GET"}


def test_a_canary_that_stays_healthy_gets_all(
    cluster: InferenceServicesAPI, make: Callable[..., KServe], make_model: MakeModel
) -> None:
    old = destinations.push(make(), make_model("old"))
    new = destinations.push(make(canary=10, promote_after=1), make_model("new"))
    assert (new.percent, shares(make())) == (100, {new.version: 100, old.version: 0})
    assert {"taxi-predictor-00001": 90, "taxi-predictor-00002": 10} in cluster.controllers["taxi"].history


def test_a_canary_that_fails_is_taken_away(
    cluster: InferenceServicesAPI, make: Callable[..., KServe], make_model: MakeModel
) -> None:
    """Its pods are ready, and end with the first requests."""
    old = destinations.push(make(), make_model("old"))

    controller = cluster.controllers["taxi"]
    step = controller.step

    def failing(service: Any) -> Any:
        if controller.traffic[0]["percent"] == 10:
            controller.revisions[1].fault = faults.CRASH
        return step(service)

    controller.step = failing  # type: ignore[method-assign]
    with pytest.raises(ModelError, match=r"version \d+ was taken away again: pod .*: CrashLoopBackOff: "):
        destinations.push(make(canary=10, promote_after=20), make_model("new"))
    assert shares(make()) == {old.version: 100}


def test_a_failure_says_what_serves(
    cluster: InferenceServicesAPI, make: Callable[..., KServe], make_model: MakeModel
) -> None:
    old = destinations.push(make(), make_model("old"))
    cluster.faults.append(faults.STORAGE)
    with pytest.raises(ServerError, match=r"storage-initializer: CrashLoopBackOff: .*403 Forbidden") as raised:
        destinations.push(make(canary=10), make_model("new"))
    first, stored = raised.value.details.splitlines()
    assert first == f"InferenceService taxi in team: version {old.version} has 100 %"
    assert "which serves nothing: a retry uses it" in stored


def test_a_retry_goes_on_after_ctrl_c(
    cluster: InferenceServicesAPI, make: Callable[..., KServe], make_model: MakeModel
) -> None:
    """Half a push is undone; the second has one version in the storage, and one more revision."""
    assert threading.current_thread() is threading.main_thread()
    old = destinations.push(make(), make_model("old"))
    cluster.fail("PATCH", "/inferenceservices/{name}", CtrlC())
    with pytest.raises(KeyboardInterrupt):
        destinations.push(make(canary=10), make_model("new"))
    assert shares(make()) == {old.version: 100}
    new = destinations.push(make(canary=10), make_model("new"))
    assert shares(make()) == {new.version: 10, old.version: 90}


def test_another_canary_is_decided_about_first(make: Callable[..., KServe], make_model: MakeModel) -> None:
    destinations.push(make(), make_model("old"))
    canary = destinations.push(make(canary=10), make_model("new"))
    with pytest.raises(UserError, match=rf"version {canary.version} is on trial there with 10 %: `penstock promote`"):
        destinations.push(make(canary=10), make_model("newest"))


@pytest.mark.parametrize("cluster", ["Knative", "Standard"], indirect=True)
def test_rolling_back_twice_brings_the_new_one_back(
    cluster: InferenceServicesAPI, make: Callable[..., KServe], make_model: MakeModel
) -> None:
    old, new = (destinations.push(make(), make_model(name)) for name in ("old", "new"))
    assert destinations.rollback(make()).version == old.version
    assert shares(make()) == {old.version: 100, new.version: 0}
    assert destinations.rollback(make()).version == new.version
    assert shares(make()) == {new.version: 100, old.version: 0}


def test_the_pusher_and_the_commands(
    cluster: InferenceServicesAPI,
    settings: dict[str, Any],
    make_model: MakeModel,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    penguins_csv: Path,
) -> None:
    def push(name: str, **changed: Any) -> str:
        model = Model(tmp_path / name)
        make_model(name).rename(_parent(model.serving))
        destination = json.dumps({"kserve": settings | changed})
        folders = {"pushed_model": str(tmp_path / f"pushed-{name}"), "model": str(model.root)}
        result = executor.run(**folders, push_destination=destination)
        metadata = result.metadata["pushed_model"]
        assert metadata["pushed_destination"] == "InferenceService taxi in team"
        return str(metadata["pushed_version"])

    old = push("old")
    cluster.fail("PATCH", "/inferenceservices/{name}", Cut(after=True))
    new = push("new", canary=25)
    config = tmp_path / "pipeline.yaml"
    lines = [f"data: {{path: {penguins_csv}, csv: {{null_values: [NA]}}}}", "label: species"]
    config.write_text("\n".join([*lines, f"push: {{kserve: {json.dumps(settings)}}}"]))

    def run(*arguments: str) -> str:
        capsys.readouterr()
        assert main.main([arguments[0], str(config), *arguments[1:]]) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    table = run("endpoints").splitlines()
    assert table[0] == "InferenceService taxi in team"
    assert [line.split()[:4] for line in table[2:]] == [[new, "25", "%", "canary"], [old, "75", "%", "serves"]]
    (document,) = json.loads(run("endpoints", "--json"))["result"]["destinations"]
    assert document["url"] == "http://taxi.team.example.com"
    assert run("promote").strip() == f"InferenceService taxi in team: version {new} has 100 %"
    assert run("rollback", "--only", "kserve").strip() == f"InferenceService taxi in team: version {old} has 100 %"


def _parent(folder: Path) -> Path:
    folder.parent.mkdir(parents=True, exist_ok=True)
    return folder
