"""Buckets mounted as Vertex AI mounts them: /gcs is a file system of FUSE, and no other way leads to the store.

What is in a bucket is there when a task's machine starts, and what the task leaves is in the bucket when the machine
ends; in between the mount is consistent in itself, as Cloud Storage FUSE is. (rclone's mounts of buckets are not: files
that are renamed or read while they are being uploaded are lost or cannot be read.) Empty folders do not last.
"""

import json
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from tests.servers.object_stores import BUCKET, request

_PATIENCE = 20.0
_BOUNDARY = b"==penstock=="


class Mount:
    """The bucket of a store that speaks Google's JSON API, in `folder`/gcs."""

    def __init__(self, folder: Path, endpoint: str, user: int) -> None:
        self.folder = folder / "gcs"
        self.folder.mkdir()
        self._endpoint, self._copy = endpoint, folder / "bucket"
        (self._copy / BUCKET).mkdir(parents=True)
        for name in self._listed():
            path = self._copy / BUCKET / name
            path.parent.mkdir(parents=True, exist_ok=True)
            address = f"{endpoint}/download/storage/v1/b/{BUCKET}/o/{urllib.parse.quote(name, safe='')}?alt=media"
            path.write_bytes(request(address, "GET"))
        self._before = self._states()
        owner = [f"--force-user={user}", f"--force-group={user}", "--perms=a+rwX"]
        command = ["bindfs", "-f", *owner, "-o", "allow_other", str(self._copy), str(self.folder)]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        until = time.monotonic() + _PATIENCE
        while not self.folder.is_mount():
            assert self._process.poll() is None, "bindfs has ended"
            assert time.monotonic() < until, "bindfs mounts nothing"
            time.sleep(0.02)

    def unmount(self) -> None:
        """Ends the mount, and brings the bucket up to date with what was written and removed."""
        subprocess.run(["fusermount3", "-u", "-z", str(self.folder)], check=True)
        self._process.wait()
        after = self._states()
        for name in sorted(after):
            if after[name] != self._before.get(name):
                self._upload(name)
        for name in self._before.keys() - after.keys():
            address = f"{self._endpoint}/storage/v1/b/{BUCKET}/o/{urllib.parse.quote(name, safe='')}"
            request(address, "DELETE")

    def _listed(self) -> list[str]:
        items = json.loads(request(f"{self._endpoint}/storage/v1/b/{BUCKET}/o", "GET")).get("items", [])
        return [item["name"] for item in items]

    def _states(self) -> dict[str, tuple[int, int]]:
        root = self._copy / BUCKET
        files = [path for path in root.rglob("*") if path.is_file()]
        return {path.relative_to(root).as_posix(): (path.stat().st_mtime_ns, path.stat().st_size) for path in files}

    def _upload(self, name: str) -> None:
        """In parts, as clients do: the stand-in for the store takes no empty object otherwise."""
        address = f"{self._endpoint}/upload/storage/v1/b/{BUCKET}/o?uploadType=multipart"
        content = (self._copy / BUCKET / name).read_bytes()
        about = json.dumps({"name": name}).encode()
        parts = [
            b"Content-Type: application/json\r\n\r\n" + about,
            b"Content-Type: application/octet-stream\r\n\r\n" + content,
        ]
        body = b"".join(b"--" + _BOUNDARY + b"\r\n" + part + b"\r\n" for part in parts) + b"--" + _BOUNDARY + b"--"
        headers = {"Content-Type": f"multipart/related; boundary={_BOUNDARY.decode()}"}
        urllib.request.urlopen(urllib.request.Request(address, body, headers, method="POST")).close()


def require() -> None:
    """Skips where no bucket can be mounted."""
    missing = [name for name in ("bindfs", "fusermount3") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"no bucket can be mounted here: {', '.join(missing)} not installed (apt-get install bindfs fuse3)")
    if not Path("/dev/fuse").exists():
        pytest.skip("no bucket can be mounted here: there is no /dev/fuse")
