"""What is told of an endpoint of SageMaker."""

import re
from dataclasses import dataclass, field
from typing import Self

from penstock.components.pusher.destinations.destination import COMMON_KEYS, Rollout
from penstock.core.arguments import check_object, check_string, check_strings, check_whole_number
from penstock.core.errors import ConfigError

CAPTURED = ("input", "output")
_OWN_KEYS = ("endpoint", "role", "region", "instance_type", "instance_count", "data_capture", "alarms", "tags")
_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
_EXAMPLE = '{"endpoint": "<name>", "storage": "s3://<bucket>/<folder>", "role": "<ARN>", "image": "<ECR image>"}'


@dataclass(frozen=True)
class DataCapture:
    """Requests and answers that SageMaker writes to a bucket.

    Args:
        destination: The folder, s3://BUCKET/FOLDER.
        percent: The percentage of the requests that is written; 0 turns it off.
        capture: What is written, of CAPTURED.
        kms_key: The key that SageMaker encrypts it with, by its id, alias or ARN.
    """

    destination: str
    percent: int = 100
    capture: tuple[str, ...] = CAPTURED
    kms_key: str = ""


@dataclass(frozen=True)
class Settings:
    """The endpoint `endpoint`: `role` is the ARN of what SageMaker reads the model and the image as.

    `alarms` are CloudWatch's: one that rings while a version takes over brings the old one back.
    """

    rollout: Rollout
    endpoint: str
    role: str
    region: str = ""
    instance_type: str = "ml.m5.large"
    instance_count: int = 1
    data_capture: DataCapture | None = None
    alarms: tuple[str, ...] = ()
    tags: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, settings: object) -> Self:
        """Reads the settings, which sentences call `name`; raises a ConfigError if they do not fit."""
        items = check_object(name, settings, (*COMMON_KEYS, *_OWN_KEYS), _EXAMPLE)
        rollout = Rollout.of(name, items)
        if not rollout.storage.startswith("s3://"):
            raise ConfigError(
                f"{name}.storage: expected s3://BUCKET/FOLDER, which SageMaker reads, received {rollout.storage}"
            )
        if not rollout.image:
            raise ConfigError(f"{name}.image: expected the model server's image in a registry of Amazon's (ECR)")
        endpoint = check_string(f"{name}.endpoint", items.get("endpoint"), "the endpoint's name")
        if not _NAME.fullmatch(endpoint):
            raise ConfigError(
                f"{name}.endpoint: expected letters, digits and dashes, 63 at most, received {endpoint!r}"
            )
        return cls(
            rollout,
            endpoint,
            check_string(f"{name}.role", items.get("role"), "the ARN of a role"),
            str(items.get("region") or ""),
            check_string(f"{name}.instance_type", items.get("instance_type", cls.instance_type), "an instance type"),
            check_whole_number(
                f"{name}.instance_count", items.get("instance_count", cls.instance_count), 1, "instances"
            ),
            _data_capture(f"{name}.data_capture", items.get("data_capture")),
            tuple(check_strings(f"{name}.alarms", items.get("alarms", []))),
            _tags(f"{name}.tags", items.get("tags", {})),
        )


def _data_capture(name: str, settings: object) -> DataCapture | None:
    if settings is None:
        return None
    keys = ("destination", "percent", "capture", "kms_key")
    items = check_object(name, settings, keys, '{"destination": "s3://<bucket>/<folder>"}')
    percent = check_whole_number(f"{name}.percent", items.get("percent", DataCapture.percent), 0, "percent")
    if percent > 100:
        raise ConfigError(f"{name}.percent: expected a percentage from 0 to 100, received {percent}")
    capture = check_strings(f"{name}.capture", items.get("capture", list(CAPTURED)))
    if not capture or not {*capture} <= {*CAPTURED}:
        raise ConfigError(f"{name}.capture: expected some of {', '.join(CAPTURED)}, received {capture}")
    destination = check_string(f"{name}.destination", items.get("destination"), "s3://BUCKET/FOLDER")
    return DataCapture(destination, percent, tuple(dict.fromkeys(capture)), str(items.get("kms_key") or ""))


def _tags(name: str, settings: object) -> dict[str, str]:
    tags = check_object(name, settings)
    return {key: check_string(f"{name}.{key}", value, "a text") for key, value in tags.items()}
