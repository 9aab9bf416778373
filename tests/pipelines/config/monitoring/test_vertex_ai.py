"""The section monitoring.vertex_ai: what it leaves out is that of the push; what does not fit is one sentence."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from penstock.components.model_monitor.services.vertex_ai.settings import Settings
from penstock.core.errors import ConfigError
from penstock.pipelines.config import training_pipeline
from penstock.pipelines.config.training_pipeline import Config

type Load = Callable[..., Config]
IMAGE = "europe-west4-docker.pkg.dev/my-project/penstock/penstock-serving:1"
PUSH = {"vertex_ai": {"storage": "gs://bucket/models/", "image": IMAGE}}
EXPLAINED = {"vertex_ai": PUSH["vertex_ai"] | {"explanation": {"inputs": {"fare": 0.0, "comment": None}}}}


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Returns a function that reads a pipeline whose requests are monitored."""

    def read(monitoring: dict[str, Any], **more: Any) -> Config:
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / "data" / "data.csv").write_text("fare,tips\n1,2\n")
        path = tmp_path / "taxi.yaml"
        own = {"data": {"path": "data"}, "label": "tips", "push": PUSH, "monitoring": monitoring}
        path.write_text(yaml.safe_dump(own | more))
        return training_pipeline.load(path)

    return read


def settings(config: Config) -> Settings:
    """Reads what the section says as ModelMonitor does."""
    service = config.monitoring_service
    assert service
    return Settings.of("service.vertex_ai", json.loads(json.dumps(service))["vertex_ai"])


def test_an_empty_section_is_enough(load: Load) -> None:
    assert settings(load({"vertex_ai": {}})) == Settings("gs://bucket/models/monitoring")
    assert load({}).monitoring_service is None


def test_what_is_left_out_is_that_of_the_push(load: Load) -> None:
    vertex = {
        "project": "my-project",
        "api_endpoint": "https://vertex.example.com",
        "labels": {"team": "rides"},
        "encryption_spec_key_name": "projects/p/locations/l/keyRings/r/cryptoKeys/k",
    }
    own = settings(load({"window": "6h", "vertex_ai": {}}, vertex=vertex))
    assert (own.project, own.api_endpoint, own.labels) == ("my-project", vertex["api_endpoint"], {"team": "rides"})
    assert own.encryption_spec_key_name == vertex["encryption_spec_key_name"]
    assert own.interval_hours == 6


def test_everything(load: Load) -> None:
    section = {
        "storage": "gs://other/monitoring",
        "display_name": "Taxi fares",
        "drift": False,
        "attributions": {"fare": 0.25, "comment": None},
        "explanation_baseline": "gs://other/explained",
        "interval": "1w",
        "sample_rate": 0.2,
        "user_emails": ["team@example.org"],
        "notification_channels": ["projects/my-project/notificationChannels/77"],
        "enable_logging": False,
        "enable_monitoring_pipeline_logs": True,
        "log_ttl": "30d",
        "timeout": 60,
    }
    assert settings(load({"vertex_ai": section}, push=EXPLAINED)) == Settings(
        storage="gs://other/monitoring",
        display_name="Taxi fares",
        drift=False,
        attributions={"fare": 0.25, "comment": None},
        explanation_baseline="gs://other/explained",
        interval_hours=168,
        sample_rate=0.2,
        user_emails=("team@example.org",),
        notification_channels=("projects/my-project/notificationChannels/77",),
        enable_logging=False,
        enable_monitoring_pipeline_logs=True,
        log_ttl_days=30,
        timeout=60,
    )


def test_version_2(load: Load) -> None:
    section = {
        "version": 2,
        "interval": "12h",
        "request_log": "bq://my-project.rides",
        "dataset": "bq://my-project.rides.asked-2026",
        "timestamp_field": "asked_at",
    }
    assert settings(load({"vertex_ai": section})) == Settings(
        storage="gs://bucket/models/monitoring",
        version=2,
        interval_hours=12,
        request_log="bq://my-project.rides",
        dataset="bq://my-project.rides.asked-2026",
        timestamp_field="asked_at",
    )


@pytest.mark.parametrize(
    ("monitoring", "more", "message"),
    [
        ({"vertex_ai": {}}, {"push": None}, "monitoring.vertex_ai: there is no endpoint to monitor: expected push.ver"),
        ({"vertex_ai": {}, "window": "30m"}, {}, "vertex_ai.interval: Vertex AI compares windows of whole hours, and"),
        ({"vertex_ai": {"interval": "30m"}}, {}, "monitoring.vertex_ai.interval: expected a number and h, d or w"),
        ({"vertex_ai": {"log_ttl": "12h"}}, {}, "monitoring.vertex_ai.log_ttl: expected a number and d or w"),
        ({"vertex_ai": {"sample_rate": 0}}, {}, "monitoring.vertex_ai.sample_rate: expected"),
        ({"vertex_ai": {"skew": False, "drift": False}}, {}, "monitoring.vertex_ai: expected skew, drift or both"),
        ({"vertex_ai": {"user_emails": ["team"]}}, {}, "user_emails.0: expected an address, such as team@example.org"),
        ({"vertex_ai": {"storage": "s3://bucket/x"}}, {}, "monitoring.vertex_ai.storage: expected gs://BUCKET/FOLDER"),
        ({"vertex_ai": {"attributions": {"fare": 2}}}, {}, "monitoring.vertex_ai.attributions"),
        (
            {"vertex_ai": {"attributions": {"fares": 0.1}}},
            {"push": EXPLAINED},
            "attributions.fares: push.vertex_ai.explanation has no 'fares'; did you mean 'fare'",
        ),
        ({"vertex_ai": {"attributions": True}}, {}, "attributions: a version that is pushed has no explanations: exp"),
        (
            {"vertex_ai": {"explanation_baseline": "gs://b/x"}},
            {},
            "explanation_baseline: it is for attributions",
        ),
        (
            {"vertex_ai": {"version": 2, "attributions": True, "explanation_baseline": "gs://b/x"}},
            {},
            "explanation_baseline: version 2 explains the training data itself",
        ),
        ({"vertex_ai": {"version": 3}}, {}, "monitoring.vertex_ai.version: expected 1 or 2"),
        ({"vertex_ai": {"request_log": "bq://p"}}, {}, "request_log: version 1 logs requests itself"),
        (
            {"vertex_ai": {"version": 2, "log_ttl": "30d"}},
            {},
            "log_ttl: the request log of version 2 is your own table",
        ),
        ({"vertex_ai": {"version": 2, "enable_monitoring_pipeline_logs": True}}, {}, "version 2 has no such logs"),
        ({"vertex_ai": {"version": 2, "dataset": "bq://p.d"}}, {}, "dataset: expected bq://PROJECT.DATASET.TABLE"),
        ({"vertex_ai": {"version": 2, "dataset": "bq://p.d.t"}}, {}, "expected dataset and timestamp_field together"),
        ({"vertex_ai": {"version": 2, "interval": "5h"}}, {}, "interval: version 2 has a schedule: expected 1h, 2h"),
        ({"vertex_ai": {"version": 2}, "window": "3d"}, {}, "vertex_ai.interval: version 2 has a schedule"),
    ],
)
def test_what_does_not_fit(load: Load, monitoring: dict[str, Any], more: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load(monitoring, **more)
    assert message in str(raised.value)
