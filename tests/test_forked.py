"""Interpreters that have imported are to their callers as others are."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest


def test_a_program_runs_as_the_callers_own(python: str, tmp_path: Path) -> None:
    code = (
        "import json, os, sys, tensorflow\n"
        "json.dump([sys.argv, os.getcwd(), os.environ.get('WHO'), sys.stdin.read(), sys.executable], sys.stdout)\n"
        "print('noise', file=sys.stderr)\n"
        "os.write(int(sys.argv[1]), b'through a descriptor')\n"
        "sys.exit(7)"
    )
    read, write = os.pipe()
    done = subprocess.run(
        [python, "-P", "-c", code, str(write), "two words"], cwd=tmp_path, env={"WHO": "me"}, pass_fds=[write],
        input="in", capture_output=True, text=True, check=False,
    )  # fmt: skip
    os.close(write)
    assert (done.returncode, done.stderr) == (7, "noise\n")
    assert json.loads(done.stdout) == [["-c", str(write), "two words"], str(tmp_path), "me", "in", python]
    assert os.read(read, 100) == b"through a descriptor"
    os.close(read)


def test_imports_are_done(python: str) -> None:
    code = "import sys; print({'tensorflow', 'penstock.pipelines.cli.main', 'apache_beam'} <= sys.modules.keys())"
    assert subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout == "True\n"
    start = "import subprocess, sys; subprocess.run([sys.executable, '-P', *sys.argv[1:]], check=True)"
    inner = subprocess.run([python, "-c", start, "-c", code], capture_output=True, text=True, check=True)
    assert inner.stdout == "True\n"


def test_modules_and_files_are_programs(python: str, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.py").write_text("import sys, json\njson.dump([__name__, __file__, sys.argv], sys.stdout)")
    shown = [
        json.loads(subprocess.run([interpreter, *program, "x"], cwd=tmp_path, capture_output=True, check=True).stdout)
        for interpreter in (python, sys.executable)
        for program in (["-m", "one"], ["two.py"])
    ]
    assert shown[:2] == shown[2:]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_signals_reach_it(python: str, tmp_path: Path, number: signal.Signals) -> None:
    code = "import os, pathlib, time; pathlib.Path('pid').write_text(str(os.getpid())); time.sleep(60)"
    process = subprocess.Popen([python, "-c", code], cwd=tmp_path, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 20
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        assert time.monotonic() < until
        time.sleep(0.01)
    process.send_signal(number)
    assert process.wait(timeout=20) == -number
    while Path(f"/proc/{(tmp_path / 'pid').read_text()}").exists():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_an_error_is_a_traceback(python: str) -> None:
    done = subprocess.run([python, "-c", "1 / 0"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == "Traceback (most recent call last):"
    assert done.stderr.splitlines()[-1] == "ZeroDivisionError: division by zero"
    done = subprocess.run([python, "-c", "import os; os.abort()"], capture_output=True, check=False)
    assert done.returncode == -signal.SIGABRT
