"""What a push makes at SageMaker: names, tags, and the requests that make models and endpoint configurations.

Names tell what they are of: `<endpoint>-<version>-<digest>` is a model, `<model>-<content>` a configuration that gives
it requests. So a second push of a model finds what the first has made, and a configuration with other content is
another one: SageMaker changes none.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from penstock.components.pusher.destinations.destination import Candidate
from penstock.components.pusher.destinations.sagemaker.settings import Settings

CURRENT, CANARY = "current", "canary"  # the production variants
ENDPOINT, PUSH, DIGEST = "penstock:endpoint", "penstock:push", "penstock:digest"
PREVIOUS, REPLACES = "penstock:previous", "penstock:replaces"  # of a configuration: a model, a configuration
_LONGEST = 34  # of a name's first part, so that the whole has 63 characters at most
_DIGITS = 8
_WATCHED = 300  # seconds for which alarms are listened to after all requests have moved

type Request = dict[str, Any]  # boto3's, by SageMaker's own names


def model_name(settings: Settings, candidate: Candidate) -> str:
    """Returns the name of a version's model."""
    return candidate.reference or f"{_prefix(settings.endpoint)}-{candidate.version}-{candidate.digest[:_DIGITS]}"


def model(settings: Settings, candidate: Candidate) -> Request:
    """Returns the request that makes a version's model: our image, and the files below its URI as they are."""
    source = {"S3Uri": f"{candidate.uri}/", "S3DataType": "S3Prefix", "CompressionType": "None"}
    return {
        "ModelName": model_name(settings, candidate),
        "ExecutionRoleArn": settings.role,
        "PrimaryContainer": {"Image": settings.rollout.image, "ModelDataSource": {"S3DataSource": source}},
        "Tags": tags(settings, candidate.push, {DIGEST: candidate.digest}),
    }


def variant(settings: Settings, name: str, model: str, count: int, weight: int) -> Request:
    """Returns a production variant of ours. Both have as many instances, so each can take all requests."""
    return {
        "VariantName": name,
        "ModelName": model,
        "InstanceType": settings.instance_type,
        "InitialInstanceCount": max(count, settings.instance_count),
        "InitialVariantWeight": float(weight),
    }


def endpoint_config(
    settings: Settings,
    model: str,
    variants: Sequence[Request],
    links: Mapping[str, str],
    push: str,
    capture: Request | None,
) -> Request:
    """Returns the request that makes a configuration, named by `model` and by its content."""
    content: Request = {"ProductionVariants": list(variants)}
    if capture:
        content["DataCaptureConfig"] = capture
    digest = hashlib.sha256(json.dumps([content, dict(links)], sort_keys=True).encode()).hexdigest()[:_DIGITS]
    name = f"{model[: 62 - _DIGITS]}-{digest}"
    return {"EndpointConfigName": name, **content, "Tags": tags(settings, push, links)}


def data_capture(settings: Settings) -> Request | None:
    """Returns what is kept of requests, as far as it is configured. Bodies of these types are text in the files."""
    capture = settings.data_capture
    if capture is None:
        return None
    key = {"KmsKeyId": capture.kms_key} if capture.kms_key else {}
    return {
        "EnableCapture": capture.percent > 0,
        "InitialSamplingPercentage": capture.percent,
        "DestinationS3Uri": capture.destination,
        "CaptureOptions": [{"CaptureMode": one.capitalize()} for one in capture.capture],
        "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"], "JsonContentTypes": ["application/json"]},
        **key,
    }


def deployment(settings: Settings) -> Request:
    """Returns what an update is told of alarms: all requests move at once, and back if one rings."""
    if not settings.alarms:
        return {}
    policy = {"TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": _WATCHED}}
    alarms = {"Alarms": [{"AlarmName": name} for name in settings.alarms]}
    return {"DeploymentConfig": {"BlueGreenUpdatePolicy": policy, "AutoRollbackConfiguration": alarms}}


def tags(settings: Settings, push: str, more: Mapping[str, str]) -> list[dict[str, str]]:
    """Returns the user's tags and ours."""
    own = {ENDPOINT: settings.endpoint, PUSH: push, **more}
    return [{"Key": key, "Value": value} for key, value in {**settings.tags, **own}.items()]


def _prefix(endpoint: str) -> str:
    if len(endpoint) <= _LONGEST:
        return endpoint
    digest = hashlib.sha256(endpoint.encode()).hexdigest()[:_DIGITS]
    return f"{endpoint[: _LONGEST - 1 - _DIGITS].rstrip('-')}-{digest}"
