"""The server's process ends with the task, however that ends. A program that only sleeps stands in for the server."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from penstock.components.infra_validator import process

SLEEPER = """
import json, os, sys, time
held = b"x" * (32 << 20)
print("settings:", sys.argv[1])
print("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYS")
print(json.dumps({"http": "http://127.0.0.1:8123"}), flush=True)
if "exit" in os.environ.get("SLEEPER", ""):
    sys.exit("no such model")
time.sleep(60)
"""
TASK = """
import sys
from pathlib import Path
from penstock.components.infra_validator import process
process.MODULE = "sleeper"
with process.started(Path("/"), "taxi", {}) as server:
    while server.url() is None:
        pass
    print(server.process.pid, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def sleeper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sleeper.py").write_text(SLEEPER)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")])))
    monkeypatch.setattr(process, "MODULE", "sleeper")


def wait_for_url(server: process.Server) -> None:
    deadline = time.monotonic() + 20
    while server.url() is None and time.monotonic() < deadline:
        time.sleep(0.01)


def is_alive(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


def test_it_serves_the_model_on_a_port_of_its_own_and_ends_with_the_context(tmp_path: Path) -> None:
    with process.started(tmp_path / "model", "taxi", {"OMP_NUM_THREADS": "1"}) as server:
        wait_for_url(server)
        assert str(server.url()) == "http://127.0.0.1:8123/v1/models/taxi"
        assert server.ended() == ""
        assert os.getpgid(server.process.pid) == server.process.pid
        memory = server.peak_memory()
        assert memory is not None
        assert memory > 32 << 20
        settings, secret, _ = server.last_lines()
        assert '"name": "taxi"' in settings
        assert "wJalrXUtnFEMI" not in secret
        number = server.process.pid
    assert not is_alive(number)


def test_one_that_ends_by_itself_says_how(tmp_path: Path) -> None:
    with process.started(tmp_path, "taxi", {"SLEEPER": "exit"}) as server:
        server.process.wait(20)
        assert server.ended() == "it ended with exit code 1"
        assert server.last_lines()[-1] == "no such model"
    with process.started(tmp_path, "taxi", {}) as server:
        server.process.kill()
        server.process.wait(20)
        assert server.ended() == "it was killed, most often because there was too little memory"


def test_none_is_left_of_a_task_that_was_killed() -> None:
    """With SIGKILL, after which nothing of the task runs any more."""
    task = subprocess.Popen([sys.executable, "-c", TASK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert task.stdout is not None
    number = int(task.stdout.readline())
    assert is_alive(number)
    os.kill(task.pid, signal.SIGKILL)
    task.wait(20)
    deadline = time.monotonic() + 20
    while is_alive(number) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_alive(number)
    for pipe in (task.stdin, task.stdout):
        if pipe:
            pipe.close()
