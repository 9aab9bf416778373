"""The local run of pipelines of other shapes: loops, retries, a full disk, and what kfp.local itself refuses."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest
from kfp import compiler, dsl
from kfp.dsl import Artifact, Output
from kfp.local import config

from penstock.components.wrapper import component
from penstock.core.errors import SystemFailure
from penstock.pipelines import local

pytestmark = pytest.mark.usefixtures("forks")


@component
def square(of: Output[Artifact], number: int, bad: int) -> None:
    import pathlib
    import time

    time.sleep(0.2 * number)
    if number == bad:
        raise ValueError(f"{number} is bad")
    folder = pathlib.Path(of.path)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "square").write_text(str(number * number))


@dsl.pipeline(name="loop")
def loop(bad: int) -> None:
    with dsl.ParallelFor([1, 2, 3]) as number:
        square(number=number, bad=bad)


@component
def flaky(out: Output[Artifact], mark: str) -> None:
    import pathlib

    folder = pathlib.Path(out.path)
    assert not folder.exists(), "nothing is left of the first try"
    folder.mkdir(parents=True)
    if not pathlib.Path(mark).exists():
        pathlib.Path(mark).touch()
        raise ConnectionError("the first try fails")


@dsl.pipeline(name="retried")
def retried(mark: str) -> None:
    flaky(mark=mark).set_retry(1)


@component
def write(out: Output[Artifact], megabytes: int) -> None:
    import pathlib

    folder = pathlib.Path(out.path)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "data").write_bytes(b"x" * (megabytes << 20))


@dsl.pipeline(name="large")
def large(megabytes: int) -> None:
    write(megabytes=megabytes)


def run(pipeline: Any, folder: Path, root: Path | None = None, **arguments: Any) -> local.RunSummary:
    spec = folder / "spec.yaml"
    compiler.Compiler().compile(pipeline, str(spec))
    return local.run(spec, name=pipeline.name, pipeline_root=root or folder / "r", arguments=arguments, sources={})


def test_every_turn_of_a_loop_has_its_own_row_and_folder(tmp_path: Path) -> None:
    summary = run(loop, tmp_path, bad=0)
    assert summary.status == "done"
    assert summary.run_folder.parent == tmp_path / "r"
    assert sorted((task.name, task.status) for task in summary.tasks) == [
        (f"for-loop-2-iteration-{turn}/square", "done") for turn in range(3)
    ]
    squares = {path.read_text() for path in summary.run_folder.glob("*/square/of/square")}
    assert squares == {"1", "4", "9"}
    assert [path.parent for path in (tmp_path / "r").rglob("run.json")] == [summary.run_folder]
    assert {task.status for task in run(loop, tmp_path, bad=0).tasks} == {"cached"}


def test_the_turn_that_fails_is_the_one_that_is_named(tmp_path: Path) -> None:
    summary = run(loop, tmp_path, bad=2)
    assert summary.status == "failed"
    assert str(summary.failure).startswith("for-loop-2-iteration-1/square failed: ValueError: 2 is bad")


def test_a_retry_starts_afresh_and_its_success_counts(tmp_path: Path) -> None:
    summary = run(retried, tmp_path, mark=str(tmp_path / "mark"))
    assert (summary.status, summary.exit_code, summary.failure) == ("done", 0, None)
    assert [task.status for task in summary.tasks] == ["done"]


def test_a_disk_that_fills_is_one_sentence(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        summary = run(large, tmp_path, small, megabytes=4)
        assert summary.exit_code == 2
        assert str(summary.failure).startswith("write failed: the disk is full: free some space and run again")
        assert (summary.run_folder / "run.json").exists(), "the half-written output made room for it"
        assert run(large, tmp_path, small, megabytes=0).status == "done"
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_what_kfp_refuses_is_one_sentence_and_leaves_it_as_it_was(tmp_path: Path) -> None:
    before = config.LocalExecutionConfig.instance
    with pytest.raises(SystemFailure, match=r"kfp.local could not run the pipeline 'loop'"):
        run(loop, tmp_path)
    assert config.LocalExecutionConfig.instance is before


@pytest.mark.slow
def test_ctrl_c_ends_a_loop_at_once(tmp_path: Path) -> None:
    spec = tmp_path / "loop.yaml"
    compiler.Compiler().compile(loop, str(spec))
    text = spec.read_text()
    spec.write_text(text.replace("time.sleep(0.2 * number)", "time.sleep(60)"))
    assert spec.read_text() != text
    program = textwrap.dedent(f"""
        import sys
        from pathlib import Path
        from penstock.pipelines import local
        try:
            local.run(Path({str(spec)!r}), name="loop", pipeline_root=Path({str(tmp_path / "r")!r}),
                      arguments={{"bad": 0}}, sources={{}})
        except KeyboardInterrupt:
            sys.exit(130)
    """)
    process = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while len(list((tmp_path / "r").glob("*/*/square/log.txt"))) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(timeout=10) == 130
