"""Folders that a model server watches: what it serves, and how the version before it comes back."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from penstock.components.pusher import destinations
from penstock.components.pusher.destinations.folder import Folder, destination
from penstock.core.artifacts import SavedModel
from penstock.core.errors import ConfigError, UserError
from tests.servers.object_stores import ObjectStore

type MakeModel = Callable[[str], Path]


def folder(base: str, canary: int | None = None) -> Folder:
    settings = {"base_directory": base, "canary": canary}
    return destination("push_destination.filesystem", json.loads(json.dumps(settings)))


@pytest.fixture(params=["local", "s3"])
def base(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "local":
        return str(tmp_path / "serving")
    store: ObjectStore = request.getfixturevalue("s3_store")
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)
    store.remove_everything()
    return store.uri("serving")


def test_the_newest_version_has_all_requests_and_a_rollback_pushes_the_one_before_it(
    base: str, make_model: MakeModel
) -> None:
    taxi = folder(base)
    assert taxi.endpoint() is None
    with pytest.raises(UserError, match="it holds no version: there is none to roll back to"):
        destinations.rollback(taxi)
    old = destinations.push(taxi, make_model("old"))
    with pytest.raises(UserError, match=f"it holds only version {old.version}: there is none to roll back to"):
        destinations.rollback(taxi)
    new = destinations.push(taxi, make_model("new"))
    endpoint = taxi.endpoint()
    assert endpoint is not None
    assert endpoint.name == base
    assert [(one.version, one.percent, one.uri) for one in endpoint.deployments] == [
        (new.version, 100, f"{base}/{new.version}"),
        (old.version, 0, f"{base}/{old.version}"),
    ]
    assert all(one.created.startswith("20") for one in endpoint.deployments)
    back = destinations.rollback(taxi)
    assert int(back.version) > int(new.version)
    assert digest(taxi) == SavedModel(make_model("old")).digest()
    assert [one.version for one in folder(base).endpoint().deployments] == [back.version, new.version]  # type: ignore[union-attr]
    destinations.rollback(taxi)
    assert digest(taxi) == SavedModel(make_model("new")).digest(), "as `kubectl rollout undo` does"


def digest(taxi: Folder) -> str:
    (newest,) = taxi.storage.newest(1)
    with taxi.storage.reading(newest) as model:
        return SavedModel(model).digest()


def test_what_a_killed_push_has_left_is_no_version(make_model: MakeModel, tmp_path: Path) -> None:
    taxi = folder(str(tmp_path / "serving"))
    old = destinations.push(taxi, make_model("old"))
    (tmp_path / "serving" / "99999999999" / "variables").mkdir(parents=True)
    endpoint = taxi.endpoint()
    assert endpoint is not None
    assert [one.version for one in endpoint.deployments] == [old.version]


def test_a_folder_has_no_canary(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a folder has no canary: its newest version has all requests"):
        destinations.promote(folder(str(tmp_path)))


def shares(taxi: Folder) -> dict[str, str]:
    endpoint = taxi.endpoint()
    assert endpoint is not None
    return {one.version: f"{one.percent} %{' canary' * one.canary}" for one in endpoint.deployments}


def test_a_canary_is_promoted_and_rolled_back_and_no_version_is_written_for_it(
    base: str, make_model: MakeModel
) -> None:
    taxi = folder(base, canary=10)
    old = destinations.push(taxi, make_model("old")).version
    assert shares(taxi) == {old: "100 %"}, "the first version has all requests at once"
    with pytest.raises(UserError, match=f"there is no canary: version {old} has 100 %"):
        destinations.promote(taxi)
    with pytest.raises(UserError, match=f"version {old} is the first that serves: there is none to roll back to"):
        destinations.rollback(taxi)
    pushed = destinations.push(taxi, make_model("new"))
    new = pushed.version
    assert (pushed.percent, pushed.new, len(pushed.notes)) == (10, True, 1)
    assert shares(taxi) == {old: "90 %", new: "10 % canary"}
    again = destinations.push(taxi, make_model("new"))
    assert (again.version, again.percent, again.new) == (new, 10, False)
    with pytest.raises(UserError, match=f"version {new} is on trial there with 10 %"):
        destinations.push(taxi, make_model("other"))
    assert destinations.promote(taxi).version == new
    assert shares(taxi) == {new: "100 %", old: "0 %"}
    assert destinations.push(taxi, make_model("new")).new is False
    assert destinations.rollback(taxi).version == old
    assert shares(taxi) == {old: "100 %", new: "0 %"}
    assert destinations.rollback(taxi).version == new, "as `kubectl rollout undo` does"

    third = destinations.push(taxi, make_model("third")).version
    assert destinations.rollback(taxi).version == new
    assert shares(taxi) == {new: "100 %", old: "0 %"}
    assert destinations.push(folder(base), make_model("third")).version == third, "without a canary it has all at once"
    assert shares(taxi) == {third: "100 %", new: "0 %"}
    assert len(taxi.storage.newest(9)) == 3


def test_a_folder_that_serves_already_gets_its_first_canary(base: str, make_model: MakeModel) -> None:
    old = destinations.push(folder(base), make_model("old")).version
    new = destinations.push(folder(base, canary=25), make_model("new")).version
    assert shares(folder(base)) == {old: "75 %", new: "25 % canary"}
    assert destinations.rollback(folder(base)).version == old


def test_a_push_that_is_killed_leaves_what_served(make_model: MakeModel, tmp_path: Path) -> None:
    taxi = folder(str(tmp_path), canary=10)
    old = destinations.push(taxi, make_model("old")).version
    taxi.storage.push(make_model("new"))  # and the push is killed before it says what share the version has
    assert shares(taxi) == {old: "100 %"}
    new = destinations.push(taxi, make_model("new")).version
    assert shares(taxi) == {old: "90 %", new: "10 % canary"}
    assert len(taxi.storage.newest(9)) == 2


def test_a_version_that_is_gone_is_not_said_to_serve(make_model: MakeModel, tmp_path: Path) -> None:
    taxi = folder(str(tmp_path), canary=10)
    old, new = (destinations.push(taxi, make_model(name)).version for name in ("old", "new"))
    before = (tmp_path / "traffic.json").read_bytes()
    for version, change in ((new, destinations.promote), (old, destinations.rollback)):
        shutil.move(tmp_path / version, tmp_path / "away")
        with pytest.raises(UserError, match=f"version {version} is not there any more, so what serves stays"):
            change(taxi)
        assert (tmp_path / "traffic.json").read_bytes() == before
        shutil.move(tmp_path / "away", tmp_path / version)


def test_what_serves_is_pushed_again_while_another_is_on_trial(make_model: MakeModel, tmp_path: Path) -> None:
    taxi = folder(str(tmp_path), canary=10)
    old, new = (destinations.push(taxi, make_model(name)).version for name in ("old", "new"))
    again = destinations.push(taxi, make_model("old"))
    assert (again.version, again.percent, again.new) == (old, 90, False)
    assert shares(taxi) == {old: "90 %", new: "10 % canary"}


@pytest.mark.parametrize(
    "content",
    ["", "{", '{"stable": "old"}', '{"stable": 1, "share": 10}', '{"stable": 1, "canary": 2, "percent": 101}'],
)
def test_shares_that_are_damaged_are_told(content: str, tmp_path: Path) -> None:
    (tmp_path / "traffic.json").write_text(content)
    with pytest.raises(ConfigError, match=r"traffic\.json"):
        folder(str(tmp_path)).endpoint()


@pytest.mark.parametrize("canary", [0, 100, 2.5, "many"])
def test_a_share_that_can_be_none_is_told(canary: object, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"filesystem\.canary: expected "):
        destination("push_destination.filesystem", {"base_directory": str(tmp_path), "canary": canary})
