"""A small pipeline of real components: numbers are written, summed, and, if the sum is large, announced."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kfp import compiler, dsl
from kfp.dsl import Artifact, Input, Output

from penstock.components.wrapper import component
from penstock.pipelines import local


@component
def source(numbers: Output[Artifact], count: int, module_file: str = "") -> None:
    import pathlib

    from penstock.core import progress

    with progress.task("source") as counts:
        folder = pathlib.Path(numbers.path)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "numbers.txt").write_text("\n".join(map(str, range(count))))
        counts.show(rows=count)
    numbers.metadata.update({"rows": count})


@component
def total(sum_of: Output[Artifact], numbers: Input[Artifact], mode: str = "") -> bool:
    import os
    import pathlib
    import signal
    import subprocess
    import time

    from penstock.core.errors import DataError

    values = list(map(int, (pathlib.Path(numbers.path) / "numbers.txt").read_text().split()))
    if mode == "user error":
        raise DataError(f"{numbers.path}: expected more than {len(values)} numbers", "line 1\nline 2")
    if mode == "bug":
        raise ZeroDivisionError("this is ours")
    if mode == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if mode == "crashed":
        os.kill(os.getpid(), signal.SIGSEGV)
    if mode == "exit":
        os._exit(3)
    if mode == "left":
        os._exit(0)
    if mode == "cut":
        (pathlib.Path(sum_of.path).parent / "executor_output.json").write_text('{"artifacts": {"sum_of": {"art')
        os._exit(0)
    if mode == "full":
        pathlib.Path("/dev/full").write_text("x")
    if "://" in mode:
        print("connecting to", mode)
        print("in two parts", mode[:14], end="", flush=True)
        print(mode[14:])
        os.write(1, f"directly to {mode}\n".encode())
        subprocess.run(["echo", "by another process to", mode], check=True)
        sum_of.metadata["database"] = mode
        raise ConnectionError(f"no answer from {mode}")
    if mode.startswith("sleep"):
        pathlib.Path(mode.split(":", 1)[1]).touch()
        time.sleep(60)
    folder = pathlib.Path(sum_of.path)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sum.txt").write_text(str(sum(values)))
    return sum(values) > 10


@component
def announce(sum_of: Input[Artifact]) -> None:
    import pathlib

    print("the sum is", (pathlib.Path(sum_of.path) / "sum.txt").read_text())


@dsl.pipeline(name="small")
def small(count: int, mode: str = "", module_file: str = "") -> None:
    numbers = source(count=count, module_file=module_file)
    summed = total(numbers=numbers.outputs["numbers"], mode=mode)
    with dsl.If(summed.outputs["Output"] == True):  # noqa: E712
        announced = announce(sum_of=summed.outputs["sum_of"])
        announced.set_caching_options(False)


@component
def steps(model_run: Output[Artifact], enough: int) -> None:
    """Does one step of `enough` and, as long as more are to be done, is killed."""
    import os
    import pathlib
    import signal

    done = pathlib.Path(model_run.path) / "checkpoint" / "steps.txt"
    count = int(done.read_text()) + 1 if done.exists() else 1
    done.parent.mkdir(parents=True, exist_ok=True)
    done.write_text(str(count))
    if count < enough:
        os.kill(os.getpid(), signal.SIGKILL)


@dsl.pipeline(name="training")
def training(enough: int) -> None:
    steps(enough=enough)


@pytest.fixture(scope="session")
def spec_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small pipeline, compiled."""
    path = tmp_path_factory.mktemp("spec") / "small.yaml"
    compiler.Compiler().compile(small, str(path))
    return path


@pytest.fixture
def run(spec_path: Path, tmp_path: Path) -> Callable[..., local.RunSummary]:
    """Runs the small pipeline in a root of this test's own."""

    def run_small(**arguments: Any) -> local.RunSummary:
        options = {name: arguments.pop(name) for name in ("no_cache", "sources") if name in arguments}
        options.setdefault("sources", {})
        return local.run(spec_path, name="small", pipeline_root=tmp_path / "runs", arguments=arguments, **options)

    return run_small


@pytest.fixture
def train(tmp_path: Path) -> Callable[..., local.RunSummary]:
    """Runs a pipeline whose only task is a training that is killed, in a root of this test's own."""
    path = tmp_path / "training.yaml"
    compiler.Compiler().compile(training, str(path))

    def run_training(**arguments: Any) -> local.RunSummary:
        options = {"no_cache": arguments.pop("no_cache", False), "sources": {}}
        return local.run(path, name="training", pipeline_root=tmp_path / "runs", arguments=arguments, **options)

    return run_training
