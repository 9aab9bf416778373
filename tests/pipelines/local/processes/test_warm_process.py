"""Warm workers: forks, exit codes, several tasks at once, and that nothing outlives its run."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from penstock.core.failures import FAILURE_FILE
from penstock.pipelines.local.processes import warm_process
from penstock.pipelines.local.processes.task import LOG_FILE, Task
from penstock.pipelines.local.processes.warm_process import Worker


def task(folder: Path, body: str) -> Task:
    source = "def f() -> None:\n" + "".join(f"    {line}\n" for line in body.splitlines())
    return Task("f", source, {"outputs": {"outputFile": str(folder / "executor_output.json")}}, {"GREETING": "hello"})


@pytest.fixture
def warm() -> Iterator[Worker]:
    started = Worker(["json"])
    yield started
    started.close()


def test_a_task_runs_in_a_fork_with_its_own_log(warm: Worker, tmp_path: Path) -> None:
    print_it = "import os, sys\nprint(os.environ['GREETING'], os.getppid() > 1)\nprint('noise', file=sys.stderr)"
    assert warm.run(task(tmp_path, print_it)) == 0
    log = (tmp_path / LOG_FILE).read_text()
    assert "hello True" in log
    assert "noise" in log


def test_what_a_task_needs_is_imported_before_it_is_forked(warm: Worker, tmp_path: Path) -> None:
    look = "import sys\nassert 'wave' in sys.modules"
    assert warm.run(task(tmp_path, look), needs=["wave", "no_such_module"]) == 0
    assert warm.run(task(tmp_path, look)) == 0, "the worker keeps it"


def test_the_start_is_told_when_the_task_starts_and_not_when_it_ends(warm: Worker, tmp_path: Path) -> None:
    told = tmp_path / "told"
    wait = f"import os, time\nend = time.monotonic() + 30\nwhile not os.path.exists({str(told)!r}):\n"
    body = wait + "    assert time.monotonic() < end\n    time.sleep(0.01)"
    assert warm.run(task(tmp_path / "task", body), needs=["wave"], started=told.touch) == 0


@pytest.mark.parametrize(("body", "code"), [("raise SystemExit(3)", 2), ("import os; os.kill(os.getpid(), 9)", -9)])
def test_exit_codes_tell_of_the_end(warm: Worker, tmp_path: Path, body: str, code: int) -> None:
    assert warm.run(task(tmp_path, body)) == code
    assert warm.run(task(tmp_path, "pass")) == 0, "the worker lives on"


def test_tasks_at_once_get_their_own_answers(warm: Worker, tmp_path: Path) -> None:
    codes: dict[int, int] = {}

    def run(number: int) -> None:
        body = f"import time; time.sleep({0.3 * (3 - number)})\nif {number} == 1: raise ValueError('one')"
        codes[number] = warm.run(task(tmp_path / str(number), body))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == {0: 0, 1: 1, 2: 0}


def test_a_failure_shows_the_users_lines_and_not_ours(warm: Worker, tmp_path: Path) -> None:
    module = tmp_path / "user_module.py"
    module.write_text("def preprocess():\n    return 1 / 0\n")
    body = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\nimport user_module\nuser_module.preprocess()"
    assert warm.run(task(tmp_path, body)) == 1
    failure = json.loads((tmp_path / FAILURE_FILE).read_text())
    assert failure["message"] == "ZeroDivisionError: division by zero"
    assert f'File "{module}", line 2, in preprocess' in failure["details"]
    assert "component" not in failure["details"]
    assert "Traceback" in (tmp_path / LOG_FILE).read_text()


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("raise RuntimeError('IOError: No space left on device; x')", "the disk is full"),
        ("import os; raise OSError(27, 'File too large', 'x')", "a file outgrew this account's limit"),
        ("raise MemoryError", "the task ran out of memory"),
    ],
)
def test_limits_of_the_machine_are_one_sentence(warm: Worker, tmp_path: Path, body: str, sentence: str) -> None:
    warm.run(task(tmp_path, body))
    assert json.loads((tmp_path / FAILURE_FILE).read_text())["message"].startswith(sentence)


def test_a_task_that_exits_is_not_done(warm: Worker, tmp_path: Path) -> None:
    assert warm.run(task(tmp_path, "raise SystemExit(0)")) == 2
    message = json.loads((tmp_path / FAILURE_FILE).read_text())["message"]
    assert message == "the task called sys.exit(0): expected its function to return, or to raise an error"


def test_a_message_of_ours_is_a_line_of_the_log(warm: Worker, tmp_path: Path) -> None:
    """Whatever the names in it hold: warnings are told at a run's end."""
    name = "'a\\nb \\x1b[31m'"
    body = f"import logging; [logging.getLogger(log).warning('column %s', {name}) for log in ('penstock.x', 'users')]"
    assert warm.run(task(tmp_path, body)) == 0
    log = (tmp_path / LOG_FILE).read_text()
    assert " WARNING penstock.x: column a\\nb \\x1b[31m\n" in log
    assert " WARNING users: column a\nb " in log


def test_a_full_disk_loses_the_task_and_no_more(warm: Worker, tmp_path: Path) -> None:
    (tmp_path / "output").mkdir()
    (tmp_path / "output" / "half").touch()
    assert warm.run(task(tmp_path, "raise OSError(28, 'No space left on device')")) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == [FAILURE_FILE, LOG_FILE]


@pytest.mark.parametrize("stop", [Worker.close, Worker.stop_tasks])
def test_a_stopped_task_ends_with_all_that_it_started(
    warm: Worker, tmp_path: Path, stop: Callable[[Worker], None]
) -> None:
    body = (
        "import os, pathlib, subprocess, time\n"
        "child = subprocess.Popen(['sleep', '60'])\n"
        f"pathlib.Path({str(tmp_path / 'half')!r}).write_text(f'{{os.getpid()}} {{child.pid}}')\n"
        f"os.rename({str(tmp_path / 'half')!r}, {str(tmp_path / 'pids')!r})\n"
        "time.sleep(60)"
    )
    thread = threading.Thread(target=warm.run, args=(task(tmp_path, body),))
    thread.start()
    wait_for((tmp_path / "pids").exists)
    pids = list(map(int, (tmp_path / "pids").read_text().split()))
    stop(warm)
    thread.join(timeout=10)
    assert not thread.is_alive()
    wait_for(lambda: not any(map(alive, pids)))
    assert warm.run(task(tmp_path, "pass")) == -signal.SIGKILL, "no task starts after that"


def test_a_worker_that_was_killed_is_told_like_a_killed_task(warm: Worker, tmp_path: Path) -> None:
    os.kill(warm._process.pid, signal.SIGKILL)
    assert warm.run(task(tmp_path, "pass")) == -signal.SIGKILL


def test_without_warmth_the_same_code_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm_process, "WARM", False)
    cold = Worker(["wave"])
    assert cold.run(task(tmp_path, "import sys\nassert 'wave' not in sys.modules"), needs=["wave"]) == 0
    cold.close()


def test_a_module_that_ends_the_process_when_it_is_imported_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "leaves.py").write_text("import os\nos._exit(0)\n")
    (tmp_path / "exits.py").write_text("raise SystemExit(0)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    started = Worker(["json"])
    assert started.run(task(tmp_path / "exits", "pass"), ["exits"]) == 0, "the task that imports it will say so"
    assert started.run(task(tmp_path / "leaves", "pass"), ["penstock.core.errors", "leaves"]) == 2
    failure = json.loads((tmp_path / "leaves" / FAILURE_FILE).read_text())
    assert failure["message"].startswith(
        "importing what the task needs ended the process with exit code 0: one of its modules (leaves) calls os._exit"
    )
    started.close()


def test_temporary_files_go_with_their_task(tmp_path: Path) -> None:
    body = (
        "import os, pathlib, tempfile\n"
        "folder = tempfile.mkdtemp(prefix='beam-pipeline-temp')\n"
        "open(os.path.join(os.environ['TMPDIR'], '__autograph_generated_file1.py'), 'w').close()\n"
        f"pathlib.Path({str(tmp_path / 'seen')!r}).write_text(folder)\n"
    )
    with tempfile.TemporaryDirectory() as place:  # not in tmp_path, whose name may be long
        started = Worker(["tempfile"], Path(place))
        for end in ("", "os._exit(0)", "os.kill(os.getpid(), 9)"):
            started.run(task(tmp_path / "task", body + end))
            seen = Path((tmp_path / "seen").read_text())
            assert seen.parent.parent == Path(place)
            assert not os.listdir(place)
        started.close()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a worker imports nothing")
def test_a_worker_ends_with_its_run_in_the_middle_of_an_import(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("import time\nopen(__file__ + '.begun', 'w').close()\ntime.sleep(60)\n")
    program = (
        "import os, time\nfrom penstock.pipelines.local.processes.warm_process import Worker\n"
        "worker = Worker(['slow'])\n"
        "while not os.path.exists('slow.py.begun'): time.sleep(0.01)\n"
        "print(worker._process.pid, flush=True)\ntime.sleep(60)\n"
    )
    run = subprocess.Popen(
        [sys.executable, "-c", program], cwd=tmp_path, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": "."}
    )
    assert run.stdout
    pid = int(run.stdout.readline())
    run.kill()
    run.wait()
    run.stdout.close()
    wait_for(lambda: not alive(pid))


def test_a_module_in_the_current_folder_is_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project's own file must not stand in for the published copy, whose folder the task puts on sys.path."""
    (tmp_path / "features.py").touch()
    monkeypatch.chdir(tmp_path)
    started = Worker(["features"])
    assert started.run(task(tmp_path / "task", "import sys\nassert 'features' not in sys.modules"), ["features"]) == 0
    started.close()


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
