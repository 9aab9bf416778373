"""Docker as it is found on this machine: the daemon, an image, and one sentence for each way of not having them."""

import contextlib
import importlib.util
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.components import wrapper
from penstock.core.errors import SystemFailure, UserError

if TYPE_CHECKING:
    from docker import DockerClient

_IS_GONE = re.compile("marked for removal|No such container")
SOCKET = "unix:///var/run/docker.sock"


@dataclass(frozen=True)
class Image:
    """An image on this machine: a name that Docker lists it under, its digest, and its environment variables."""

    name: str
    digest: str
    environment: dict[str, str]


def connect() -> "DockerClient":
    """Returns a client of the daemon at DOCKER_HOST, by default of the system's; a UserError if none answers."""
    if importlib.util.find_spec("docker") is None:
        raise UserError("--runner docker needs Docker's client for Python: pip install docker")
    import docker

    address = os.environ.get("DOCKER_HOST") or SOCKET
    try:
        return docker.from_env()
    except docker.errors.DockerException as error:
        path = Path(address.removeprefix("unix://"))
        if address.startswith("unix://") and path.exists() and not os.access(path, os.R_OK | os.W_OK):
            raise UserError(
                f"permission denied: Docker's socket {path}: join its group (sudo usermod -aG docker $USER) and sign "
                "in again"
            ) from None
        if not path.exists() and shutil.which("docker") is None and address == SOCKET:
            raise UserError("--runner docker needs Docker, which is not installed: see docs.docker.com") from None
        sentence = f"no Docker daemon answers at {address}: start Docker, or name its address in DOCKER_HOST"
        raise UserError(sentence) from error


def find_image(client: "DockerClient", name: str) -> Image:
    """Returns the image of that name; a UserError says how to get it: nothing is pulled during a run."""
    import docker

    try:
        image = client.images.get(name)
    except docker.errors.ImageNotFound:
        build = "`make image` in Penstock's sources builds it"
        way = build if name.startswith(wrapper.NAME + ":") else f"`docker pull {name}` fetches it"
        raise UserError(f"the image {name} is not on this machine: {way}") from None
    names = [*image.tags, *image.attrs.get("RepoDigests", [])]
    variables = dict(entry.split("=", 1) for entry in image.attrs["Config"].get("Env") or [])
    return Image(name if name in names else next(iter(names), name), image.id, variables)


@contextlib.contextmanager
def one_sentence() -> Iterator[None]:
    """Makes a SystemFailure of one sentence of Docker's client's errors, but for a container that is gone already."""
    import docker
    import requests

    try:
        yield
    except docker.errors.APIError as error:
        if _IS_GONE.search(str(error.explanation)):  # it ended before kfp asked for its log, which nothing is lost by
            return
        raise SystemFailure(f"Docker refused to run a container: {error.explanation or error}") from error
    except (docker.errors.DockerException, requests.RequestException) as error:
        raise SystemFailure(f"Docker went away during the run: {error}") from error


def has_gpus(facts: dict[str, Any]) -> bool:
    """Whether a daemon, by what it says of itself, gives GPUs to containers."""
    devices = facts.get("DiscoveredDevices") or []
    return "nvidia" in facts.get("Runtimes", {}) or any("nvidia.com/gpu" in device.get("ID", "") for device in devices)
