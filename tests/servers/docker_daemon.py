"""A Docker daemon of the tests' own: on a socket in a folder of its own, without a network but the host's, and with
the base image made of Debian's packages, so that no registry is needed. PENSTOCK_DOCKER_HOST names a daemon to use in
its place, which pulls the base image if it must.

Where none can be had, the tests that ask for one are skipped, and say why.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import certifi
import pytest

import bootstrap
import image as image_module
from penstock.components import wrapper
from tests.servers import package_index

BASE = "debian:trixie-slim"
ROOT = Path(__file__).resolve().parents[2]
_STARTS = 30  # seconds that the daemon has to answer


@dataclass(frozen=True)
class Docker:
    """A daemon, by its address."""

    address: str

    @property
    def environment(self) -> dict[str, str]:
        """For commands that use the daemon. Debian's own client comes first: another may lack BuildKit."""
        return os.environ | {
            "DOCKER_HOST": self.address,
            "DOCKER_BUILDKIT": "1",
            "PATH": f"/usr/bin:{os.environ['PATH']}",
        }

    def command(self, *arguments: str) -> list[str]:
        return [str(shutil.which("docker", path=self.environment["PATH"])), *arguments]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs the client to its end, however it ends."""
        command = self.command(*arguments)
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)

    def __call__(self, *arguments: str) -> str:
        """Runs the client; returns what it prints."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="session")
def docker() -> Iterator[Docker]:
    """A daemon that has the base image."""
    given = os.environ.get("PENSTOCK_DOCKER_HOST")
    if given:
        yield Docker(given)
        return
    missing = [name for name in ("docker", "dockerd", "mmdebstrap") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"no Docker here: {', '.join(missing)} not installed (apt-get install docker.io mmdebstrap)")
    if os.getuid() != 0:
        pytest.skip("no Docker here: a daemon of the tests' own needs root; PENSTOCK_DOCKER_HOST names another one")
    folder = Path(tempfile.mkdtemp(prefix="penstock-docker-"))
    try:
        yield from _daemon(folder)
    finally:
        subprocess.run(["rm", "-rf", str(folder)], check=False)  # hundreds of thousands of files: Python takes minutes


def _daemon(folder: Path) -> Iterator[Docker]:
    settings = {
        "data-root": f"{folder}/data",
        "exec-root": f"{folder}/exec",
        "pidfile": f"{folder}/pid",
        "hosts": [f"unix://{folder}/socket"],
        "bridge": "none",
        "iptables": False,
    }
    (folder / "daemon.json").write_text(json.dumps(settings))
    docker = Docker(f"unix://{folder}/socket")
    with open(folder / "log", "w") as log:
        command = ["dockerd", "--config-file", str(folder / "daemon.json")]
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        _wait(docker, process, folder / "log")
        _import_base(docker, folder / "base.tar")
        yield docker
    finally:
        process.terminate()
        process.wait(timeout=60)


def _wait(docker: Docker, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _STARTS
    while docker.run("version").returncode:
        if process.poll() is not None or time.monotonic() > until:
            last = (log.read_text(errors="replace").splitlines() or ["it says nothing"])[-1]
            pytest.skip(f"no Docker here: the daemon does not start: {last}")
        time.sleep(0.2)


def _import_base(docker: Docker, path: Path) -> None:
    """Makes the image that the Dockerfile begins with, from the mirror that this machine's packages come from."""
    packages = ["--variant=minbase", "--include=ca-certificates", "trixie", str(path), bootstrap.mirror()]
    done = subprocess.run(["mmdebstrap", "--quiet", *packages], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no base image here: mmdebstrap: {(done.stderr.splitlines() or ['failed'])[-1]}")
    docker("import", str(path), BASE)
    path.unlink()


@dataclass(frozen=True)
class Built:
    """The image as `image.py` built it, what that printed, the SBOM, and an authority that the build trusted."""

    name: str
    printed: str
    sbom: dict[str, Any]
    authority: str


@pytest.fixture(scope="session")
def image(docker: Docker, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The image of the tasks, built as `make image` does where one authority more is trusted."""
    output = tmp_path_factory.mktemp("image")
    authority = package_index.certificates()[0]
    (output / "ca.pem").write_text(Path(_trusted()).read_text() + authority)
    command = [sys.executable, str(ROOT / "image.py"), "--output", str(output), *network()]
    environment = docker.environment | {"SSL_CERT_FILE": str(output / "ca.pem")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-5000:]
    (sbom,) = output.glob("*.cdx.json")
    return Built(wrapper.IMAGE, done.stdout, json.loads(sbom.read_text()), authority)


def _trusted() -> str:
    """Returns the bundle of certificates that the build trusts by itself."""
    return next((word.partition("src=")[2] for word in image_module.certificates() if "src=" in word), certifi.where())


def network() -> list[str]:
    """Returns the arguments of `docker build` for a daemon that has no network but the host's, and for proxies."""
    proxies = [name for name in os.environ if name.lower() in ("http_proxy", "https_proxy", "no_proxy")]
    return ["--network", "host", *(word for name in proxies for word in ("--build-arg", name))]
