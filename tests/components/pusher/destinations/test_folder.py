"""Folders that a model server watches: what it serves, and how the version before it comes back."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from penstock.components.pusher import destinations
from penstock.components.pusher.destinations.folder import Folder, destination
from penstock.core.artifacts import SavedModel
from penstock.core.errors import UserError
from tests.servers.object_stores import ObjectStore

type MakeModel = Callable[[str], Path]


def folder(base: str) -> Folder:
    return destination("push_destination.filesystem", json.loads(json.dumps({"base_directory": base})))


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
