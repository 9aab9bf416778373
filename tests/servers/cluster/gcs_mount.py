"""Buckets mounted as Vertex AI mounts them: /gcs is a file system of FUSE, and no other way leads to the store."""

import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.servers import ports

_PATIENCE = 60.0


class Mount:
    """All buckets of a store that speaks Google's JSON API, by rclone, in a folder."""

    def __init__(self, folder: Path, endpoint: str) -> None:
        self.folder = folder / "gcs"
        self.folder.mkdir()
        self._log = folder / "rclone.log"
        self._port = ports.reserve()
        options = {
            "gcs-endpoint": f"{endpoint}/storage/v1/",
            "gcs-project-number": "1",
            "cache-dir": str(folder / "rclone"),
            "vfs-cache-mode": "writes",  # what writes in a file's middle works as it does on Vertex AI
            "vfs-write-back": "0s",
            "umask": "0",
            "rc-addr": f"127.0.0.1:{self._port}",
            "log-file": str(self._log),
            "config": "/dev/null",
        }
        flags = ["--gcs-anonymous", "--gcs-bucket-policy-only", "--allow-other", "--rc", "--rc-no-auth"]
        words = [f"--{name}={value}" for name, value in options.items()]
        self._process = subprocess.Popen(["rclone", "mount", ":gcs:", str(self.folder), *flags, *words])
        self._wait(self.folder.is_mount)

    def unmount(self) -> None:
        """Waits until all that was written is in the store, and ends."""
        try:
            self._wait(self._is_written)
        finally:
            subprocess.run(["fusermount3", "-u", "-z", str(self.folder)], check=True)
            self._process.wait()

    def _is_written(self) -> bool:
        request = urllib.request.Request(f"http://127.0.0.1:{self._port}/vfs/stats", method="POST", data=b"")
        with urllib.request.urlopen(request) as answer:
            cache = json.load(answer)["diskCache"]
        return not (cache["uploadsInProgress"] or cache["uploadsQueued"])

    def _wait(self, is_so: Callable[[], bool]) -> None:
        until = time.monotonic() + _PATIENCE
        while not is_so():
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"rclone: {self._log.read_text()[-2000:]}")
            time.sleep(0.02)


def require() -> None:
    """Skips where no bucket can be mounted."""
    missing = [name for name in ("rclone", "fusermount3") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"no bucket can be mounted here: {', '.join(missing)} not installed (apt-get install rclone fuse3)")
    if not Path("/dev/fuse").exists():
        pytest.skip("no bucket can be mounted here: there is no /dev/fuse")
