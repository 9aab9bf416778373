"""The section push.kserve: what the Pusher is told of it, and every mistake in it."""

from pathlib import Path
from typing import Any

import pytest

from penstock.components.pusher.destinations import kserve
from penstock.core.errors import ConfigError
from penstock.pipelines.config import training_pipeline as configs

FILE = Path(__file__).parents[2] / "kserve.yaml"


def settings(*assignments: str) -> dict[str, Any]:
    config = configs.load(FILE, [f"push.kserve.{assignment}" for assignment in assignments])
    assert config.push
    found: dict[str, Any] = config.push.destination["kserve"]
    return found


def test_the_pusher_takes_what_the_section_says() -> None:
    service = kserve.destination("push_destination.kserve", settings())
    assert service.place == "InferenceService taxi in models"
    assert (service.rollout.canary, service.rollout.promote_after, service.rollout.timeout) == (10, 600, 1200)
    assert settings()["resources"] == {"cpu": 2, "memory": "4Gi", "gpus": 1}


def test_storage_on_a_claim() -> None:
    """Versions are written where the Pusher has the claim, and KServe mounts it by its name."""
    found = settings("storage=pvc://team-files/taxi/serving", "claim_mount=/mnt/team")
    assert (found["storage"], found["claim"]) == ("/mnt/team/taxi/serving", "team-files")
    assert kserve.destination("kserve", found).rollout.storage == "/mnt/team/taxi/serving"
    spelled_out = settings("storage=/mnt/team/taxi/serving", "claim=team-files", "claim_mount=/mnt/team")
    assert spelled_out == found


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("name=Taxi", r"push\.kserve\.name: expected a small letter, then small letters, digits and dashes.*'Taxi'"),
        ("name=null", r"push\.kserve\.name"),
        ("storage=hf://team/model", r"storage: expected a bucket .* s3:// or gs://, or a claim.*'hf://team/model'"),
        ("storage=/mnt/team", r"storage: expected a bucket .* or a claim, pvc://CLAIM/FOLDER with claim_mount"),
        (
            "storage=pvc://team-files/taxi",
            r"storage: expected pvc://CLAIM/FOLDER and claim_mount.*'pvc://team-files/taxi'",
        ),
        ("claim_mount=/mnt/team", "expected both claim and claim_mount, or neither"),
        ("deployment_mode=Standard", "canary: in KServe's mode Standard a new version gets all requests at once"),
        ("deployment_mode=Raw", r"deployment_mode: expected 'Knative', .*received 'Raw'"),
        ("max_replicas=0", r"push\.kserve\.max_replicas"),
        ("min_replicas=9", r"max_replicas: expected min_replicas \(9\) or more"),
        ("logger={mode: all}", r"push\.kserve\.logger\.url"),
        ("logger={url: sink}", r"push\.kserve\.logger\.url: expected the address of what takes CloudEvents"),
        (
            "logger={mode: some, url: 'http://x'}",
            r"logger\.mode: expected 'all', 'request' or 'response'",
        ),
        ("canary=100", r"push\.kserve\.canary"),
        ("replicas=3", r"push\.kserve\.replicas: unknown key.*did you mean"),
    ],
)
def test_a_mistake_is_a_sentence(assignment: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        settings(assignment)
