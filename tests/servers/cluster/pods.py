"""A pod of the cluster: its scratch folders, its user, its environment, and how it ended.

What Kubernetes' restricted standard asks for holds: a numeric user that is not root, no capabilities, no new
privileges; the root is read-only. The KFP compiler mounts empty scratch folders, on a disk, where the launcher copies
artifacts to. The environment is what the image has, what the pipeline gives and what KFP sets: no credentials.
"""

import os
import re
import shutil
import subprocess
import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

USER = 65532
ROOT = Path(__file__).resolve().parents[3]
_MESSAGE_BYTES = 4096  # as much as Kubernetes keeps of a termination message


class PodKilled(Exception):
    """The pod was ended from outside: nothing in it had a last word."""


class NoSuchObject(Exception):
    """A Secret or a claim that the namespace lacks: Kubernetes never starts the pod."""


@dataclass(frozen=True)
class Mount:
    """A folder or a file of this machine, at a path of the pod."""

    inside: str
    outside: Path
    writable: bool = True


@dataclass(frozen=True)
class Container:
    """What the pipeline says of a task's container, resolved in the namespace."""

    image: str
    environment: Mapping[str, str] = field(default_factory=dict)
    mounts: Sequence[Mount] = ()
    memory: str = ""


@dataclass(frozen=True)
class Namespace:
    """What pods may name: Secrets by their names, as keys and values, and the folders of PersistentVolumeClaims."""

    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    claims: Mapping[str, Path] = field(default_factory=dict)

    def container(self, spec: Mapping[str, Any], platform: Mapping[str, Any], folder: Path) -> Container:
        """Returns a task's container, from the compiled pipeline and its Kubernetes settings."""
        environment = {one["name"]: one.get("value", "") for one in spec.get("env", [])}
        mounts = []
        for one in platform.get("secretAsEnv", []):
            secret = self._secret(one)
            environment |= {each["envVar"]: secret[each["secretKey"]] for each in one["keyToEnv"] if secret}
        for number, one in enumerate(platform.get("secretAsVolume", [])):
            outside = folder / f"secret-{number}"
            outside.mkdir()
            for key, value in self._secret(one).items():
                (outside / key).write_text(value)
            mounts.append(Mount(one["mountPath"], outside, writable=False))
        for one in platform.get("pvcMount", []):
            name = one.get("constant") or one["pvcNameParameter"]["runtimeValue"]["constant"]
            if name not in self.claims:
                raise NoSuchObject(f'persistentvolumeclaim "{name}" not found')
            mounts.append(Mount(one["mountPath"], self.claims[name]))
        resources = spec.get("resources", {})
        return Container(spec["image"], environment, mounts, resources.get("resourceMemoryLimit", ""))

    def _secret(self, one: Mapping[str, Any]) -> Mapping[str, str]:
        name = one.get("secretName") or one["secretNameParameter"]["runtimeValue"]["constant"]
        if name not in self.secrets and not one.get("optional"):
            raise NoSuchObject(f'secret "{name}" not found')
        return self.secrets.get(name, {})


@dataclass(frozen=True)
class Terminated:
    """How a container's command ended; `message` is what it wrote to /dev/termination-log."""

    code: int
    message: str


class Pod:
    """A pod. Subclasses say what `command_line` runs in it."""

    scratch_folders: ClassVar[Sequence[str]] = ("/gcs", "/s3", "/minio", "/.local", "/.cache", "/.config", "/tmp")

    def __init__(self, name: str, folder: Path, container: Container) -> None:
        self.name, self.folder, self.container = name, folder, container
        self.terminated: Terminated | None = None
        self._said: list[str | Path] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._killed = threading.Event()
        self._lock = threading.Lock()
        self.scratch = [Mount(inside, folder / "scratch" / inside.strip("/")) for inside in self.scratch_folders]
        for mount in self.scratch:
            mount.outside.mkdir(parents=True)
        (folder / "termination-log").touch()
        self.own()

    @property
    def mounts(self) -> list[Mount]:
        last_word = Mount("/dev/termination-log", self.folder / "termination-log")
        return [*self.scratch, last_word, *self.container.mounts]

    @property
    def environment(self) -> dict[str, str]:
        """What is set beside the image's own: what the pipeline gives, and what Kubernetes and KFP put into pods."""
        identity = str(uuid.uuid5(uuid.NAMESPACE_DNS, self.name))
        own = {"KFP_POD_NAME": self.name, "KFP_POD_UID": identity, "NAMESPACE": "kubeflow", "HOSTNAME": self.name}
        return {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443", **own} | dict(
            self.container.environment
        )

    @property
    def log(self) -> str:
        """What `kubectl logs` shows of the container."""
        parts = [part.read_text(errors="replace") if isinstance(part, Path) else f"{part}\n" for part in self._said]
        return "".join(parts)

    def outside(self, inside: str) -> Path:
        """Returns where a path of the pod lies on this machine."""
        holding = [mount for mount in self.mounts if Path(inside).is_relative_to(mount.inside)]
        mount = max(holding, key=lambda one: len(one.inside))
        return mount.outside / Path(inside).relative_to(mount.inside)

    def own(self) -> None:
        """Gives the scratch folders, with what the launcher has put into them, to the pod's user."""
        if is_root():
            subprocess.run(["chown", "-R", f"{USER}:{USER}", str(self.folder)], check=True)

    def say(self, line: str) -> None:
        self._said.append(line)

    def run(self, command: Sequence[str], told: Path) -> Terminated:
        """Runs a command to its end, with all it writes in the file `told`; a PodKilled if the pod is ended first."""
        self._said.append(told)
        with self._lock:
            if not self._killed.is_set():
                with open(told, "wb") as output:
                    self._process = subprocess.Popen(
                        self.command_line(command), stdin=subprocess.DEVNULL, stdout=output, stderr=output
                    )
        code = self._process.wait() if self._process else 0
        if self._killed.is_set():
            self._said[-1] = told.read_text(errors="replace").rstrip("\n")
            raise PodKilled
        message = (self.folder / "termination-log").read_bytes()[:_MESSAGE_BYTES].decode(errors="replace")
        self.terminated = Terminated(code, message)
        return self.terminated

    def kill(self) -> None:
        """Ends everything in the pod at once, as a node does that is out of memory, or as a deletion does."""
        with self._lock:
            self._killed.set()
            if self._process:
                self.kill_process(self._process)

    def remove(self) -> None:
        """Removes the pod's folders, keeping what it said."""
        self._said = [self.log.rstrip("\n")]
        shutil.rmtree(self.folder, ignore_errors=True)

    def command_line(self, command: Sequence[str]) -> list[str]:
        raise NotImplementedError

    def kill_process(self, process: subprocess.Popen[bytes]) -> None:
        raise NotImplementedError


def image_environment() -> dict[str, str]:
    """Returns what the image sets, as its Dockerfile has it."""
    text = (ROOT / "Dockerfile").read_text().partition("AS shared")[2]
    lines = re.search(r"^ENV ((?:.*\\\n)*.*)\n", text, re.MULTILINE)
    assert lines is not None
    pairs = (word.partition("=") for word in lines[1].replace("\\\n", " ").split())
    return {name: value for name, _, value in pairs}


def is_root() -> bool:
    return os.getuid() == 0
