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
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import certifi
import pytest

import bootstrap
import image as image_module
from tests import order
from tests.servers import package_index

_INTERPRETER, _ENVIRONMENT = sys.executable, dict(os.environ)  # not what a test that runs meanwhile puts there
_GIVEN = _ENVIRONMENT.get("PENSTOCK_DOCKER_HOST")
BASE = "debian:trixie-slim"
ROOT = Path(__file__).resolve().parents[2]
_STARTS = 60  # seconds that the daemon has to answer


@dataclass(frozen=True)
class Docker:
    """A daemon, by its address."""

    address: str

    @property
    def environment(self) -> dict[str, str]:
        """For commands that use the daemon. Debian's own client comes first: another may lack BuildKit."""
        return _ENVIRONMENT | {
            "DOCKER_HOST": self.address,
            "DOCKER_BUILDKIT": "1",
            "PATH": f"/usr/bin:{_ENVIRONMENT['PATH']}",
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


class _Ahead:
    """A daemon with the base image, and then the images of tasks and server, made in a thread while other tests run."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="penstock-docker-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = ThreadPoolExecutor(1)
        refusal = None if _GIVEN else _refusal()
        mirror = "" if _GIVEN or refusal else bootstrap.mirror()
        self.docker = self._thread.submit(self._start, refusal, mirror)
        trusted = _trusted()
        self.image = self._thread.submit(lambda: _build(self.docker.result(), "runtime", self.folder, trusted))
        self.serving_image = self._thread.submit(lambda: _build(self.docker.result(), "serving", self.folder, trusted))

    def _start(self, refusal: str | None, mirror: str) -> Docker:
        if _GIVEN:
            return Docker(_GIVEN)
        if refusal:
            pytest.skip(f"no Docker here: {refusal}")
        docker = Docker(f"unix://{self.folder}/socket")
        self._process = _daemon(self.folder)
        _wait(docker, self._process, self.folder / "log")
        _import_base(docker, self.folder / "base.tar", mirror)
        return docker

    def end(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)
        if self._process:
            self._process.terminate()  # a build that goes on fails of it
            self._process.wait(timeout=60)
        self._thread.shutdown()
        # Hundreds of thousands of files: Python takes minutes.
        subprocess.run(["rm", "-rf", str(self.folder)], check=False)


def _refusal() -> str | None:
    """Returns why no daemon can be started here."""
    missing = [name for name in ("docker", "dockerd", "mmdebstrap") if shutil.which(name) is None]
    if missing:
        return f"{', '.join(missing)} not installed (apt-get install docker.io mmdebstrap)"
    if os.getuid() != 0:
        return "a daemon of the tests' own needs root; PENSTOCK_DOCKER_HOST names another one"
    return None


_ahead: _Ahead | None = None


def pytest_collection_finish(session: pytest.Session) -> None:
    """Begins at once where a test will ask for it: of several processes, in the first, which those tests are given."""
    global _ahead
    asked = any(order.group(item.nodeid) == "docker" for item in session.items)
    if _is_first() and asked and not session.config.option.collectonly:
        _ahead = _Ahead()


def _is_first() -> bool:
    return os.environ.get("PYTEST_XDIST_WORKER", "gw0") == "gw0"


def pytest_sessionfinish() -> None:
    if _ahead:
        _ahead.end()


def _prepared() -> _Ahead:
    global _ahead
    if not _is_first():  # a test that asks by request.getfixturevalue is not seen when tests are collected
        pytest.fail("a second image would be built: expected the test's file in the group docker of tests/order.py")
    _ahead = _ahead or _Ahead()
    return _ahead


@pytest.fixture(scope="session")
def docker() -> Docker:
    """A daemon that has the base image."""
    return _prepared().docker.result()


def _daemon(folder: Path) -> subprocess.Popen[bytes]:
    settings = {
        "data-root": f"{folder}/data",
        "exec-root": f"{folder}/exec",
        "pidfile": f"{folder}/pid",
        "hosts": [f"unix://{folder}/socket"],
        "bridge": "none",
        "iptables": False,
    }
    (folder / "daemon.json").write_text(json.dumps(settings))
    command = ["dockerd", "--config-file", str(folder / "daemon.json")]
    with open(folder / "log", "w") as log:
        options = {"stdin": subprocess.DEVNULL, "env": _ENVIRONMENT, "start_new_session": True}
        return subprocess.Popen(command, stdout=log, stderr=log, **options)


def _wait(docker: Docker, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _STARTS
    while docker.run("version").returncode:
        if process.poll() is not None or time.monotonic() > until:
            last = (log.read_text(errors="replace").splitlines() or ["it says nothing"])[-1]
            pytest.skip(f"no Docker here: the daemon does not start: {last}")
        time.sleep(0.2)


def _import_base(docker: Docker, path: Path, mirror: str) -> None:
    """Makes the image that the Dockerfile begins with, from the mirror that this machine's packages come from.

    As the real one, which is called slim for it, it has no documentation.
    """
    slim = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "info", "lintian", "locale", "man")]
    packages = ["--variant=minbase", "--include=ca-certificates", *slim, "trixie", str(path), mirror]
    done = subprocess.run(
        ["mmdebstrap", "--quiet", *packages], env=_ENVIRONMENT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"no base image here: mmdebstrap: {(done.stderr.splitlines() or ['failed'])[-1]}")
    docker("import", str(path), BASE)
    path.unlink()


@dataclass(frozen=True)
class Built:
    """An image as `image.py` built it, what that printed, the SBOM, and an authority that the build trusted."""

    target: str
    name: str
    printed: str
    sbom: dict[str, Any]
    authority: str


@pytest.fixture(scope="session")
def image(docker: Docker) -> Built:
    """The image of the tasks, built as `make image` does where one authority more is trusted."""
    return _prepared().image.result()


@pytest.fixture(scope="session")
def serving_image(docker: Docker) -> Built:
    """The image of the model server, built after that of the tasks, with which it shares its packages."""
    return _prepared().serving_image.result()


def _build(docker: Docker, target: str, folder: Path, trusted: str) -> Built:
    output = folder / target
    output.mkdir()
    authority = package_index.certificates()[0]
    (output / "ca.pem").write_text(Path(trusted).read_text() + authority)
    command = [_INTERPRETER, str(ROOT / "image.py"), "--target", target, "--output", str(output), *network()]
    environment = docker.environment | {"SSL_CERT_FILE": str(output / "ca.pem")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-5000:]
    (sbom,) = output.glob("*.cdx.json")
    name = image_module.NAMES[target].format(metadata.version("penstock"))
    return Built(target, name, done.stdout, json.loads(sbom.read_text()), authority)


def _trusted() -> str:
    """Returns the bundle of certificates that the build trusts by itself."""
    return next((word.partition("src=")[2] for word in image_module.certificates() if "src=" in word), certifi.where())


def network() -> list[str]:
    """Returns the arguments of `docker build` for a daemon that has no network but the host's, and for proxies."""
    proxies = [name for name in _ENVIRONMENT if name.lower() in ("http_proxy", "https_proxy", "no_proxy")]
    return ["--network", "host", *(word for name in proxies for word in ("--build-arg", name))]
