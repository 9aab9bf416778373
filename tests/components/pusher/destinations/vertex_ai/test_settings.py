"""The settings of a push to Vertex AI: what they may be, and the sentence for each that may not."""

from pathlib import Path
from typing import Any

import pytest

from penstock.components.pusher.destinations.vertex_ai import destination
from penstock.components.pusher.destinations.vertex_ai.settings import Settings
from penstock.core.errors import ConfigError

IMAGE = "europe-west4-docker.pkg.dev/my-project/penstock/penstock-serving:1"
LEAST = {"storage": "gs://bucket/models", "image": IMAGE, "endpoint": "taxi"}


def test_what_is_left_out() -> None:
    read = Settings.of("v", LEAST)
    assert (read.model, read.machine_type, read.min_replica_count, read.max_replica_count) == (
        "taxi",
        "n1-standard-2",
        1,
        1,
    )
    assert (read.connection.project, read.connection.location, read.connection.timeout) == ("", "us-central1", 60)
    assert read.keep_previous
    assert Settings.of("v", {**LEAST, "minReplicaCount": 3}).max_replica_count == 3
    assert Settings.of("v", {**LEAST, "canary": None, "network": None, "accelerator": None}) == read


def test_a_file_of_credentials_that_only_the_users_machine_has(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="penstock")
    key = tmp_path / "key.json"
    assert Settings.of("v", {**LEAST, "credentials_file": str(key)}).connection.credentials_file is None
    assert f"v.credentials_file: {key} is not here" in caplog.text
    key.touch()
    assert Settings.of("v", {**LEAST, "credentials_file": str(key)}).connection.credentials_file == str(key)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"storage": "/models"}, r"v\.storage: Vertex AI reads models from gs://BUCKET/FOLDER, not /models"),
        ({"storage": None}, r"v\.storage: expected a folder or a bucket's folder, received None"),
        ({"endpoint": None}, r"v\.endpoint: expected an endpoint's name, received None"),
        ({"image": None}, r"v\.image: there is none, and Vertex AI pulls"),
        ({"image": "penstock-serving:1"}, r"v\.image: penstock-serving:1 has no registry, and Vertex AI pulls"),
        ({"machine": "n1"}, "v: unknown key 'machine'; did you mean 'machine_type'"),
        ({"machine_type": 4}, r"v\.machine_type: expected a text, received 4"),
        ({"min_replica_count": 0}, r"v\.min_replica_count: expected a whole number of replicas, 1 or more"),
        ({"min_replica_count": 3, "max_replica_count": 2}, r"v\.max_replica_count: expected .* 3 or more, received 2"),
        ({"accelerator": {"type": "L5"}}, r"v\.accelerator\.type: no GPU 'L5'; expected one of T4, P4, .*L4"),
        ({"accelerator": {"type": "L4", "count": 0}}, r"v\.accelerator\.count: expected a whole number of GPUs, 1"),
        ({"accelerator": "L4"}, r"v\.accelerator: expected an object such as"),
        ({"accelerator": {"type": "L4"}}, r"v\.accelerator: the image penstock-serving has TensorFlow for processors"),
        (
            {"aliases": ["1st"]},
            r"v\.aliases: expected letters, digits and dashes, a small letter first, received '1st'",
        ),
        ({"labels": {"team": "A"}}, r"v\.labels\.team: expected small letters, digits, _ and -, 63 at most"),
        ({"explanation": {}}, r"v\.explanation\.inputs: expected the features that are explained, received none"),
        (
            {"explanation": {"inputs": {"fare": True}}},
            r"inputs\.fare: expected a text, a number or null",
        ),
        ({"explanation": {"inputs": {"fare": 0}, "path_count": 51}}, r"path_count: expected 50 permutations at most"),
        ({"keep_previous": "no"}, r"v\.keep_previous: expected true or false, received 'no'"),
        ({"network": "projects/1/global/networks/n", "canary": 5}, r"v\.canary: an endpoint in a network has one"),
        ({"canary": 100}, r"v\.canary: expected a percentage from 1 to 99, received 100"),
    ],
)
def test_what_does_not_fit(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Settings.of("v", {**LEAST, **change})


def test_it_connects_when_it_is_first_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)
    service = destination("v", LEAST)
    assert service.place == "Vertex AI endpoint taxi (us-central1)"
    with pytest.raises(ConfigError, match=r"vertex\.project is missing"):
        service.endpoint()
