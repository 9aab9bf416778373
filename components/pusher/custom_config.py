"""TFX's custom_config of a Pusher to Vertex AI, read as the destination `vertex_ai`.

TFX's keys are those of tfx/extensions/google_cloud_ai_platform/constants.py; `ai_platform_serving_args` holds arguments
of the SDK's Model.deploy. What a push here does otherwise is answered in a sentence, and nothing is passed over.
"""

import json
import logging
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from penstock.core.arguments import check_object, check_string, check_whole_number, parse_object
from penstock.core.errors import ConfigError

_ENABLE, _REGION, _ENDPOINT = "ai_platform_enable_vertex", "ai_platform_vertex_region", "endpoint"
_IMAGE, _ARGS = "ai_platform_vertex_container_image_uri", "ai_platform_serving_args"
_KEYS = (_ENABLE, _REGION, _IMAGE, _ARGS, _ENDPOINT)
_OF_TRAINING = "ai_platform_training_"  # for the Trainer, whose custom_config may be the same object
_SAME = {  # of the serving arguments: ours, by the SDK's
    "endpoint_name": "endpoint",
    "project": "project",
    "project_id": "project",
    "machine_type": "machine_type",
    "min_replica_count": "min_replica_count",
    "max_replica_count": "max_replica_count",
    "service_account": "service_account",
    "network": "network",
    "encryption_spec_key_name": "encryption_spec_key_name",
    "labels": "labels",
    "deploy_request_timeout": "request_timeout",
}
_OTHERWISE = {
    "traffic_split": "a push divides the traffic itself: expected traffic_percentage",
    "sync": "a push waits until the model serves: expected no sync, or true",
    "deployed_model_display_name": "a push names it by the model and its version: expected none",
    "explanation_metadata": "a push sets up no explanations: expected none",
    "explanation_parameters": "a push sets up no explanations: expected none",
}
_MORE = ("accelerator_type", "accelerator_count", "traffic_percentage", "regions")
logger = logging.getLogger(__name__)


def applied(push_destination: str, custom_config: str, pushed_model: str) -> str:
    """Returns push_destination with the destination that custom_config describes, if it does.

    What push_destination itself says of `vertex_ai` counts before it. `pushed_model` is the artifact's folder, beside
    which TFX's users have the model served from. Raises a ConfigError for a key that is unknown or means nothing here.
    """
    written = parse_object("custom_config", "" if custom_config.strip() == "null" else custom_config)
    config = {key: value for key, value in written.items() if not key.startswith(_OF_TRAINING)}
    if not config:
        return push_destination
    check_object("custom_config", config, _KEYS)
    destinations = parse_object("push_destination", push_destination)
    own = destinations.get("vertex_ai", {})
    settings = _settings(config) | (own if isinstance(own, dict) else {})
    if "storage" not in settings:
        settings["storage"] = _storage(pushed_model)
    return json.dumps({**destinations, "vertex_ai": settings}, sort_keys=True)


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    if config.get(_ENABLE) is not True:
        raise ConfigError(
            f"custom_config.{_ENABLE}: expected true, received {config.get(_ENABLE)!r}: AI Platform Prediction, which "
            "is meant without it, is no more, and Vertex AI is in its place"
        )
    name = f"custom_config.{_ARGS}"
    args = check_object(name, config.get(_ARGS), example='{"project": "<project>", "endpoint_name": "<name>"}')
    for key, value in args.items():
        if key in _OTHERWISE and not (key == "sync" and value is True):
            raise ConfigError(f"{name}.{key}: {_OTHERWISE[key]}")
    check_object(name, args, (*_SAME, *_MORE, "sync"))
    settings = {ours: args[theirs] for theirs, ours in _SAME.items() if theirs in args}
    if config.get(_IMAGE):
        settings["image"] = config[_IMAGE]
    region = _region(config, args)
    if region:
        settings["location"] = region
    if args.get("accelerator_type"):
        count = args.get("accelerator_count", 1)
        settings["accelerator"] = {"type": args["accelerator_type"], "count": count}
    percent = check_whole_number(f"{name}.traffic_percentage", args.get("traffic_percentage", 100), 1, "percent")
    return settings if percent >= 100 else {**settings, "canary": percent}


def _region(config: Mapping[str, Any], args: Mapping[str, Any]) -> str:
    """Returns the region, which TFX has had in three places."""
    if config.get(_REGION):
        return check_string(f"custom_config.{_REGION}", config[_REGION], "a region, such as europe-west4")
    regions = args.get("regions")
    old = regions[0] if isinstance(regions, list) and regions else config.get(_ENDPOINT)
    if old:
        logger.warning("custom_config: the region is %s; its key is %s now", old, _REGION)
    return check_string(f"custom_config.{_REGION}", old, "a region, such as europe-west4") if old else ""


def _storage(pushed_model: str) -> str:
    """Returns where the versions go: beside the artifact, in its bucket."""
    path = PurePosixPath(pushed_model)
    if path.parts[:2] != ("/", "gcs") or len(path.parts) < 4:
        raise ConfigError(
            f"custom_config: Vertex AI reads models from a bucket, and this run writes to {pushed_model}: expected "
            'a pipeline_root in gs://, or push_destination {"vertex_ai": {"storage": "gs://<bucket>/<folder>"}}'
        )
    return f"gs://{'/'.join(path.parent.parts[2:])}/serving"
