"""Pods as Docker's containers of the task's own image."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from kfp.compiler import compiler_utils

from tests.servers.cluster.pods import USER, Container, Pod
from tests.servers.docker_daemon import Docker

_RESTRICTED = ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--user", f"{USER}:{USER}"]


class DockerPod(Pod):
    def __init__(self, docker: Docker, name: str, folder: Path, container: Container) -> None:
        super().__init__(name, folder, container)
        self._docker = docker

    def command_line(self, command: Sequence[str]) -> list[str]:
        options = ["--rm", "--pull", "never", "--network", "host", "--name", self.name, *_RESTRICTED]
        for mount in self.mounts:
            options += ["--volume", f"{mount.outside}:{mount.inside}" + ("" if mount.writable else ":ro")]
        for name, value in self.environment.items():
            options += ["--env", f"{name}={value}"]
        if self.container.memory:
            gigabytes = compiler_utils._memory_to_float(self.container.memory)
            options += ["--memory", str(round(gigabytes * 1e9))]
        first, *others = command
        environment = [f"DOCKER_HOST={self._docker.address}"]
        line = self._docker.command("run", *options, "--entrypoint", first, self.container.image, *others)
        return ["env", *environment, *line]

    def kill_process(self, process: subprocess.Popen[bytes]) -> None:
        self._docker.run("kill", self.name)
