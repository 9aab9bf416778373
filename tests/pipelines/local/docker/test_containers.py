"""Runs in containers of the real image, by a real daemon: what a task sees, how it may end, and that nothing differs
from a run in processes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from kfp import compiler, dsl
from kfp.dsl import Artifact, Output

from penstock.components import wrapper
from penstock.components.wrapper import component
from penstock.core.errors import UserError
from penstock.pipelines import local
from penstock.pipelines.config.training_pipeline import Config
from penstock.pipelines.local.docker import daemon
from penstock.pipelines.local.docker.containers import Containers
from penstock.pipelines.local.docker.mounts import Mount
from tests.servers.docker_daemon import Built, Docker

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
Run = Callable[..., local.RunSummary]
# Training may differ in its last bits. TensorFlow writes a SavedModel's graph in no fixed order.
ALIKE = ("csv-example-gen", "statistics-gen", "schema-gen", "example-validator", "transform")
UNORDERED = ("saved_model.pb", "fingerprint.pb")


@component
def look(seen: Output[Artifact], paths: list) -> None:
    import json
    import os
    import pathlib
    import socket
    import tempfile

    def writable(path: str) -> bool:
        try:
            pathlib.Path(path, "written").touch()
            return True
        except OSError:
            return False

    folder = pathlib.Path(seen.path)
    folder.mkdir(parents=True)
    facts = {
        "user": [os.getuid(), os.getgid()],
        "interfaces": [name for _, name in socket.if_nameindex()],
        "listings": {path: sorted(os.listdir(path)) if os.path.isdir(path) else None for path in paths},
        "writable": [path for path in (*paths, "/", "/opt", "/var/tmp", "/etc") if writable(path)],
        "temporary": tempfile.gettempdir(),
    }
    (folder / "seen.json").write_text(json.dumps(facts))


@dsl.pipeline(name="looking")
def looking(paths: list) -> None:
    look(paths=paths).set_caching_options(False)


@pytest.fixture
def host(docker: Docker, image: Built, monkeypatch: pytest.MonkeyPatch) -> str:
    """The daemon's address, where clients find it, once it has the image."""
    monkeypatch.setenv("DOCKER_HOST", docker.address)
    return docker.address


@pytest.fixture
def run(spec_path: Path, tmp_path: Path, host: str, image: Built) -> Run:
    """Runs the small pipeline in containers, in a root of this test's own."""

    def run_small(**arguments: Any) -> local.RunSummary:
        containers = Containers(image.name, [], {})
        root = tmp_path / "runs"
        return local.run(
            spec_path, name="small", pipeline_root=root, arguments=arguments, sources={}, containers=containers
        )

    return run_small


def statuses(summary: local.RunSummary) -> dict[str, str]:
    return {task.name: task.status for task in summary.tasks}


def test_tasks_run_and_are_recorded_as_in_processes(run: Run, image: Built) -> None:
    summary = run(count=6)
    assert statuses(summary) == {"source": "done", "total": "done", "announce": "done"}
    assert summary.tasks[0].counts == {"rows": 6}
    assert summary.tasks[0].outputs["numbers"]["metadata"] == {"rows": 6}
    assert "the sum is 15" in (summary.run_folder / "announce" / "log.txt").read_text()
    assert json.loads((summary.run_folder / "run.json").read_text())["image"] == image.name
    assert f"in {image.name}" in (summary.run_folder / "report.html").read_text()


def test_the_cache_tells_images_apart(run: Run, docker: Docker, image: Built, tmp_path: Path, spec_path: Path) -> None:
    run(count=6)
    assert statuses(run(count=6)) == {"source": "cached", "total": "cached", "announce": "done"}
    arguments = {"count": 6}
    alone = local.run(spec_path, name="small", pipeline_root=tmp_path / "runs", arguments=arguments, sources={})
    assert statuses(alone) == {"source": "done", "total": "done", "announce": "done"}
    digest = docker("image", "inspect", "--format", "{{.Id}}", image.name).strip().removeprefix("sha256:")[:12]
    assert alone.tasks[0].reason == f"image {digest} -> none"


@pytest.mark.parametrize(
    ("mode", "code", "message"),
    [
        ("user error", 2, "total failed: {folder}/source/numbers: expected more than 3 numbers\n  line 1\n  line 2"),
        ("bug", 1, "total failed: ZeroDivisionError: this is ours"),
        ("exit", 2, "total failed: the task's process ended with exit code 3 before it had written its outputs"),
        ("killed", 1, "total failed: the task was ended by SIGKILL, most likely for memory"),
        ("crashed", 1, "total failed: the task was ended by SIGSEGV"),
    ],
)
def test_a_failure_is_told_as_in_processes(run: Run, mode: str, code: int, message: str) -> None:
    summary = run(count=3, mode=mode)
    assert statuses(summary) == {"source": "done", "total": "failed", "announce": "skipped"}
    assert summary.exit_code == code
    assert summary.failure is not None
    assert summary.failure.startswith(message.format(folder=summary.run_folder))
    assert summary.failure.endswith(f"log: {summary.run_folder}/total/log.txt")


def test_an_image_that_cannot_run_tasks_says_why_in_the_log(
    docker: Docker, host: str, spec_path: Path, tmp_path: Path
) -> None:
    containers = Containers("debian:trixie-slim", [], {})
    summary = local.run(
        spec_path, name="x", pipeline_root=tmp_path, arguments={"count": 1}, sources={}, containers=containers
    )
    assert summary.failure is not None
    assert summary.failure.startswith("source failed: its container ended too early")
    assert "python3: not found" in (summary.run_folder / "source" / "log.txt").read_text()


def test_what_docker_refuses_is_told(host: str, image: Built, spec_path: Path, tmp_path: Path) -> None:
    containers = Containers(image.name, [Mount("/nowhere/data", "/nowhere/data")], {})
    summary = local.run(
        spec_path, name="x", pipeline_root=tmp_path, arguments={"count": 1}, sources={}, containers=containers
    )
    assert summary.failure is not None
    assert summary.failure.startswith("source failed: Docker refused to run a container: ")
    assert "/nowhere/data" in summary.failure.splitlines()[0]


def test_an_image_that_is_not_here_is_not_pulled(host: str) -> None:
    with pytest.raises(UserError, match=r"^the image registry\.invalid/x:1 is not on this machine: `docker pull"):
        Containers("registry.invalid/x:1", [], {})
    with pytest.raises(UserError, match=r"^the image penstock-python:\S+ is not on this machine: `make image`"):
        daemon.find_image(daemon.connect(), wrapper.IMAGE + ".1")


def test_gpus_are_asked_for_where_docker_has_some(
    host: str, image: Built, load: Callable[..., Config], capsys: pytest.CaptureFixture[str]
) -> None:
    config = load(["resources.trainer={accelerator: {type: L4, count: 2}}", "resources.default={cpu: 1}"])
    with local.containers_for(config, image.name) as containers:
        told = capsys.readouterr().err
        assert ("penstock: no GPU for trainer: " in told) is not daemon.has_gpus(daemon.connect().info())
        assert containers.runner().container_run_args["device_requests"] == []
        (request,) = containers.runner(gpus=2).container_run_args["device_requests"]
        assert (request["Count"], request["Capabilities"]) == (2, [["gpu"]])


def test_a_container_sees_what_is_mounted_and_no_more(host: str, image: Built, tmp_path: Path) -> None:
    read, written, hidden = (tmp_path / name for name in ("read", "written", "hidden"))
    for folder in (read, written, hidden):
        folder.mkdir()
        (folder / "file").touch()
    spec = tmp_path / "looking.yaml"
    compiler.Compiler().compile(looking, str(spec))
    mounted = [Mount(str(read), str(read)), Mount(str(written), str(written), writable=True)]
    summary = local.run(
        spec,
        name="looking",
        pipeline_root=tmp_path / "runs",
        arguments={"paths": [str(read), str(written), str(hidden)]},
        sources={},
        containers=Containers(image.name, mounted, {}),
    )
    assert summary.status == "done", summary.failure
    seen = json.loads((summary.run_folder / "look" / "seen" / "seen.json").read_text())
    assert seen["user"] == [os.getuid(), os.getgid()]
    assert seen["interfaces"] == ["lo"]
    assert seen["listings"] == {str(read): ["file"], str(written): ["file"], str(hidden): None}
    assert seen["writable"] == [str(written)]
    assert seen["temporary"].startswith("/kfp-workspace/")
    assert (written / "written").stat().st_uid == os.getuid()


def test_an_interrupt_leaves_no_container(
    docker: Docker, host: str, image: Built, tmp_path: Path, spec_path: Path
) -> None:
    mark = tmp_path / "runs" / "started"
    program = (
        "import sys; from pathlib import Path; from penstock.pipelines import local; "
        "from penstock.pipelines.local.docker.containers import Containers; "
        f"local.run(Path({str(spec_path)!r}), name='small', pipeline_root=Path({str(mark.parent)!r}), sources={{}}, "
        f"arguments={{'count': 3, 'mode': 'sleep:{mark}'}}, containers=Containers({image.name!r}, [], {{}}))"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 120
    while not mark.exists():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < until
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    assert "KeyboardInterrupt" in process.communicate(timeout=30)[1]
    until = time.monotonic() + 10
    while docker("ps", "--all", "--quiet", "--filter", "label=penstock.run"):
        assert time.monotonic() < until, "the task's container is still there"
        time.sleep(0.1)


def penstock(python: str, docker: Docker, *arguments: str) -> str:
    command = [python, "-m", "penstock.pipelines.cli.main", *arguments]
    done = subprocess.run(command, env=docker.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def contents(folder: Path, tasks: Sequence[str]) -> dict[str, bytes]:
    """Returns the files of tasks' artifacts by their paths below the run's folder, with that folder's path masked."""
    files = (path for task in tasks for path in (folder / task).glob("*/**/*") if path.is_file())
    own = str(folder).encode()
    return {
        path.relative_to(folder).as_posix(): path.read_bytes().replace(own, b"RUN")
        for path in files
        if path.name not in UNORDERED
    }


def test_the_taxi_pipeline_makes_in_the_image_what_it_makes_here(
    python: str, docker: Docker, image: Built, taxi_head: Callable[[int], Path], tmp_path: Path
) -> None:
    config = yaml.safe_load((Path(__file__).parents[4] / "examples" / "taxi" / "pipeline.yaml").read_text())
    config["data"]["path"] = str(taxi_head(3000))
    config["training"] = {"train_steps": 20, "eval_steps": 2}
    config["evaluation"]["thresholds"] = {"auc": {"min": 0.01}}
    runs = {}
    for runner in ("docker", "subprocess"):
        config["pipeline_root"], config["push"]["directory"] = str(tmp_path / runner), str(tmp_path / f"push-{runner}")
        path = tmp_path / f"{runner}.yaml"
        path.write_text(yaml.safe_dump(config))
        told = penstock(python, docker, "run", str(path), "--runner", runner)
        assert "model: BLESSED" in told
        (pushed,) = (tmp_path / f"push-{runner}").glob("*/saved_model.pb")
        assert str(pushed.parent) in told
        (runs[runner],) = (path.parent for path in (tmp_path / runner).glob("*/run.json"))
    made, expected = (contents(runs[runner], ALIKE) for runner in ("docker", "subprocess"))
    assert made.keys() == expected.keys()
    assert [name for name in made if made[name] != expected[name]] == []
    for folder in ("csv-example-gen/examples", "statistics-gen/statistics", "transform/transformed_examples"):
        assert any(name.startswith(f"{folder}/Split-train/") for name in made)
