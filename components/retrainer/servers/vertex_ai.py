"""Retrainings on Vertex AI Pipelines: runs whose ids are those of the retrainings."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from pydantic import ConfigDict

from penstock.components.retrainer.package import Package
from penstock.components.retrainer.runs import Run, Runs
from penstock.core.artifacts.retraining import Retraining
from penstock.core.errors import ConfigError
from penstock.core.services import vertex, vertex_runs
from penstock.core.services.retries import AlreadyExists
from penstock.core.services.vertex import Server
from penstock.core.services.vertex_runs import RunSettings

_LABEL = "penstock-retraining"
_LONGEST_LABEL = 63
_FAILED = ("FAILED", "CANCELLED")


@dataclass(frozen=True)
class VertexServer:
    """A project and a region; credentials are the task's.

    The keys are those of the section `vertex` of a configuration, as far as they are of the server and its runs.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    project: str | None = None
    location: str = "us-central1"
    pipeline_root: str | None = None
    service_account: str | None = None
    network: str | None = None
    encryption_spec_key_name: str | None = None
    labels: dict[str, str] = field(default_factory=dict)
    failure_policy: str = "slow"
    api_endpoint: str | None = None
    credentials_file: str | None = None
    timeout: int = 60


class Settings(vertex.Settings, Protocol):
    """What is to be known of a project and of the runs there: a VertexServer, or the section of a configuration."""

    @property
    def pipeline_root(self) -> str | None: ...
    @property
    def service_account(self) -> str | None: ...
    @property
    def network(self) -> str | None: ...
    @property
    def encryption_spec_key_name(self) -> str | None: ...
    @property
    def labels(self) -> Mapping[str, str]: ...
    @property
    def failure_policy(self) -> str: ...


class VertexRuns(Runs):
    """Runs of a pipeline in a project."""

    name = "vertex"

    def __init__(self, settings: Settings, package: Package) -> None:
        self._settings, self._package = settings, package
        self._server = Server(settings)

    def find(self, retraining: Retraining) -> Run | None:
        job = vertex_runs.named(self._server, retraining["id"])
        return self._run(retraining["id"], job) if job else None

    def start(self, retraining: Retraining) -> Run:
        settings, name = self._settings, retraining["id"]
        roots = [root for root in (settings.pipeline_root, *self._package.roots) if root and root.startswith("gs://")]
        if not roots:
            raise ConfigError("server.vertex.pipeline_root is missing: expected gs://BUCKET/FOLDER, for tasks' outputs")
        of_run = RunSettings(
            settings.service_account, settings.network, settings.encryption_spec_key_name, settings.failure_policy
        )
        values = vertex_runs.body(self._package.spec, {}, roots[0], of_run)
        values |= {"displayName": name, "labels": {**settings.labels, _LABEL: name[-_LONGEST_LABEL:].lstrip("-")}}
        token = hashlib.sha256(name.encode()).hexdigest()[:32]  # the same whoever starts it
        unknown = f"Vertex AI: it is not known whether the run {name} was started: the next run looks"
        try:
            vertex_runs.make(self._server, name, token, values, unknown)
        except AlreadyExists:  # started by a task that was killed before it could write that down
            job = vertex_runs.named(self._server, name)
            if job is None or job.labels.get(vertex_runs.LABEL) != token:
                raise
            return self._run(name, job)
        return Run(name, vertex_runs.link(self._server, name), "running")

    def _run(self, name: str, job: Any) -> Run:
        state = str(getattr(job.state, "name", job.state)).removeprefix("PIPELINE_STATE_")
        has_ended = state in ("SUCCEEDED", *_FAILED)
        end = job.end_time if has_ended and job.end_time else datetime.now(UTC)
        seconds = max(0.0, (end - job.create_time).total_seconds()) if job.create_time else 0.0
        link = vertex_runs.link(self._server, name)
        if state in _FAILED:
            reason = " ".join(job.error.message.split()) if job.error else ""
            return Run(name, link, "failed", seconds, reason or f"the run ended as {state.lower()}")
        return Run(name, link, "done" if has_ended else "running", seconds)
