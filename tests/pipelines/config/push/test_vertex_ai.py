"""The section push.vertex_ai: what it leaves out is the pipeline's and the section `vertex`'s; what does not fit."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from penstock.components.pusher.destinations.vertex_ai import destination
from penstock.core.errors import ConfigError
from penstock.pipelines.config import training_pipeline
from penstock.pipelines.config.training_pipeline import Config

type Load = Callable[..., Config]
IMAGE = "europe-west4-docker.pkg.dev/my-project/penstock/penstock-serving:1"
LEAST = {"storage": "gs://bucket/models", "image": IMAGE}


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Returns a function that reads a pipeline which pushes to Vertex AI."""

    def read(push: dict[str, Any] | None = None, assignments: tuple[str, ...] = (), **more: Any) -> Config:
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / "data" / "data.csv").write_text("fare,tips\n1,2\n")
        push = {"vertex_ai": {**LEAST, **(push or {})}}
        path = tmp_path / "taxi.yaml"
        path.write_text(yaml.safe_dump({"data": {"path": "data"}, "label": "tips", "push": push, **more}))
        return training_pipeline.load(path, assignments)

    return read


def settings(config: Config) -> dict[str, Any]:
    assert config.push
    own = config.push.destination["vertex_ai"]
    destination("push_destination.vertex_ai", own)  # it reads what the section says
    return own


def test_what_is_left_out_is_the_pipelines(load: Load, tmp_path: Path) -> None:
    own = settings(load())
    assert own == {
        **LEAST,
        "endpoint": "taxi",
        "aliases": [],
        "machine_type": "n1-standard-2",
        "min_replica_count": 1,
        "dedicated_endpoint": False,
        "keep_previous": True,
        "max_error_rate": 0.01,
        "timeout": 3600,
    }
    vertex = {
        "project": "my-project",
        "location": "europe-west4",
        "labels": {"team": "rides"},
        "credentials_file": "key.json",
        "network": "projects/1/global/networks/vpc",
        "service_account": "tasks@my-project.iam.gserviceaccount.com",
    }
    own = settings(load(vertex=vertex))
    assert (own["project"], own["location"], own["labels"]) == ("my-project", "europe-west4", {"team": "rides"})
    assert own["credentials_file"] == str(tmp_path / "key.json")
    assert "network" not in own, "tasks' network would make the endpoint a private one"
    assert "service_account" not in own, "the model server may less than tasks"
    other = settings(load({"project": "other", "endpoint": "fares", "labels": {}}, vertex=vertex))
    assert (other["project"], other["location"], other["labels"]) == ("other", "europe-west4", {})
    assert other["endpoint"] == "fares"
    changed = settings(load(vertex=vertex, assignments=("vertex.project=third",)))
    assert changed["project"] == "third"


def test_everything(load: Load) -> None:
    own = settings(
        load(
            {
                "endpoint": "Taxi fares",
                "model": "fares",
                "aliases": ["champion"],
                "canary": 5,
                "promote_after": 600,
                "machine_type": "g2-standard-8",
                "image": "gcr.io/my-project/serving-gpu:1",
                "accelerator": {"type": "L4"},
                "min_replica_count": 2,
                "max_replica_count": 8,
                "service_account": "serving@my-project.iam.gserviceaccount.com",
                "dedicated_endpoint": True,
                "keep_previous": False,
                "request_timeout": 120,
            }
        )
    )
    assert own["accelerator"] == {"type": "L4", "count": 1}
    assert (own["canary"], own["promote_after"], own["max_replica_count"]) == (5, 600, 8)


@pytest.mark.parametrize(
    ("push", "message"),
    [
        ({"storage": "models"}, r"push\.vertex_ai\.storage: expected gs://BUCKET/FOLDER, received 'models'"),
        ({"explanation": {}}, r"push\.vertex_ai\.explanation"),
        ({"explanation": {"inputs": {"fare": None}, "path_count": 51}}, r"push\.vertex_ai\.explanation\.path_count"),
        ({"image": "penstock-serving:1"}, r"push\.vertex_ai\.image: expected an image with its registry, from which"),
        (
            {"aliases": ["1st"]},
            r"push\.vertex_ai\.aliases.*: expected letters, digits and dashes, a small letter first",
        ),
        ({"machine_type": "n1"}, r"push\.vertex_ai\.machine_type: expected a machine type, such as n1-standard-2"),
        (
            {"min_replica_count": 3, "max_replica_count": 2},
            r"max_replica_count: expected min_replica_count \(3\)",
        ),
        ({"accelerator": {"type": "L4"}}, r"accelerator: the image penstock-serving has TensorFlow for processors"),
        ({"accelerator": {"type": "NVIDIA_L4"}}, r"accelerator\.type: .*did you mean 'L4'"),
        ({"network": "projects/1/global/networks/n", "canary": 5}, r"canary: an endpoint in a network has one model"),
        ({"canary": 100}, r"push\.vertex_ai\.canary: "),
        ({"replicas": 2}, r"unknown key 'push\.vertex_ai\.replicas'"),
    ],
)
def test_what_does_not_fit(load: Load, push: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(push)


@pytest.mark.parametrize("push", ["gs://bucket", {"vertex_ai": None}, {"vertex_ai": "gs://bucket"}, []])
def test_a_push_that_is_no_mapping(tmp_path: Path, push: Any) -> None:
    path = tmp_path / "other.yaml"
    path.write_text(yaml.safe_dump({"data": {"path": "."}, "label": "tips", "push": push}))
    with pytest.raises(ConfigError, match="push"):
        training_pipeline.load(path)
