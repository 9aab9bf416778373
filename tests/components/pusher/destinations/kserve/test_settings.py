"""The settings of KServe in push_destination, as a pipeline written by hand gives them."""

from typing import Any

import pytest

from penstock.components.pusher.destinations import kserve
from penstock.components.pusher.destinations.destination import Rollout
from penstock.components.pusher.destinations.kserve.settings import Settings
from penstock.core.errors import ConfigError

LEAST = {"name": "taxi", "storage": "s3://models/taxi"}
CLAIM = {"storage": "pvc://team-files/taxi", "claim_mount": "/mnt/team"}


def read(**settings: Any) -> Settings:
    values = Settings.values("kserve", LEAST | settings)
    return Settings.of("kserve", values, Rollout.of("kserve", values))


@pytest.mark.parametrize(
    ("settings", "uri", "served"),
    [
        ({}, "s3://models/taxi/17", "s3://models/taxi/17"),
        ({"storage": "gs://models/taxi"}, "gs://models/taxi/17", "gs://models/taxi/17"),
        ({"storage": "minio://models/taxi"}, "minio://models/taxi/17", "s3://models/taxi/17"),
        (CLAIM, "/mnt/team/taxi/17", "pvc://team-files/taxi/17"),
        (CLAIM, "pvc://team-files/taxi/16", "pvc://team-files/taxi/16"),
        (
            {"storage": "/mnt/team/taxi", "claim": "f", "claim_mount": "/mnt/team/"},
            "/mnt/team/taxi/1",
            "pvc://f/taxi/1",
        ),
    ],
)
def test_where_kserve_finds_a_version(settings: dict[str, Any], uri: str, served: str) -> None:
    assert read(**settings).storage_uri("kserve", uri) == served


def test_amounts_are_kubernetes() -> None:
    assert read(resources={"cpu": 0.25}).resources.cpu == "0.25"
    assert read(resources={"cpu": 2}).resources.cpu == "2"
    assert read(resources={"gpus": 2.0}).resources.gpus == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": None}, r"kserve\.name: expected the InferenceService's name, received None"),
        ({"name": "Taxi"}, r"kserve\.name: expected a small letter, then .*'Taxi'"),
        ({"name": "a" * 51}, "50 at most"),
        ({"names": "x"}, r"unknown key 'names'; did you mean 'name'\?"),
        ({"storage": None}, r"kserve\.storage: expected"),
        ({"storage": "hf://team/model"}, r"kserve\.storage: expected a bucket .*received 'hf://team/model'"),
        ({"storage": "/models"}, r"kserve\.storage: expected a bucket .*received '/models'"),
        ({"storage": "pvc://team-files/taxi"}, r"expected pvc://CLAIM/FOLDER with claim_mount"),
        ({"storage": "pvc://team-files", "claim_mount": "/mnt"}, r"expected pvc://CLAIM/FOLDER with claim_mount"),
        ({"storage": "/other", "claim": "f", "claim_mount": "/mnt"}, "expected a folder below claim_mount, /mnt"),
        ({"claim": "f"}, "expected both claim and claim_mount, or neither"),
        ({"deployment_mode": "Raw"}, r"deployment_mode: expected one of Knative, Serverless, .*received 'Raw'"),
        ({"deployment_mode": "RawDeployment", "canary": 10}, "kserve.canary: in KServe's mode RawDeployment"),
        ({"min_replicas": -1}, r"min_replicas: expected a whole number, 0 or more, received -1"),
        ({"max_replicas": "many"}, r"max_replicas: expected a whole number"),
        ({"min_replicas": 3, "max_replicas": 2}, r"max_replicas: expected min_replicas or more, received 2 for 3"),
        ({"request_timeout": 0}, r"request_timeout: expected a whole number, 1 or more"),
        ({"service_account": ""}, r"service_account: expected a name"),
        ({"image_pull_secrets": "registry"}, r"image_pull_secrets: expected a list of names"),
        ({"resources": {"cpus": 2}}, r"resources: unknown key 'cpus'; did you mean"),
        ({"resources": {"cpu": True}}, r"resources\.cpu: expected a number of cores, received True"),
        ({"resources": {"memory": 4}}, r"resources\.memory: expected memory, such as 4Gi, received 4"),
        ({"resources": {"gpus": -1}}, r"resources\.gpus: expected a whole number"),
        ({"node_selector": {"pool": 1}}, r"node_selector\.pool: expected text, received 1"),
        ({"annotations": []}, r"annotations: expected an object"),
        ({"logger": {"mode": "all"}}, r"logger\.url: expected where the events are sent to"),
        ({"logger": {"mode": "some", "url": "http://x"}}, r"logger\.mode: expected one of all, request, response"),
    ],
)
def test_a_mistake_is_a_sentence(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        kserve.destination("kserve", LEAST | settings)
