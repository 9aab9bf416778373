"""Where versions are found, in folders and in object stores, and what is passed over."""

from pathlib import Path

import pytest

from penstock.components.model_server.models.places import place
from tests.servers.object_stores import ObjectStore

MODEL = {"saved_model.pb": b"graph", "variables/variables.index": b"index", "assets.extra/schema.pbtxt": b""}


def write(folder: Path, files: dict[str, bytes] = MODEL) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def test_versions_of_a_folder(tmp_path: Path) -> None:
    for name in ("1", "0012", "notes", "-3", "99999999999999999999"):
        write(tmp_path / name)
    write(tmp_path / "13", {"variables/variables.index": b"being copied"})
    versions = place(str(tmp_path)).versions()
    assert [*versions] == [1, 12]
    with place(str(tmp_path)).fetched(12) as folder:
        assert folder == tmp_path / "0012"
    (tmp_path / "1" / "variables" / "variables.index").write_bytes(b"longer index")
    changed = place(str(tmp_path)).versions()
    assert (changed[1] != versions[1], changed[12]) == (True, versions[12])


@pytest.mark.parametrize(("name", "version"), [("model", 1), ("17", 17), ("0", 1)])
def test_one_model_is_a_version(tmp_path: Path, name: str, version: int) -> None:
    write(tmp_path / name)
    assert [*place(str(tmp_path / name)).versions()] == [version]
    with place(str(tmp_path / name)).fetched(version) as folder:
        assert folder == tmp_path / name


@pytest.mark.parametrize("inner", ["Format-Serving", "Format-Serving/export/taxi/1646034756"])
def test_an_artifact_is_one_model(tmp_path: Path, inner: str) -> None:
    write(tmp_path / "model" / inner)
    with place(f"file://{tmp_path}/model").fetched(1) as folder:
        assert folder == tmp_path / "model" / inner


def test_nothing_is_there(tmp_path: Path) -> None:
    assert place(str(tmp_path / "nothing")).versions() == {}


def test_a_version_in_an_object_store_is_fetched(object_store: ObjectStore) -> None:
    base = object_store.write(
        {f"{version}/{name}": content for version in ("3", "x") for name, content in MODEL.items()}
        | {"4/variables/variables.index": b"being copied"},
        "places",
    )
    versions = place(base).versions()
    assert [*versions] == [3]
    with place(base).fetched(3) as folder:
        files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        assert files == MODEL
    assert not folder.exists()
    assert place(f"{base}/3/").versions() == versions
    with place(f"{base}/3/").fetched(3) as folder:
        assert (folder / "saved_model.pb").read_bytes() == b"graph"
