"""The section push.sagemaker and what all services share: what the Pusher is told, and every mistake in it."""

from pathlib import Path

import pytest

from penstock.components.pusher.destinations import sagemaker
from penstock.components.pusher.destinations.destination import Rollout
from penstock.components.pusher.destinations.sagemaker.settings import DataCapture, Settings
from penstock.core.errors import ConfigError
from penstock.pipelines.config import training_pipeline as configs
from penstock.pipelines.config.push import Push
from penstock.pipelines.config.push.serving import Serving

FILE = Path(__file__).parents[2] / "sagemaker.yaml"
ROLE = "arn:aws:iam::123456789012:role/serving"
IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/penstock-serving:0.1.0"


def test_the_pusher_takes_what_the_section_says() -> None:
    config = configs.load(FILE)
    assert config.push
    assert config.push.destination["filesystem"] == {"base_directory": "s3://models/taxi"}
    service = sagemaker.destination("push_destination.sagemaker", config.push.destination["sagemaker"])
    assert service.settings == Settings(
        Rollout("s3://models/endpoints/taxi", IMAGE, canary=10, promote_after=600, max_error_rate=0.02, timeout=3600),
        "taxi",
        ROLE,
        "eu-west-1",
        "ml.c6i.xlarge",
        2,
        DataCapture("s3://models/captured", 20),
        ("taxi-5xx",),
        {"team": "rides"},
    )


def test_defaults_are_the_same_in_the_section_and_in_push_destination() -> None:
    own = {"endpoint": "taxi", "storage": "s3://models/taxi", "role": ROLE, "image": IMAGE}
    section = Push.model_validate({"sagemaker": own}).destination["sagemaker"]
    assert Settings.of("sagemaker", section) == Settings.of("sagemaker", own)


def test_a_service_needs_no_more_than_a_storage() -> None:
    section = Serving.model_validate({"storage": "gs://models/taxi"})
    assert Rollout.of("x", section.settings) == Rollout("gs://models/taxi")


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("push={}", "push: expected a place to push to: directory, vertex_ai, kserve, sagemaker"),
        (
            "push.sagemaker.storage=/models",
            r"push\.sagemaker\.storage: expected s3://BUCKET/FOLDER, received '/models'",
        ),
        ("push.sagemaker.endpoint=my taxi", r"push\.sagemaker\.endpoint: expected letters, digits and single dashes"),
        ("push.sagemaker.role=serving", r"push\.sagemaker\.role: expected arn:aws:iam::ACCOUNT:role/NAME"),
        ("push.sagemaker.image=null", r"push\.sagemaker\.image"),
        ("push.sagemaker.region=Ireland", r"push\.sagemaker\.region: expected a region of AWS, such as eu-west-1"),
        ("push.sagemaker.instance_type=m5", r"push\.sagemaker\.instance_type: expected an instance type"),
        ("push.sagemaker.canary=100", r"push\.sagemaker\.canary: .*received 100"),
        ("push.sagemaker.canary=null", r"push\.sagemaker\.promote_after: expected a canary"),
        ("push.sagemaker.max_error_rate=5", r"push\.sagemaker\.max_error_rate: .*received 5"),
        ("push.sagemaker.canari=5", "canari.*did you mean 'canary'"),
        ("push.sagemakr={}", "sagemakr.*did you mean 'sagemaker'"),
    ],
)
def test_a_wrong_section(assignment: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        configs.load(FILE, [assignment])
