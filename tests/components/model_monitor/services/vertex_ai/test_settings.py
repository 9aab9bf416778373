"""The settings of monitoring on Vertex AI: what does not fit is one sentence."""

import json
from typing import Any

import pytest

from penstock.components.model_monitor import services
from penstock.components.model_monitor.services.vertex_ai.settings import Settings
from penstock.core.errors import ConfigError

STORAGE = {"storage": "gs://bucket/monitoring"}


def test_defaults() -> None:
    assert Settings.of("vertex_ai", STORAGE) == Settings("gs://bucket/monitoring")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"storage": None}, "storage: expected a folder that Vertex AI reads from, gs://BUCKET/FOLDER, received None"),
        ({"storage": "s3://bucket"}, "storage: Vertex AI reads from gs://BUCKET/FOLDER, not s3://bucket"),
        ({"sampel_rate": 0.5}, "did you mean 'sample_rate'"),
        ({"sample_rate": 0}, "sample_rate: expected a share above 0, up to 1, received 0"),
        ({"sample_rate": True}, "sample_rate: expected a share above 0, up to 1, received True"),
        ({"interval": "30m"}, "interval: expected a number and h, d or w (whole hours, days, weeks), such as 6h, rec"),
        ({"log_ttl": "12h"}, "log_ttl: expected a number and d or w (whole days, weeks), such as 30d, received '12h'"),
        ({"user_emails": "a@b.c"}, "user_emails: expected a list of addresses"),
        ({"user_emails": ["team"]}, "user_emails: expected addresses, received 'team'"),
        ({"notification_channels": ["7"]}, "expected names, projects/PROJECT/notificationChannels/ID, received '7'"),
        ({"labels": {"Team": "rides"}}, "labels.Team: expected a key of small letters, digits, _ and -, 63 at most"),
        ({"labels": {"7": "rides"}}, "labels.7: expected a key of small letters, digits, _ and -, 63 at most, a lett"),
        ({"labels": {"team": "Rides"}}, "labels.team: expected small letters, digits, _ and -, 63 at most, received"),
        ({"skew": False, "drift": False}, "expected skew, drift or both, received neither"),
        ({"drift": "no"}, "drift: expected true or false, received 'no'"),
        (
            {"attributions": 0.3},
            "attributions: expected true, false or an object with a threshold for each feature",
        ),
        ({"attributions": {"miles": 2}}, "attributions.miles: expected a share above 0, up to 1, received 2"),
        ({"attributions": True, "explanation_baseline": "x"}, "expected gs://BUCKET/FOLDER, received 'x'"),
        ({"explanation_baseline": "gs://b/x"}, "explanation_baseline: it is for attributions and skew"),
        ({"version": 2, "attributions": True, "explanation_baseline": "gs://b/x"}, "it explains the training data its"),
        ({"version": 3}, "version: expected 1 or 2, received 3"),
        ({"version": True}, "version: expected 1 or 2, received True"),
        ({"request_log": "bq://p"}, "request_log: version 1 logs requests itself: leave out request_log, or set vers"),
        ({"version": 2, "log_ttl": "30d"}, "log_ttl: version 2 does not take it, for its request log is a table of yo"),
        (
            {"version": 2, "enable_monitoring_pipeline_logs": True},
            "version 2 does not take it, for it has no such logs",
        ),
        ({"version": 2, "request_log": "p.d.t"}, "expected bq://PROJECT[.DATASET[.TABLE]], received 'p.d.t'"),
        ({"version": 2, "dataset": "bq://p.d"}, "dataset: expected a table, bq://PROJECT.DATASET.TABLE, received"),
        ({"version": 2, "dataset": False}, "dataset: expected a table, bq://PROJECT.DATASET.TABLE, received False"),
        ({"version": 2, "dataset": "bq://p.d.t"}, "expected dataset and timestamp_field together, received only one"),
        ({"version": 2, "interval": "5h"}, "interval: version 2 has a schedule: expected 1h, 2h, 3h, 4h, 6h, 8h, 12h"),
    ],
)
def test_what_does_not_fit(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        services.read(json.dumps({"vertex_ai": STORAGE | settings}))
    assert message in raised.value.message
    assert raised.value.message.startswith("service.vertex_ai")


@pytest.mark.parametrize(
    ("interval", "cron"), [("1h", "0 * * * *"), ("8h", "0 */8 * * *"), ("24h", "0 0 * * *"), ("1w", "0 0 * * 1")]
)
def test_an_interval_as_a_schedule(interval: str, cron: str) -> None:
    assert Settings.of("vertex_ai", STORAGE | {"version": 2, "interval": interval}).cron == cron


def test_one_service() -> None:
    assert services.read("") is None
    with pytest.raises(ConfigError, match="vertex"):
        services.read('{"vertex": {}}')
