"""Containers in place of workers: kfp's DockerRunner starts one for each task, in the image that clusters run.

A container sees the pipeline root, what the configuration names beside it (mounts.py), and nothing else of this
machine: no network, a root file system that is read-only, the rights of whoever runs the pipeline. There is no warm
worker in it: its imports are its own.
"""

import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Any, Self

from kfp import local
from kfp.dsl.constants import WORKSPACE_MOUNT_PATH
from kfp.local import config

from penstock.core.errors import PenstockError, SystemFailure, WorkerLost
from penstock.core.failures import FAILURE_FILE, describe
from penstock.core.files import atomic, documents
from penstock.pipelines.config.training_pipeline import Config
from penstock.pipelines.local.docker import daemon, mounts
from penstock.pipelines.local.docker.entrypoint import EXIT_CODE_FILE, TASK_FILE
from penstock.pipelines.local.docker.mounts import Mount
from penstock.pipelines.local.processes.task import LOG_FILE, Task

_LABEL = "penstock.run"
_TEMPORARY = "tmp"
# What is said before the task's log is open, such as that there is no Python, goes to the log as well.
_COMMAND = 'exec python3 -P -m penstock.pipelines.local.docker.entrypoint "$0" >>"$1" 2>&1'


class Containers:
    """Runs tasks in containers of an image, which must be on this machine.

    `mounted` is what they see of it beside the pipeline root, `accelerators` how many GPUs components ask for, by the
    ends of their names. Raises a UserError if there is no Docker, or not this image.
    """

    def __init__(self, image: str, mounted: Sequence[Mount], accelerators: Mapping[str, int]):
        self._client = daemon.connect()
        from kfp.local.docker_task_handler import DockerTaskHandler  # needs Docker's client

        self._handler = DockerTaskHandler
        self._label = {_LABEL: uuid.uuid4().hex}
        self._mounted = mounted
        self._closed = False
        try:
            self._facts: dict[str, Any] = self._client.info()
            self._image = daemon.find_image(self._client, image)
        except BaseException:
            self._client.close()
            raise
        self._accelerators = accelerators
        if accelerators and not daemon.has_gpus(self._facts):
            names = ", ".join(accelerators)
            print(f"penstock: no GPU for {names}: Docker has no nvidia runtime; on the processor then", file=sys.stderr)
            self._accelerators = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop_tasks()
        self._client.close()

    @property
    def name(self) -> str:
        """The image's name."""
        return self._image.name

    @property
    def image(self) -> str:
        """The image's digest."""
        return self._image.digest

    def expect(self, task: Task) -> None:
        """Nothing can be imported ahead of a container."""

    def run(self, task: Task, started: Callable[[], None]) -> int:
        """Runs a task to its end; returns its exit code, negative for the signal that killed it."""
        if self._closed:
            return -signal.SIGKILL
        configured = config.LocalExecutionConfig.instance
        folder = Path(tempfile.mkdtemp(dir=configured.workspace_root))
        inside = PurePosixPath(WORKSPACE_MOUNT_PATH) / folder.name
        task.folder.mkdir(parents=True, exist_ok=True)
        command = ["sh", "-c", _COMMAND, str(inside), str(task.folder / LOG_FILE)]
        started()
        try:
            (folder / _TEMPORARY).mkdir()
            (folder / TASK_FILE).write_text(json.dumps(asdict(task)), encoding="utf-8")
            with daemon.one_sentence():
                gpus = (count for name, count in self._accelerators.items() if task.function.endswith(name))
                runner = self.runner(next(gpus, 0))
                environment = self._environment(inside)
                self._handler(self._image.name, command, configured.pipeline_root, runner, environment).run()
            # kfp's own word is not asked: of a container that is gone already it takes the best.
            return int((folder / EXIT_CODE_FILE).read_text())
        except FileNotFoundError:
            return self._failed(task, WorkerLost("its container ended too early: its log, or Docker's, may say why"))
        except SystemFailure as failure:
            return self._failed(task, failure)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def stop_tasks(self) -> None:
        """Removes the run's containers, and starts no more."""
        import docker
        import requests

        self._closed = True
        gone = (docker.errors.DockerException, requests.RequestException)
        label = "=".join(*self._label.items())
        with contextlib.suppress(*gone):
            for container in self._client.containers.list(all=True, filters={"label": label}):
                with contextlib.suppress(*gone):  # such as one that is being removed already
                    container.remove(force=True)

    def runner(self, gpus: int = 0) -> local.DockerRunner:
        """Returns how kfp is to start containers."""
        from docker.types import DeviceRequest, Mount

        security = self._facts.get("SecurityOptions") or []
        binds = [Mount(m.target, m.source, type="bind", read_only=not m.writable) for m in self._mounted]
        return local.DockerRunner(
            # Where the daemon itself runs as the caller, the caller is root in its containers.
            user="0:0" if "name=rootless" in security else f"{os.getuid()}:{os.getgid()}",
            group_add=[str(group) for group in os.getgroups()],
            network_mode="none",
            mounts=binds,
            read_only=True,
            tmpfs={"/tmp": "mode=1777"},
            labels=self._label,
            # SELinux would keep the container from folders that are not labelled as its own.
            security_opt=["no-new-privileges", *(["label=disable"] if "name=selinux" in security else [])],
            device_requests=[DeviceRequest(count=gpus, capabilities=[["gpu"]])] if gpus else [],
        )

    def _environment(self, folder: PurePosixPath) -> dict[str, str]:
        variables = {"_KFP_RUNTIME": "true", "TMPDIR": str(folder / _TEMPORARY)}
        if any(mount.target.startswith(f"{mounts.PACKAGES}/") for mount in self._mounted):
            own = self._image.environment.get("PYTHONPATH")
            variables["PYTHONPATH"] = f"{own}:{mounts.PACKAGES}" if own else mounts.PACKAGES
        return variables

    def _failed(self, task: Task, failure: PenstockError) -> int:
        if self._closed:
            return -signal.SIGKILL
        atomic.write_text(task.folder / FAILURE_FILE, documents.json_text(describe(failure)))
        return failure.exit_code


def containers_for(settings: Config, image: str) -> Containers:
    """Returns the containers of a configuration's tasks; raises a UserError where they cannot be had."""
    accelerators = {}
    for name in type(settings.resources).model_fields.keys() - {"default"}:
        resources = settings.resources.of(name)
        if resources and resources.accelerator:
            accelerators[name] = resources.accelerator.count
    return Containers(image, mounts.needed(settings), dict(sorted(accelerators.items())))
