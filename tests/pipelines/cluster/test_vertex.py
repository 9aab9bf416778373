"""Runs on Vertex AI, as far as it can be had here: executor inputs as it gives them, buckets mounted at /gcs.

The server is the loopback one, the buckets are those of an emulator of Google's store, mounted by FUSE.
"""

import json
import os
import re
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kfp
import pytest
import yaml
from kfp import dsl

from penstock.components import wrapper
from penstock.components.pusher import pusher
from penstock.components.wrapper import component
from penstock.core.files import object_stores as stores
from tests.pipelines.cluster.conftest import IMAGE, Done
from tests.pipelines.cluster.test_shapes import shapes
from tests.servers import object_stores
from tests.servers.cluster import gcs_mount, processes
from tests.servers.cluster.vertex_pipelines import PROJECT_NUMBER, VertexPipelines
from tests.servers.object_stores import ObjectStore
from tests.servers.vertex import VertexAI

pytestmark = [pytest.mark.filterwarnings("ignore:.*:UserWarning:google"), pytest.mark.timeout(1800)]
ROWS = 1000
SERVING_IMAGE = "europe-west4-docker.pkg.dev/p/penstock/penstock-serving:1"


@dataclass(frozen=True)
class Vertex:
    """Vertex AI and its store."""

    server: VertexAI
    pipelines: VertexPipelines
    store: ObjectStore
    environment: Mapping[str, str]
    python: str

    def submit(self, *arguments: str | Path) -> Done:
        command = [self.python, "-m", "penstock.pipelines.cli.main", "submit", *map(str, arguments)]
        command += ["--target", "vertex", "--wait", "--interval", "0.2"]
        done = subprocess.run(command, env=dict(self.environment), capture_output=True, text=True, check=False)
        return Done(done.returncode, done.stdout, done.stderr)

    def files(self, *folder: str) -> list[str]:
        root = self.store.uri(*folder)
        with stores.open_store(root) as opened:
            return list(opened.files(root))

    def read(self, *names: str) -> str:
        with stores.open_store(self.store.uri(*names)) as opened:
            return opened.read(self.store.uri(*names)).decode()


@pytest.fixture(scope="module")
def vertex(tmp_path_factory: pytest.TempPathFactory, python: str) -> Iterator[Vertex]:
    processes.require()
    gcs_mount.require()
    with object_stores.gcs() as store, pytest.MonkeyPatch.context() as patch:
        for name, value in store.environment.items():
            patch.setenv(name, value)
        endpoint = store.environment["STORAGE_EMULATOR_HOST"]
        folder = tmp_path_factory.mktemp("vertex")
        with VertexPipelines(folder, endpoint, python) as pipelines, VertexAI(pipelines) as server:
            own = {"PENSTOCK_VERTEX_ENDPOINT": server.url, "GOOGLE_CLOUD_PROJECT": "p"}
            yield Vertex(server, pipelines, store, {**os.environ, **own}, python)


def compiled(pipeline: Any, path: Path) -> Path:
    kfp.compiler.Compiler().compile(pipeline, str(path))
    path.write_text(path.read_text().replace(wrapper.IMAGE, IMAGE))
    return path


def test_graphs_run_and_tasks_are_given_what_vertex_gives(vertex: Vertex, tmp_path: Path) -> None:
    vertex.store.write({"old": "imported"}, "imports")
    root = ("--set", f"vertex.pipeline_root={vertex.store.uri('shapes')}")
    done = vertex.submit(
        compiled(shapes, tmp_path / "shapes.yaml"), "--param", f"uri={vertex.store.uri('imports', 'old')}", *root
    )
    assert done.code == 0, done.err
    told = [name for name in vertex.files("shapes", PROJECT_NUMBER, done.run_id) if name.endswith("/told")]
    read = [vertex.read("shapes", PROJECT_NUMBER, done.run_id, name) for name in told]
    assert Counter(read) == {
        "10": 1,
        "1": 1,
        "2": 1,
        "3 10 10 imported old": 1,
        "exit-handler-1 SUCCEEDED": 1,
    }
    given = vertex.pipelines.workflows[done.run_id].given["gather"]
    one = given["inputs"]["artifacts"]["one"]["artifacts"][0]
    assert one["type"] == {"schemaTitle": "system.Artifact", "schemaVersion": "0.0.1"}
    assert re.fullmatch(r"projects/\d+/locations/[^/]+/metadataStores/default/artifacts/\d+", one["name"])
    assert one["metadata"] == {"number": 10}
    assert given["outputs"]["outputFile"].startswith(f"/gcs/{object_stores.BUCKET}/shapes/{PROJECT_NUMBER}/")


@component
def look(told: dsl.Output[dsl.Artifact]):
    import json
    import os

    with open("/proc/self/mountinfo") as file:
        kinds = {line.split()[4]: line.split(" - ")[1].split()[0] for line in file}
    there = [name for name in ("/gcs", "/s3", "/minio", "/dev/termination-log") if os.path.exists(name)]
    os.makedirs(told.path)
    with open(f"{told.path}/writing", "w") as file:
        json.dump({"kind": kinds["/gcs"], "there": there, "uid": os.getuid()}, file)
    os.rename(f"{told.path}/writing", f"{told.path}/written")
    with open(f"{told.path}/written", "r+") as file:  # what TensorFlow's writers do
        file.seek(0, os.SEEK_END)
        file.write("\n")


@component
def read(told: dsl.Input[dsl.Artifact], again: dsl.Output[dsl.Artifact]):
    with open(f"{told.path}/written") as file, open(again.path, "w") as copy:
        copy.write(file.read())


@dsl.pipeline(name="looking")
def looking():
    read(told=look().outputs["told"])


def test_gcs_is_a_mounted_bucket_and_there_is_no_scratch_folder(vertex: Vertex, tmp_path: Path) -> None:
    root = ("--set", f"vertex.pipeline_root={vertex.store.uri('looking')}")
    done = vertex.submit(compiled(looking, tmp_path / "looking.yaml"), *root)
    assert done.code == 0, done.err
    (copied,) = [name for name in vertex.files("looking") if name.endswith("/again")]
    seen = json.loads(vertex.read("looking", copied))
    assert seen["kind"].partition(".")[0] == "fuse"
    assert seen["there"] == ["/gcs"]
    assert seen["uid"] != 0


@component
def fail():
    from penstock.core import failures

    failures.tell_uncaught()  # as all our components do
    raise ValueError("this task says no")


def fail_alone():
    fail()


def test_a_failure_is_told(vertex: Vertex, tmp_path: Path) -> None:
    root = ("--set", f"vertex.pipeline_root={vertex.store.uri('failing')}")
    done = vertex.submit(compiled(dsl.pipeline(fail_alone), tmp_path / "failing.yaml"), *root)
    assert done.code == 1
    assert "the run ended failed" in done.err
    assert "fail: " in done.err


def test_a_model_is_pushed_to_an_endpoint_as_tfx_users_say_it(vertex: Vertex, tmp_path: Path) -> None:
    """From a pipeline written by hand. Its versions are stored beside the artifact, in the mounted bucket."""
    vertex.store.write({"Format-Serving/saved_model.pb": "a model"}, "trained")
    config = {
        "ai_platform_enable_vertex": True,
        "ai_platform_vertex_region": "europe-west4",
        "ai_platform_vertex_container_image_uri": SERVING_IMAGE,
        "ai_platform_serving_args": {"project": "p", "endpoint_name": "by tfx", "machine_type": "n1-standard-4"},
    }
    destination = {"vertex_ai": {"api_endpoint": vertex.server.url}}

    @dsl.pipeline(name="pushing")
    def pushing(uri: str):
        model = dsl.importer(artifact_uri=uri, artifact_class=dsl.Model).output
        pusher(model=model, push_destination=json.dumps(destination), custom_config=json.dumps(config))

    root = ("--set", f"vertex.pipeline_root={vertex.store.uri('pushing')}")
    uri = vertex.store.uri("trained")
    done = vertex.submit(compiled(pushing, tmp_path / "pushing.yaml"), "--param", f"uri={uri}", *root)
    assert done.code == 0, done.err
    assert vertex.server.endpoints.shares("by tfx") == [100]
    versions = [version for model in vertex.server.models.versions.values() for version in model.values()]
    (version,) = (one for one in versions if one.display_name == "by tfx")
    folder = version.artifact_uri.removeprefix(vertex.store.uri("pushing") + "/")
    assert re.fullmatch(rf"{PROJECT_NUMBER}/{done.run_id}/pusher_-\d+/serving/\d+", folder)
    assert vertex.read("pushing", folder, "saved_model.pb") == "a model"


@pytest.mark.slow
def test_the_taxi_pipeline_finds_its_baseline_and_pushes(
    vertex: Vertex, tmp_path: Path, taxi_csv: Path, taxi_module: Path
) -> None:
    with open(taxi_csv, encoding="utf-8") as rows:
        head = "".join(row for row, _ in zip(rows, range(ROWS + 1), strict=False))
    vertex.store.write({"data.csv": head}, "data")
    (tmp_path / "taxi_utils.py").write_text(taxi_module.read_text())
    values = {
        "name": "taxi",
        "data": {"path": vertex.store.uri("data")},
        "label": "tips",
        "module_file": "taxi_utils.py",
        "pipeline_root": vertex.store.uri("runs"),
        "training": {"train_steps": 5, "eval_steps": 1},
        "evaluation": {
            "label_key": "tips_xf",
            "metrics": ["binary_accuracy", "example_count"],
            "thresholds": {"binary_accuracy": {"min": 0.01, "change": {"absolute": -0.99}}},
        },
        "push": {
            "directory": vertex.store.uri("serving"),
            "vertex_ai": {"storage": vertex.store.uri("models"), "image": SERVING_IMAGE, "canary": 10},
        },
        "vertex": {"project": "p", "api_endpoint": vertex.server.url},
        "image": IMAGE,
    }
    (tmp_path / "pipeline.yaml").write_text(yaml.safe_dump(values))
    runs = []
    for steps in (5, 7):
        done = vertex.submit(tmp_path, "--param", f"train_steps={steps}")
        assert done.code == 0, done.err
        runs.append(done.run_id)
    assert len([name for name in vertex.files("serving") if name.endswith("/saved_model.pb")]) == 2
    assert vertex.server.endpoints.shares("taxi") == [90, 10]
    names = vertex.files("runs", PROJECT_NUMBER)
    validations = [
        json.loads(vertex.read("runs", PROJECT_NUMBER, name))
        for run_id in runs
        for name in names
        if name.startswith(f"{run_id}/evaluator") and name.endswith("/validation.json")
    ]
    assert [bool(one["baseline_model"]) for one in validations] == [False, True]
    assert "change" in str(validations[1]) or "baseline's" in str(validations[1])
