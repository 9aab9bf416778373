"""Nothing half-written is ever taken for finished."""

import contextlib
import errno
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from penstock.core.errors import ConfigError, DataError, PenstockError, UserError, explain_os_error
from penstock.core.files import atomic, temporary
from tests.servers.mounts import FUSE


def test_a_body_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "file"
    atomic.write_text(path, "before")

    def fail_half_way() -> None:
        with atomic.replacing(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["file"]


def test_a_name_may_be_as_long_as_names_are(tmp_path: Path) -> None:
    for name in ("x" * 255, "ä" * 127):
        atomic.write_text(tmp_path / name, name)
        assert (tmp_path / name).read_text() == name
        with atomic.replacing(tmp_path / name) as temporary:
            assert temporary.name.startswith(".")
            assert temporary.name.endswith(".tmp"), "as remove_leftovers looks for"
            temporary.touch()


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    for content in ("first", "second"):
        with atomic.replacing(target) as temporary:
            temporary.mkdir()
            (temporary / content).touch()
    assert os.listdir(target) == ["second"]


def test_a_folder_is_moved_file_by_file_where_it_cannot_be_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cloud Storage FUSE refuses to rename a folder that is not empty, with EMFILE."""
    rename = os.replace

    def renames_files_only(source: Path, target: Path) -> None:
        if Path(source).is_dir():
            raise OSError(errno.EMFILE, "too many objects to be renamed", str(source))
        rename(source, target)

    monkeypatch.setattr(os, "replace", renames_files_only)
    target = tmp_path / "folder"
    for content in ("first", "second"):
        with atomic.replacing(target) as temporary:
            (temporary / "deep").mkdir(parents=True)
            (temporary / "deep" / content).write_text(content)
    assert {path.name: path.read_text() for path in target.rglob("*") if path.is_file()} == {"second": "second"}
    assert os.listdir(tmp_path) == ["folder"], "nothing temporary is left"


def test_a_file_that_a_worker_keeps_elsewhere_gets_to_another_disk(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as other:
        if Path(other).stat().st_dev == tmp_path.stat().st_dev:
            pytest.skip("needs /dev/shm on another file system")
        with temporary.kept_in(Path(other)):
            for content in (b"one", b"two"):
                atomic.write_bytes(tmp_path / "name", content)
        assert os.listdir(other) == []
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"name": b"two"}


def test_a_copied_tree_gets_its_mark_last(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    for name in ("saved_model.pb", "variables/variables.index", "assets/zzz"):
        atomic.write_text(source / name, name)
    seen: list[str] = []

    def watch() -> None:
        while not stop.is_set():
            if (target / "saved_model.pb").exists():
                seen.extend(path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file())
                return

    stop = threading.Event()
    watcher = threading.Thread(target=watch)
    watcher.start()
    atomic.copy_tree(source, target, last=["saved_model.pb"])
    stop.set()
    watcher.join()
    copied = {path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()}
    assert copied == {"saved_model.pb", "variables/variables.index", "assets/zzz"}
    assert not seen or set(seen) == copied


def test_a_digest_depends_on_names_and_contents_alone(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        atomic.write_text(tmp_path / folder / "a", "1")
        atomic.write_text(tmp_path / folder / "b", "2")
    digests = [atomic.digest((tmp_path / name).iterdir(), tmp_path / name) for name in ("one", "two")]
    assert digests[0] == digests[1]
    (tmp_path / "two" / "a").rename(tmp_path / "two" / "c")
    assert atomic.digest((tmp_path / "two").iterdir(), tmp_path / "two") != digests[0]


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


IS_MOUNTED = """
import sys
from pathlib import Path
from penstock.core.files import atomic as storage
storage._MOUNTS["gs"] = Path(sys.argv[1])
print(*(storage.is_mounted(uri) for uri in sys.argv[2:]))
"""


@pytest.mark.skipif(os.getuid() != 0, reason="mounting needs root")
@pytest.mark.parametrize(
    ("point", "kind", "mounted"),
    [
        ("gcs", "fuse.gcsfuse", "True True False"),  # Vertex AI: all buckets
        ("gcs/bucket", "fuse", "True False False"),  # one bucket, as a CSI driver mounts it
        ("gcs", "tmpfs", "False False False"),  # the scratch folder of Kubeflow Pipelines, in memory
        ("gcs", "bind", "False False False"),  # and on the node's disk
        ("other", "fuse", "False False False"),
    ],
)
def test_a_bucket_is_mounted_where_its_file_system_is_one_of_buckets(
    tmp_path: Path, point: str, kind: str, mounted: str
) -> None:
    """Real mounts, in a namespace that ends with the process."""
    root = tmp_path / "with space" / "gcs"
    at = tmp_path / "with space" / point
    (root / "bucket").mkdir(parents=True)
    at.mkdir(exist_ok=True)
    look = [sys.executable, "-c", IS_MOUNTED, str(root), "gs://bucket/a", "gs://other/a", "https://bucket/a"]
    if kind.startswith("fuse"):
        command = [sys.executable, "-c", FUSE, str(at), kind, *look]
    else:
        (tmp_path / "scratch").mkdir()
        options = ["-o", "bind", str(tmp_path / "scratch")] if kind == "bind" else ["-t", kind, kind]
        command = ["sh", "-c", 'mount "$0" "$1" "$2" "$3" && shift 3 && exec "$@"', *options, str(at), *look]
    done = subprocess.run(["unshare", "-m", *command], capture_output=True, text=True, check=False)
    if "cannot mount" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert (done.stdout.strip(), done.stderr) == (mounted, "")


def test_without_a_table_of_mounts_nothing_is_mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(atomic._MOUNTS, "gs", tmp_path)
    monkeypatch.setattr(atomic, "_MOUNT_TABLE", tmp_path / "none")
    assert not atomic.is_mounted("gs://bucket/a")
    with pytest.raises(ConfigError, match="expected a local folder, or a bucket that is mounted, received 'gs://b/a'"):
        atomic.local_path("gs://b/a")


@pytest.mark.parametrize("name", ["a" * 255, "ä" * 127, "a" * 241])
def test_a_name_as_long_as_file_systems_allow(name: str, tmp_path: Path) -> None:
    atomic.write_text(tmp_path / name, "content")
    assert os.listdir(tmp_path) == [name]
    assert (tmp_path / name).read_text() == "content"


@pytest.mark.parametrize("function", ["open", "fsync"])
@pytest.mark.parametrize(("code", "is_told"), [(errno.EINVAL, False), (errno.EIO, True), (errno.ENOSPC, True)])
def test_a_disk_that_fails_is_no_file_system_without_sync_of_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str, code: int, is_told: bool
) -> None:
    def failing(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, function, failing)
    with pytest.raises(OSError, match=os.strerror(code)) if is_told else contextlib.nullcontext():
        atomic.sync_folder(tmp_path)
