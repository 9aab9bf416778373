"""What monitoring on Vertex AI is told: the settings below `vertex_ai` in `service`, checked."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from penstock.core.arguments import check_object, check_string, check_strings, check_whole_number
from penstock.core.errors import ConfigError
from penstock.core.services.vertex_resources import check_labels, present_credentials

EXAMPLE = '{"storage": "gs://<bucket>/<folder>", "user_emails": ["<address>"]}'
TIMEOUT_KEY = "monitoring.vertex_ai.timeout"  # which advice names
_KEYS = (
    "version",
    "storage",
    "display_name",
    "skew",
    "drift",
    "attributions",
    "explanation_baseline",
    "interval",
    "sample_rate",
    "user_emails",
    "notification_channels",
    "enable_logging",
    "enable_monitoring_pipeline_logs",
    "log_ttl",
    "request_log",
    "dataset",
    "timestamp_field",
    "labels",
    "encryption_spec_key_name",
    "project",
    "api_endpoint",
    "credentials_file",
    "request_timeout",
    "timeout",
)
_TEXTS = (
    "display_name",
    "timestamp_field",
    "encryption_spec_key_name",
    "project",
    "api_endpoint",
    "credentials_file",
)
_OF_VERSION_2 = ("request_log", "dataset", "timestamp_field")
_OF_VERSION_1 = {
    "log_ttl": "its request log is a table of yours, whose expiration is set in BigQuery",
    "enable_monitoring_pipeline_logs": "it has no such logs",
    "explanation_baseline": "it explains the training data itself",
}
_CRONS = {1: "0 * * * *", 24: "0 0 * * *", 7 * 24: "0 0 * * 1"}  # by hours
_HOURS = {"h": 1, "d": 24, "w": 7 * 24}
_LENGTH = re.compile(r"^([1-9][0-9]{0,4})([hdw])$")
_CHANNEL = re.compile(r"^projects/[^/]+/notificationChannels/[^/]+$")
_FOLDER = re.compile(r"^gs://[^/]+/.+$")
_REQUEST_LOG = re.compile(r"^bq://[a-z0-9:.-]+(\.\w+(\.[\w-]+)?)?$")
_TABLE = re.compile(r"^bq://[a-z0-9:.-]+\.\w+\.[\w-]+$")
_EMAIL = re.compile(r"^[^@\s]+@[^@\s]+$")


@dataclass(frozen=True)
class Settings:
    """How requests are monitored, and who is told.

    version: Of the service: 1, a job of the endpoint, or 2, a monitor of each of its model's versions.
    storage: The folder, gs://…, of the files that the service reads.
    attributions: Thresholds of feature attributions by feature, in place of the default, None for one that never
        alerts; None where attributions are not compared.
    explanation_baseline: A folder, gs://…, with a batch explanation of the training data, in JSON lines; "" where the
        service makes one. Of version 1.
    display_name: The name of the job or the monitor, by default that of the endpoint, with the version's for a monitor.
    interval_hours: How often requests are compared, and how long a window of them is.
    sample_rate: The share of the requests that is logged and compared.
    log_ttl_days: How long requests stay in BigQuery; 0: for ever. Of version 1.
    request_log: Where version 2 has the endpoint log its requests, bq://PROJECT[.DATASET[.TABLE]]; "": the project.
    dataset: A table, bq://PROJECT.DATASET.TABLE, that version 2 reads in place of the endpoint's log, with
        `timestamp_field` for the time of a row; "" for none.
    timeout: How many seconds the service may take to change a job or a monitor.
    """

    storage: str
    version: int = 1
    display_name: str = ""
    skew: bool = True
    drift: bool = True
    attributions: Mapping[str, float | None] | None = None
    explanation_baseline: str = ""
    interval_hours: int = 24
    sample_rate: float = 1.0
    user_emails: Sequence[str] = ()
    notification_channels: Sequence[str] = ()
    enable_logging: bool = True
    enable_monitoring_pipeline_logs: bool = False
    log_ttl_days: int = 0
    request_log: str = ""
    dataset: str = ""
    timestamp_field: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    encryption_spec_key_name: str = ""
    project: str = ""
    api_endpoint: str | None = None
    credentials_file: str | None = None
    request_timeout: int = 60
    timeout: int = 600

    @classmethod
    def of(cls, name: str, settings: object) -> Self:
        """Reads the settings, which messages call `name`. Raises a ConfigError for what does not fit."""
        values = {
            key: value for key, value in check_object(name, settings, _KEYS, EXAMPLE).items() if value is not None
        }
        texts = {key: check_string(f"{name}.{key}", values[key], "a text") for key in _TEXTS if key in values}
        read = cls(
            storage=_storage(name, values.get("storage")),
            version=_version(name, values),
            display_name=texts.get("display_name", ""),
            skew=_flag(name, values, "skew", default=True),
            drift=_flag(name, values, "drift", default=True),
            attributions=_attributions(name, values.get("attributions", False)),
            explanation_baseline=_matched(name, values, "explanation_baseline", _FOLDER, "gs://BUCKET/FOLDER"),
            interval_hours=hours(f"{name}.interval", values.get("interval", "1d")),
            sample_rate=_share(f"{name}.sample_rate", values.get("sample_rate", 1.0)),
            user_emails=_matching(name, values, "user_emails", _EMAIL, "addresses"),
            notification_channels=_matching(
                name, values, "notification_channels", _CHANNEL, "names, projects/PROJECT/notificationChannels/ID"
            ),
            enable_logging=_flag(name, values, "enable_logging", default=True),
            enable_monitoring_pipeline_logs=_flag(name, values, "enable_monitoring_pipeline_logs", default=False),
            log_ttl_days=hours(f"{name}.log_ttl", values["log_ttl"], days=True) // 24 if "log_ttl" in values else 0,
            request_log=_matched(name, values, "request_log", _REQUEST_LOG, "bq://PROJECT[.DATASET[.TABLE]]"),
            dataset=_matched(name, values, "dataset", _TABLE, "a table, bq://PROJECT.DATASET.TABLE"),
            timestamp_field=texts.get("timestamp_field", ""),
            labels=check_labels(f"{name}.labels", values.get("labels", {})),
            encryption_spec_key_name=texts.get("encryption_spec_key_name", ""),
            project=texts.get("project", ""),
            api_endpoint=texts.get("api_endpoint"),
            credentials_file=present_credentials(name, texts.get("credentials_file")),
            request_timeout=check_whole_number(
                f"{name}.request_timeout", values.get("request_timeout", 60), 1, "seconds"
            ),
            timeout=check_whole_number(f"{name}.timeout", values.get("timeout", 600), 1, "seconds"),
        )
        if not read.skew and not read.drift:
            raise ConfigError(f"{name}: expected skew, drift or both, received neither: leave out what is false")
        if read.explanation_baseline and (read.attributions is None or not read.skew):
            raise ConfigError(f"{name}.explanation_baseline: it is for attributions and skew, which are left out here")
        if bool(read.dataset) != bool(read.timestamp_field):
            raise ConfigError(f"{name}: expected dataset and timestamp_field together, received only one of them")
        if read.version == 2 and not read.cron:
            raise ConfigError(
                f"{name}.interval: version 2 has a schedule: expected 1h, 2h, 3h, 4h, 6h, 8h, 12h, 1d or 1w, received "
                f"{values.get('interval')!r}"
            )
        return read

    @property
    def cron(self) -> str:
        """When version 2 compares requests, in UTC; "" for an interval that such a schedule cannot say."""
        if self.interval_hours in _CRONS:
            return _CRONS[self.interval_hours]
        return f"0 */{self.interval_hours} * * *" if self.interval_hours < 24 and 24 % self.interval_hours == 0 else ""


def hours(name: str, value: object, *, days: bool = False) -> int:
    """Returns the hours of a length such as 6h, 1d or 1w; a ConfigError for another, and for no whole `days`."""
    match = _LENGTH.match(value) if isinstance(value, str) else None
    if match is None or (days and match[2] == "h"):
        units = (
            "d or w (whole days, weeks), such as 30d" if days else "h, d or w (whole hours, days, weeks), such as 6h"
        )
        raise ConfigError(f"{name}: expected a number and {units}, received {value!r}")
    return int(match[1]) * _HOURS[match[2]]


def _storage(name: str, value: object) -> str:
    storage = check_string(f"{name}.storage", value, "a folder that Vertex AI reads from, gs://BUCKET/FOLDER")
    if not storage.startswith("gs://"):
        raise ConfigError(f"{name}.storage: Vertex AI reads from gs://BUCKET/FOLDER, not {storage}")
    return storage.rstrip("/")


def _version(name: str, values: Mapping[str, Any]) -> int:
    version = values.get("version", 1)
    if isinstance(version, bool) or version not in (1, 2):
        raise ConfigError(f"{name}.version: expected 1 or 2, received {version!r}")
    for key in _OF_VERSION_2:
        if version == 1 and key in values:
            raise ConfigError(f"{name}.{key}: version 1 logs requests itself: leave out {key}, or set version: 2")
    for key, why in _OF_VERSION_1.items():
        if version == 2 and values.get(key):
            raise ConfigError(f"{name}.{key}: version 2 does not take it, for {why}: leave out {key}")
    return int(version)


def _matched(name: str, values: Mapping[str, Any], key: str, pattern: re.Pattern[str], what: str) -> str:
    value = values.get(key, "")
    if not isinstance(value, str) or (value and not pattern.match(value)):
        raise ConfigError(f"{name}.{key}: expected {what}, received {value!r}")
    return value


def _attributions(name: str, value: object) -> dict[str, float | None] | None:
    if isinstance(value, bool):
        return {} if value else None
    if not isinstance(value, dict):
        raise ConfigError(
            f"{name}.attributions: expected true, false or an object with a threshold for each feature, received "
            f"{value!r}"
        )
    return {key: None if limit is None else _share(f"{name}.attributions.{key}", limit) for key, limit in value.items()}


def _share(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise ConfigError(f"{name}: expected a share above 0, up to 1, received {value!r}")
    return float(value)


def _matching(name: str, values: Mapping[str, Any], key: str, pattern: re.Pattern[str], what: str) -> tuple[str, ...]:
    texts = check_strings(f"{name}.{key}", values.get(key, []), what)
    for text in texts:
        if not pattern.match(text):
            raise ConfigError(f"{name}.{key}: expected {what}, received {text!r}")
    return tuple(texts)


def _flag(name: str, values: Mapping[str, Any], key: str, default: bool) -> bool:
    value = values.get(key, default)
    if not isinstance(value, bool):
        raise ConfigError(f"{name}.{key}: expected true or false, received {value!r}")
    return value
