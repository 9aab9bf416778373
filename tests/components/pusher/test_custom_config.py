"""TFX's custom_config of a Pusher to Vertex AI: each key is honoured, or answered in a sentence."""

import json
from typing import Any

import pytest

from penstock.components.pusher.custom_config import applied
from penstock.components.pusher.destinations.vertex_ai import destination
from penstock.core.errors import ConfigError

# tfx/extensions/google_cloud_ai_platform/constants.py, whose import takes all of TFX's
ENABLE, REGION = "ai_platform_enable_vertex", "ai_platform_vertex_region"
CONTAINER, SERVING = "ai_platform_vertex_container_image_uri", "ai_platform_serving_args"
IMAGE = "europe-west4-docker.pkg.dev/my-project/penstock/penstock-serving:1"
FOLDER = "/gcs/bucket/root/123/run/pusher_-5/pushed_model"
ARGS = {"project_id": "my-project", "endpoint_name": "taxi", "machine_type": "n1-standard-4"}
CONFIG = {
    ENABLE: True,
    REGION: "europe-west4",
    CONTAINER: IMAGE,
    SERVING: ARGS,
}


def read(config: dict[str, Any], push_destination: str = "", folder: str = FOLDER) -> dict[str, Any]:
    settings = json.loads(applied(push_destination, json.dumps(config), folder))
    destination("vertex_ai", settings["vertex_ai"])  # it fits
    return dict(settings)


def test_as_tfx_users_write_it() -> None:
    assert read(CONFIG) == {
        "vertex_ai": {
            "storage": "gs://bucket/root/123/run/pusher_-5/serving",
            "project": "my-project",
            "location": "europe-west4",
            "endpoint": "taxi",
            "image": IMAGE,
            "machine_type": "n1-standard-4",
        }
    }
    more = {
        "accelerator_type": "NVIDIA_TESLA_T4",
        "accelerator_count": 2,
        "min_replica_count": 1,
        "max_replica_count": 3,
        "traffic_percentage": 10,
        "labels": {"team": "rides"},
        "sync": True,
        "deploy_request_timeout": 90,
    }
    image = {CONTAINER: "gcr.io/my-project/own-gpu:1"}
    own = read({**CONFIG, **image, SERVING: {**ARGS, **more}})["vertex_ai"]
    assert own["accelerator"] == {"type": "NVIDIA_TESLA_T4", "count": 2}
    assert (own["canary"], own["max_replica_count"], own["request_timeout"]) == (10, 3, 90)


def test_what_it_goes_together_with() -> None:
    """The Trainer's keys in the same object, a folder to push to as well, and settings of our own."""
    own = {"filesystem": {"base_directory": "/models"}, "vertex_ai": {"storage": "gs://other/models", "canary": 5}}
    both = read({**CONFIG, "ai_platform_training_args": {"project": "p"}}, json.dumps(own), "/outputs/pushed_model")
    assert both["filesystem"] == {"base_directory": "/models"}
    assert (both["vertex_ai"]["storage"], both["vertex_ai"]["canary"]) == ("gs://other/models", 5)
    for nothing in ("", "null", "{}", json.dumps({"ai_platform_training_args": {}})):
        assert applied("x", nothing, FOLDER) == "x"


def test_the_region_where_tfx_has_had_it(caplog: pytest.LogCaptureFixture) -> None:
    config = {key: value for key, value in CONFIG.items() if key != REGION}
    assert "location" not in read(config)["vertex_ai"]
    assert read({**config, "endpoint": "europe-west1"})["vertex_ai"]["location"] == "europe-west1"
    old = {**config, SERVING: {**ARGS, "regions": ["europe-west2"]}}
    assert read(old)["vertex_ai"]["location"] == "europe-west2"
    assert caplog.text.count("its key is ai_platform_vertex_region now") == 2


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {**CONFIG, "ai_platform_enable_vertex": False},
            "AI Platform Prediction, which is meant without it",
        ),
        ({SERVING: ARGS}, r"custom_config\.ai_platform_enable_vertex: expected true, received None"),
        ({ENABLE: True}, r"ai_platform_serving_args: expected an object such as \{\"project\""),
        ({**CONFIG, "ai_platform_regoin": 1}, "custom_config: unknown key 'ai_platform_regoin'; "),
        (
            {**CONFIG, SERVING: {**ARGS, "machine": 1}},
            "unknown key 'machine'; did you mean",
        ),
        ({**CONFIG, SERVING: {**ARGS, "sync": False}}, "sync: a push waits until the model serves"),
        ({**CONFIG, SERVING: {**ARGS, "traffic_split": {}}}, "a push divides the traffic itself"),
        ({**CONFIG, SERVING: {**ARGS, "traffic_percentage": 0}}, "a whole number of percent, 1 or"),
        ({**CONFIG, REGION: 4}, "ai_platform_vertex_region: expected a region"),
        ({**CONFIG, CONTAINER: None}, "image: there is none"),
        (
            {
                **CONFIG,
                CONTAINER: "europe-docker.pkg.dev/vertex-ai/prediction/tf2-cpu.2-15:1",
            },
            r"is one of Google's own, which end at TensorFlow 2\.15",
        ),
    ],
)
def test_what_does_not_fit(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read(config)


@pytest.mark.parametrize("folder", ["/outputs/run/pushed_model", "/gcs", "/gcs/bucket"])
def test_outputs_that_are_in_no_bucket(folder: str) -> None:
    with pytest.raises(ConfigError, match=r"reads models from a bucket, and this run writes to .*: expected"):
        applied("", json.dumps(CONFIG), folder)
