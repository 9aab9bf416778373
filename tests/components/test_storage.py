"""Nothing half-written is ever taken for finished."""

import os
import threading
from pathlib import Path

import pytest

from penstock.components import storage
from penstock.components.errors import DataError, PenstockError, UserError, explain_os_error


def test_a_body_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "file"
    storage.write_text(path, "before")

    def fail_half_way() -> None:
        with storage.replacing(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["file"]


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    for content in ("first", "second"):
        with storage.replacing(target) as temporary:
            temporary.mkdir()
            (temporary / content).touch()
    assert os.listdir(target) == ["second"]


def test_a_copied_tree_gets_its_mark_last(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    for name in ("saved_model.pb", "variables/variables.index", "assets/zzz"):
        storage.write_text(source / name, name)
    seen: list[str] = []

    def watch() -> None:
        while not stop.is_set():
            if (target / "saved_model.pb").exists():
                seen.extend(path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file())
                return

    stop = threading.Event()
    watcher = threading.Thread(target=watch)
    watcher.start()
    storage.copy_tree(source, target, last=["saved_model.pb"])
    stop.set()
    watcher.join()
    copied = {path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()}
    assert copied == {"saved_model.pb", "variables/variables.index", "assets/zzz"}
    assert not seen or set(seen) == copied


def test_a_digest_depends_on_names_and_contents_alone(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        storage.write_text(tmp_path / folder / "a", "1")
        storage.write_text(tmp_path / folder / "b", "2")
    digests = [storage.digest((tmp_path / name).iterdir(), tmp_path / name) for name in ("one", "two")]
    assert digests[0] == digests[1]
    (tmp_path / "two" / "a").rename(tmp_path / "two" / "c")
    assert storage.digest((tmp_path / "two").iterdir(), tmp_path / "two") != digests[0]


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left") as caught:
        Path("/dev/full").write_text("content")
    explained = explain_os_error(caught.value)
    assert isinstance(explained, UserError)
    assert "the disk is full" in explained.message
    assert explain_os_error(ConnectionResetError(104, "reset")) is None


def test_errors_cross_processes_whole() -> None:
    import pickle

    error: PenstockError = pickle.loads(pickle.dumps(DataError("message", "details")))
    assert (type(error), str(error), error.exit_code) == (DataError, "message\ndetails", 2)
