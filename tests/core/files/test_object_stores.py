"""Object stores, each behind a real server on the loopback interface."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from penstock.core.errors import ConfigError, SystemFailure, UserError
from penstock.core.files import object_stores
from tests.servers import ports
from tests.servers.mounts import as_mounted
from tests.servers.object_stores import ObjectStore


class _Forbids(BaseHTTPRequestHandler):
    """Answers every request as S3 and Google do where an account has no permission."""

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b'{"error": {"code": 403, "message": "no permission"}}'
        if not self.path.startswith(("/storage/", "/upload/")):
            body = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
        self.send_response(403)
        self.send_header("Content-Length", str(0 if self.command == "HEAD" else len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_PUT = do_POST = do_GET

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def forbidding() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Forbids) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_what_is_written_is_listed_and_read(object_store: ObjectStore, tmp_path: Path) -> None:
    root = object_store.write({"a.csv": "one", "deep/er/b.csv": b"\0two"}, "data")
    object_store.write({"c.csv": "a neighbour whose name begins the same"}, "data2")
    with object_stores.open_store(root) as store:
        entries = store.files(root)
        assert {name: entry.size for name, entry in entries.items()} == {"a.csv": 3, "deep/er/b.csv": 4}
        assert store.children(root) == (["a.csv"], ["deep"])
        assert store.children(object_store.uri()) == ([], ["data", "data2"])
        assert store.read(f"{root}/deep/er/b.csv") == b"\0two"
        assert store.is_file(f"{root}/a.csv")
        assert not store.is_file(root)
        assert not store.is_file(f"{root}/none.csv")
        assert store.files(f"{root}/none") == {}
        assert store.children(f"{root}/none") == ([], [])
        (tmp_path / "upload").write_bytes(b"three")
        store.upload(tmp_path / "upload", f"{root}/a.csv")
        changed = store.files(root)
    assert changed["a.csv"].tag != entries["a.csv"].tag
    assert changed["deep/er/b.csv"] == entries["deep/er/b.csv"]
    with object_stores.fetched(root) as folder:
        assert (folder / "a.csv").read_bytes() == b"three"
        assert (folder / "deep" / "er" / "b.csv").read_bytes() == b"\0two"
    assert not folder.exists()


def test_a_fork_after_use_can_use_it_again(object_store: ObjectStore) -> None:
    """Nothing of fsspec is left for a fork to break: no thread, no lock, no connection."""
    before = set(threading.enumerate())  # libraries that read tables by themselves may have left fsspec's own
    root = object_store.write({"a.csv": "one"}, "data")
    left = set(threading.enumerate()) - before
    assert not [thread.name for thread in left if thread.name in ("penstock-store", "fsspecIO")]
    child = os.fork()
    if child == 0:
        status = 1
        try:
            with object_stores.open_store(root) as store:
                status = 0 if store.read(f"{root}/a.csv") == b"one" else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_bucket_to_write_to_that_does_not_exist(object_store: ObjectStore, tmp_path: Path) -> None:
    missing = f"{object_store.scheme}://no-such-bucket"
    (tmp_path / "a").write_bytes(b"a")
    with object_stores.open_store(missing) as store:
        for write in (lambda uri: store.write(uri, b"a"), lambda uri: store.upload(tmp_path / "a", uri)):
            with pytest.raises(ConfigError, match=f"{missing}/a: there is no bucket {missing}: make it, or correct"):
                write(f"{missing}/a")


def test_a_bucket_or_an_object_that_does_not_exist(object_store: ObjectStore) -> None:
    missing = f"{object_store.scheme}://no-such-bucket"
    with object_stores.open_store(missing) as store:
        for look in (store.files, store.children):
            with pytest.raises(ConfigError, match=rf"there is no bucket {missing}: make it, or correct the name"):
                look(f"{missing}/data")
        with pytest.raises(ConfigError, match=r"none.csv does not exist"):
            store.read(object_store.uri("none.csv"))
    with (
        pytest.raises(ConfigError, match=r"expected gs://bucket/path, .* received 'gs:///data'"),
        object_stores.open_store("gs:///data"),
    ):
        pass


def test_without_credentials(object_store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*object_store.environment, "GOOGLE_APPLICATION_CREDENTIALS", "AWS_PROFILE"]:
        if "ENDPOINT" not in name:
            monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    told = r"no credentials found: .*(gcloud auth|AWS_ACCESS_KEY_ID)"
    with pytest.raises(UserError, match=told), object_stores.open_store(object_store.uri()) as store:
        store.files(object_store.uri("data"))


@pytest.mark.parametrize("scheme", ["gs", "s3", "minio"])
def test_without_permission(monkeypatch: pytest.MonkeyPatch, forbidding: str, scheme: str) -> None:
    if scheme == "gs":
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", forbidding)
    else:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "testing")
        monkeypatch.setenv("AWS_ENDPOINT_URL", forbidding)
    uri = f"{scheme}://bucket/data"
    with object_stores.open_store(uri) as store:
        for use in (store.files, store.read, lambda uri: store.write(uri, b"")):
            with pytest.raises(UserError, match=rf"permission denied \(403\): .* write in {scheme}://bucket"):
                use(uri)


def test_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{ports.reserve()}")
    with object_stores.open_store("s3://bucket") as store, pytest.raises(SystemFailure, match="cannot be reached"):
        store.files("s3://bucket/data")


def test_a_missing_extra_is_named() -> None:
    """In a process of its own where nothing installed is found, but for Penstock and the standard library."""
    code = (
        "import sys; sys.modules.update(gcsfs=None, s3fs=None)\n"
        "from penstock.core import errors; from penstock.core.files import object_stores as stores\n"
        "for uri in ('gs://b/x', 's3://b/x'):\n"
        "    try:\n"
        "        with stores.open_store(uri): pass\n"
        "    except errors.UserError as error: print(error)\n"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "gs://b/x: expected a mounted bucket or a library that reads it: pip install gcsfs" in shown
    assert "pip install s3fs" in shown


def test_a_mounted_bucket_is_preferred(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where buckets are mounted, no library and no credentials are needed."""
    assert object_stores.is_remote("gs://bucket/a.txt")
    as_mounted(monkeypatch, "gs", tmp_path, tmp_path / "mountinfo")
    (tmp_path / "bucket").mkdir()
    (tmp_path / "bucket" / "a.txt").write_text("mounted")
    assert not object_stores.is_remote("gs://bucket/a.txt")
    assert object_stores.is_remote("s3://bucket/a.txt")
    with object_stores.reading("gs://bucket/a.txt") as path:
        assert path == tmp_path / "bucket" / "a.txt"
