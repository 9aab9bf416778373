"""A task on a cluster has succeeded if it has left its output: its exit code, its signals, its end."""

import json
import signal
import time
from pathlib import Path

import psutil
import pytest

from penstock.core.failures import FAILURE_FILE
from tests.core.test_failures import Pod

SOURCE = """
from kfp.dsl import *

def pusher(pushed_model: Output[Model], model: Input[Model]) -> None:
    import ctypes, os, pathlib, signal, sys
    import penstock.components.pusher
    {body}
"""


@pytest.fixture
def pod(tmp_path: Path) -> Pod:
    return Pod(tmp_path)


@pytest.mark.parametrize("body", ["os._exit(0)", "ctypes.CDLL(None).exit(0)", "os.execv('/bin/true', ['true'])"])
def test_an_end_without_outputs_is_no_success(pod: Pod, tmp_path: Path, body: str) -> None:
    done = pod.run("pusher", str(tmp_path / "run"), source=SOURCE.format(body=body))
    sentence = "the task's process ended with exit code 0 before it had written its outputs, and without an error: "
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()[-1].startswith(f"penstock: {sentence}something in it calls os._exit")
    assert pod.termination_log.read_text().startswith(sentence)
    assert json.loads((tmp_path / "run" / FAILURE_FILE).read_text())["exit_code"] == 2


def test_a_task_with_outputs_succeeds_and_says_everything_once(pod: Pod, tmp_path: Path) -> None:
    done = pod.run("pusher", str(tmp_path / "run"), source=SOURCE.format(body="print('from the task')"))
    assert (done.returncode, done.stdout.count("from the task")) == (0, 1), done.stderr
    output = json.loads((tmp_path / "outputs" / "output_metadata.json").read_text())
    assert output["artifacts"].keys() == {"pushed_model"}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
        ("signal.signal(15, lambda *_: os._exit(7)); os.kill(os.getppid(), 15); signal.pause()", 7),
    ],
)
def test_it_ends_as_the_task_does_and_hands_on_signals(pod: Pod, tmp_path: Path, body: str, code: int) -> None:
    assert pod.run("pusher", str(tmp_path / "run"), source=SOURCE.format(body=body)).returncode == code


def test_the_task_does_not_outlive_it(pod: Pod, tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    body = f"pathlib.Path({str(mark)!r}).write_text(str(os.getpid())); os.kill(os.getppid(), 9); signal.pause()"
    assert pod.run("pusher", str(tmp_path / "run"), source=SOURCE.format(body=body)).returncode == -signal.SIGKILL
    task, deadline = int(mark.read_text()), time.monotonic() + 20
    while psutil.pid_exists(task) and psutil.Process(task).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.02)
