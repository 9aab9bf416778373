"""The model server's image as Vertex AI, SageMaker and KServe start it, with the model where each of them has it."""

import contextlib
import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.servers import object_stores, ports
from tests.servers.docker_daemon import Built, Docker

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
# An account that has no name in the image, as OpenShift gives one, and no right to write but to /tmp.
CONFINED = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
ANYBODY = ("--user", "1000680000:0")
_MODEL = """
import sys
import tensorflow as tf

class Doubles(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def predict(self, x):
        return {"y": 2 * x}

model = Doubles()
tf.saved_model.save(model, sys.argv[1], signatures=model.predict)
"""
_ASK = """
import sys, urllib.request
path, body = sys.argv[1:]
headers = {"Content-Type": "application/json"}
request = urllib.request.Request("http://127.0.0.1:8080" + path, body.encode() or None, headers)
print(urllib.request.urlopen(request).read().decode())
"""


@pytest.fixture(scope="module")
def version(python: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version of a model that doubles a number, in a folder that everybody may read."""
    folder = tmp_path_factory.mktemp("served") / "7"
    subprocess.run([python, "-c", _MODEL, str(folder)], check=True)
    for path in (folder.parent, folder, *folder.rglob("*")):
        path.chmod(0o755)
    return folder


@contextlib.contextmanager
def running(docker: Docker, image: Built, options: tuple[str, ...], *arguments: str) -> Iterator[str]:
    """Runs the image; the context's value is the container."""
    container = docker("run", "--detach", *CONFINED, *options, image.name, *arguments).strip()
    try:
        yield container
    finally:
        docker("rm", "--force", container)


def wait_until_healthy(docker: Docker, container: str) -> None:
    """Waits as Docker does, by the image's own check."""
    for _ in range(120):
        state = json.loads(docker("inspect", "--format", "{{json .State}}", container))
        if state["Health"]["Status"] == "healthy" or not state["Running"]:
            break
        time.sleep(1)
    assert state["Health"]["Status"] == "healthy", docker.run("logs", container).stderr


def ask(docker: Docker, container: str, path: str, body: Any = None) -> Any:
    text = json.dumps(body) if body else ""
    return json.loads(docker("exec", container, "python3", "-c", _ASK, path, text) or "null")


def test_kserve_starts_it(docker: Docker, serving_image: Built, version: Path) -> None:
    """With the model's versions where its storage initializer has put them, as a pod without any right."""
    options = ("--network", "none", *ANYBODY, "--volume", f"{version.parent}:/mnt/models:ro", "--health-interval", "1s")
    with running(docker, serving_image, options, "--name", "doubles") as container:
        wait_until_healthy(docker, container)
        answer = ask(docker, container, "/v1/models/doubles:predict", {"instances": [1.5, 2.0]})
        assert answer == {"predictions": [3.0, 4.0]}
        docker("stop", "--time", "30", container)
        assert docker("inspect", "--format", "{{.State.ExitCode}}", container).strip() == "0"


def test_sagemaker_starts_it(docker: Docker, serving_image: Built, version: Path) -> None:
    """With the argument `serve` and the unpacked archive in its folder."""
    options = ("--network", "none", "--volume", f"{version}:/opt/ml/model/1:ro", "--health-interval", "1s")
    with running(docker, serving_image, options, "serve") as container:
        wait_until_healthy(docker, container)
        assert docker("exec", container, "python3", "-c", _ASK, "/ping", "") is not None
        assert ask(docker, container, "/invocations", {"instances": [1.5]}) == {"predictions": [3.0]}


def test_vertex_ai_starts_it(docker: Docker, serving_image: Built, version: Path) -> None:
    """With the model in a bucket, and routes and port of its choice; it answers at every address."""
    port = ports.reserve()
    with object_stores.gcs() as store:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in store.environment.items():
                patch.setenv(name, value)
            files = {str(file.relative_to(version)): file.read_bytes() for file in version.rglob("*") if file.is_file()}
            uri = store.write(files, "doubles")
        environment = {
            **store.environment,
            "AIP_STORAGE_URI": uri,
            "AIP_HTTP_PORT": str(port),
            "AIP_HEALTH_ROUTE": "/v1/endpoints/1/deployedModels/2",
            "AIP_PREDICT_ROUTE": "/v1/endpoints/1/deployedModels/2:predict",
        }
        options = [word for name, value in environment.items() for word in ("--env", f"{name}={value}")]
        with running(docker, serving_image, ("--network", "host", "--health-interval", "1s", *options)) as container:
            wait_until_healthy(docker, container)
            base = f"http://127.0.0.2:{port}"
            assert urllib.request.urlopen(base + environment["AIP_HEALTH_ROUTE"]).status == 200
            request = urllib.request.Request(
                base + environment["AIP_PREDICT_ROUTE"], b'{"instances": [1.5]}', {"Content-Type": "application/json"}
            )
            assert json.load(urllib.request.urlopen(request)) == {"predictions": [3.0]}
