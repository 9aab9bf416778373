"""Runs on Vertex AI Pipelines, which have ids of our own: a second request for one meets the first.

A label with a value that only one request has proves that a run of that id is the one that was asked for.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf import json_format

from penstock.core.services.retries import AlreadyExists, NotFound, make_once
from penstock.core.services.vertex import Server

LABEL = "penstock-submission"


@dataclass(frozen=True)
class RunSettings:
    """What the section `vertex` of a configuration says of every run."""

    service_account: str | None = None
    network: str | None = None
    encryption_spec_key_name: str | None = None
    failure_policy: str = "slow"


def body(spec: Mapping[str, Any], parameters: Mapping[str, Any], root: str, settings: RunSettings) -> dict[str, Any]:
    """Returns a PipelineJob as aiplatform.PipelineJob builds it, as JSON. `root` is where outputs go, gs://…"""
    optional = {
        "serviceAccount": settings.service_account,
        "network": settings.network,
        "encryptionSpec": settings.encryption_spec_key_name and {"kmsKeyName": settings.encryption_spec_key_name},
    }
    return {
        "pipelineSpec": dict(spec),
        "runtimeConfig": {
            "gcsOutputDirectory": root,
            "parameterValues": dict(parameters),
            "failurePolicy": f"PIPELINE_FAILURE_POLICY_FAIL_{settings.failure_policy.upper()}",
        },
        **{key: value for key, value in optional.items() if value},
    }


def message(kind: Any, values: Mapping[str, Any]) -> Any:
    """Returns a message of aiplatform_v1 from its JSON."""
    made = kind()
    json_format.ParseDict(dict(values), kind.pb(made))
    return made


def make(
    server: Server,
    run_id: str,
    token: str,
    values: Mapping[str, Any],
    unknown: str,
    publish: Callable[[], None] = lambda: None,
) -> None:
    """Starts a run from its JSON; an AlreadyExists if one of another token has its id.

    `publish` is called last before it. The error says `unknown` where nobody knows whether the run was started.
    """
    labels = {**values.get("labels", {}), LABEL: token}
    job = message(server.types.PipelineJob, {**values, "labels": labels})
    request = server.types.CreatePipelineJobRequest(parent=server.parent, pipeline_job=job, pipeline_job_id=run_id)
    publish()
    make_once(
        lambda: server.request(server.jobs.create_pipeline_job, request=request),
        lambda: _own(server, run_id, token),
        unknown,
    )


def named(server: Server, run_id: str) -> Any:
    """Returns the run of an id, or of a whole name; None if there is none."""
    try:
        return server.repeat(server.jobs.get_pipeline_job, name=full_name(server, run_id))
    except NotFound:
        return None


def full_name(server: Server, run_id: str) -> str:
    return run_id if run_id.startswith("projects/") else f"{server.parent}/pipelineJobs/{run_id}"


def link(server: Server, run_id: str) -> str:
    """Returns the address of the page that shows a run."""
    place = f"https://console.cloud.google.com/vertex-ai/locations/{server.location}/pipelines/runs"
    return f"{place}/{run_id.rpartition('/')[2]}?project={server.project}"


def _own(server: Server, run_id: str, token: str) -> Any:
    job = named(server, run_id)
    if job is not None and job.labels.get(LABEL) != token:
        raise AlreadyExists(f"Vertex AI has a run {run_id!r} already")
    return job
