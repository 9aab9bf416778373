"""No Docker, in each of its ways: one sentence, and exit code 2. None of these needs a daemon."""

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.core.errors import SystemFailure, UserError
from penstock.pipelines.cli import main
from penstock.pipelines.local.docker import daemon


@pytest.fixture
def unanswered() -> Iterator[Path]:
    """A socket's path that any account may see, at which nobody answers."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        path = Path(folder) / "docker.sock"
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(path))
        yield path


def test_no_client_for_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "docker", None)
    with pytest.raises(UserError, match="pip install docker"):
        daemon.connect()


def test_not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(daemon, "SOCKET", f"unix://{tmp_path}/docker.sock")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="needs Docker, which is not installed"):
        daemon.connect()


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch, unanswered: Path) -> None:
    for address in (f"unix://{unanswered}", "unix:///nowhere/docker.sock", "tcp://127.0.0.1:1"):
        monkeypatch.setenv("DOCKER_HOST", address)
        with pytest.raises(UserError, match=f"no Docker daemon answers at {address}: start Docker"):
            daemon.connect()


@pytest.mark.slow
@pytest.mark.skipif(os.getuid() != 0, reason="becomes another account, which takes root")
def test_no_permission(unanswered: Path) -> None:
    os.chmod(unanswered, 0o600)
    program = "from penstock.pipelines.local.docker import daemon; daemon.connect()"
    environment = os.environ | {"DOCKER_HOST": f"unix://{unanswered}", "HOME": str(unanswered.parent)}
    done = subprocess.run(
        [sys.executable, "-c", program], user=65534, group=65534, env=environment, capture_output=True, text=True
    )
    assert f"permission denied: Docker's socket {unanswered}: join its group" in done.stderr


def test_the_command_ends_with_one_sentence(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    assert main.main(["run", str(config), "--runner", "docker"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "penstock: no Docker daemon answers at unix:///nowhere/docker.sock: start Docker, or name its address in "
        "DOCKER_HOST"
    ]
    assert not (config.parent / "runs").exists()


def test_gpus_are_what_the_daemon_says_of_itself() -> None:
    assert daemon.has_gpus({"Runtimes": {"runc": {}, "nvidia": {}}})
    assert daemon.has_gpus(
        {"Runtimes": {"runc": {}}, "DiscoveredDevices": [{"Source": "cdi", "ID": "nvidia.com/gpu=0"}]}
    )
    assert not daemon.has_gpus({"Runtimes": {"runc": {}}, "DiscoveredDevices": None})


def test_a_container_that_is_gone_before_its_log_is_read_is_no_refusal() -> None:
    errors = pytest.importorskip("docker.errors")
    with daemon.one_sentence():
        raise errors.APIError("409", explanation="can not get logs from container which is dead or marked for removal")
    with pytest.raises(SystemFailure, match="Docker refused to run a container: no space left"), daemon.one_sentence():
        raise errors.APIError("500", explanation="no space left on device")
