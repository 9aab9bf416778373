"""A Kubeflow cluster on this machine: its object store, its pods, and the server that runs are sent to.

The scenarios run on a real cluster as well:

    PENSTOCK_KFP_HOST       the server's address
    PENSTOCK_KFP_IMAGE      our image, as the nodes know it
    PENSTOCK_KFP_BUCKET     s3://BUCKET/FOLDER, where data, runs and pushed models go; AWS_* reach it from here
    PENSTOCK_KFP_SECRET     the Secret with the keys accesskey, secretkey and endpoint, for the pods
"""

import functools
import json
import os
import secrets
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kfp
import pytest
import yaml

from penstock.components import wrapper
from tests.servers import object_stores
from tests.servers.cluster.cluster import KubeflowCluster
from tests.servers.cluster.pods import Namespace
from tests.servers.cluster.processes import ProcessPod
from tests.servers.cluster.server import RunningKubeflowPipelines
from tests.servers.cluster.storage import Store

BUCKET = "team"
SECRET = "team-store"
IMAGE = "registry.example.com/penstock-python:1"


@dataclass(frozen=True)
class Done:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def run_id(self) -> str:
        return self.out.split()[1]

    @property
    def last_line(self) -> str:
        return (self.err.splitlines() or [""])[-1]


@dataclass(frozen=True)
class Place:
    """A cluster to run scenarios on; `cluster` is the stand-in, None for a real one. `folder` is a URI of our own.

    `python` runs our command.
    """

    host: str
    store: Store
    folder: str
    environment: Mapping[str, str]
    image: str
    secret: str
    python: str
    cluster: KubeflowCluster | None = None
    interval: str = "0.2"

    def config(self, path: Path, **values: Any) -> Path:
        """Writes a configuration for this place: the image, and credentials for the pods."""
        path.parent.mkdir(parents=True, exist_ok=True)
        given = {"image": self.image, "kubernetes": credentials(self.secret), **values}
        path.write_text(yaml.safe_dump(given, sort_keys=False))
        return path

    def get(self, path: str) -> Any:
        """Asks the server itself."""
        headers = {"Authorization": f"Bearer {self.environment.get('PENSTOCK_KFP_TOKEN', '')}"}
        request = urllib.request.Request(f"{self.host}/apis/v2beta1{path}", headers=headers)
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def compiled(self, pipeline: Any, path: Path) -> Path:
        """Compiles a pipeline of our components with this place's image, its outputs in `folder`."""
        kfp.compiler.Compiler().compile(pipeline, str(path))
        text = path.read_text().replace(wrapper.IMAGE, self.image)
        path.write_text(text.replace("pipelineInfo:", f"defaultPipelineRoot: {self.folder}\npipelineInfo:", 1))
        return path

    def told(self, run_id: str, pipeline: str) -> dict[str, str]:
        """Returns what the tasks of a run have written into artifacts called `told`, by the tasks' names."""
        folder = f"{self.folder}/{pipeline}/{run_id}"
        names = [name.split("/") for name in self.store.below(folder)]
        return {
            f"{task} {uuid[:4]}": self.store.read(f"{folder}/{task}/{uuid}/told").decode()
            for task, uuid, *rest in names
            if rest == ["told"]
        }

    def penstock(self, *arguments: str | Path) -> Done:
        """Runs a command as a person does, with credentials of one's own."""
        command = [self.python, "-m", "penstock.pipelines.cli.main", *map(str, arguments), "--host", self.host]
        done = subprocess.run(command, env=dict(self.environment), capture_output=True, text=True, check=False)
        return Done(done.returncode, done.stdout, done.stderr)

    def submit(self, config: Path, *arguments: str) -> Done:
        return self.penstock("submit", config, "--wait", "--interval", self.interval, *arguments)


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    """The address of an S3 server with KFP's own bucket, and one of the team's."""
    with object_stores.s3() as store:
        address = store.environment["AWS_ENDPOINT_URL_S3"]
        for bucket in ("mlpipeline", BUCKET):
            Store(address).make(bucket)
        yield address


@contextmanager
def stand_in(folder: Path, endpoint: str, python: str, pods: Any = None, **options: Any) -> Iterator[Place]:
    """Gives a cluster with a store of `endpoint`, and a server for it; `python` is the interpreter, also of pods."""
    keys = {"accesskey": "team", "secretkey": "team", "endpoint": endpoint}
    namespace = options.pop("namespace", Namespace({SECRET: keys}))
    pods = pods or functools.partial(ProcessPod, python=python)
    cluster = KubeflowCluster(folder, endpoint, pods, namespace, **options)
    own = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PENSTOCK_"))}
    own |= {"AWS_ACCESS_KEY_ID": "me", "AWS_SECRET_ACCESS_KEY": "me", "AWS_ENDPOINT_URL_S3": endpoint}
    with cluster, RunningKubeflowPipelines(cluster) as server:
        where = f"s3://{BUCKET}/{secrets.token_hex(4)}"
        yield Place(server.url, cluster.store, where, own, IMAGE, SECRET, python, cluster)


@pytest.fixture(scope="session")
def real() -> Place | None:
    """The cluster that PENSTOCK_KFP_HOST names."""
    names = ("HOST", "IMAGE", "BUCKET", "SECRET")
    host, image, bucket, secret = (os.environ.get(f"PENSTOCK_KFP_{name}", "") for name in names)
    if not host:
        return None
    missing = [f"PENSTOCK_KFP_{name}" for name in names if not os.environ.get(f"PENSTOCK_KFP_{name}")]
    assert not missing, f"scenarios on {host} need {', '.join(missing)}"
    folder = f"{bucket.rstrip('/')}/{secrets.token_hex(4)}"
    return Place(host, Store(), folder, os.environ, image, secret, sys.executable, interval="5")


def credentials(secret: str) -> dict[str, Any]:
    names = {
        "accesskey": "AWS_ACCESS_KEY_ID",
        "secretkey": "AWS_SECRET_ACCESS_KEY",
        "endpoint": "AWS_ENDPOINT_URL_S3",
    }
    return {"default": {"secrets": [{"name": secret, "env": names}]}}
