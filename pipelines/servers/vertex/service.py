"""Runs and schedules on Vertex AI Pipelines.

Nothing is made twice. A run has an id of our own, which a second request for it meets as 409; a label with a random
value then proves that the run found is the one that was asked for. A schedule's id is Vertex AI's, so one whose answer
was lost is looked up by its name before it is made again.
"""

import contextlib
import re
import secrets
import zoneinfo
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from penstock.core.errors import ConfigError, UserError
from penstock.core.failures import FAILURE_FILE
from penstock.core.files import object_stores
from penstock.core.services import vertex_runs
from penstock.core.services.retries import AlreadyExists
from penstock.core.services.vertex import Server
from penstock.core.services.vertex_runs import RunSettings
from penstock.pipelines.config.servers import Vertex
from penstock.pipelines.servers import causes
from penstock.pipelines.servers import cron as cron_fields
from penstock.pipelines.servers.service import Change, Schedule, Service, Trigger
from penstock.pipelines.servers.submission import Submission, pipeline_roots, unique_name
from penstock.pipelines.servers.watch import Snapshot, Task
from penstock.pipelines.targets.target import images_without_registry

_LONGEST_ID = 128
_LONGEST_NAME = 128  # of a display name
_ID = re.compile(r"^(projects/|[a-z0-9][a-z0-9-]*$)")
_TOKEN = len("-20260101-000000-abcdef")  # what keeps two names apart stands at their end
_STATES = {"CANCELLED": "CANCELED", "NOT_TRIGGERED": "SKIPPED", "QUEUED": "PENDING", "STATE_UNSPECIFIED": "PENDING"}


class VertexService(Service):
    """Vertex AI Pipelines in a project and a region."""

    def __init__(self, settings: Vertex) -> None:
        self._settings = settings
        self._server = Server(settings)
        self.place = f"Vertex AI ({self._server.project}, {self._server.location})"

    @staticmethod
    def check_trigger(trigger: Trigger) -> None:
        """Takes a cron expression of five fields, with a time zone before it or without."""
        cron = trigger.cron
        if trigger.every is not None or cron is None:
            raise ConfigError("Vertex AI's schedules have no --every: expected --cron, such as --cron '0 6 * * *'")
        zone, _, rest = cron.partition(" ") if cron.startswith(("TZ=", "CRON_TZ=")) else ("", "", cron)
        known = zoneinfo.available_timezones()
        if zone and known and zone.partition("=")[2] not in known:
            raise ConfigError(f"--cron {cron!r}: unknown time zone: expected one such as TZ=Europe/Berlin")
        fields = rest.split()
        five = f"five fields ({cron_fields.names(cron_fields.FIVE_FIELDS)})"
        if rest.strip() in cron_fields.SHORTHANDS:
            written = f"{zone} {cron_fields.SHORTHANDS[rest.strip()]}".strip()
            raise ConfigError(f"--cron {cron!r}: expected {five}: write {written!r}")
        if len(fields) == 6:
            written = " ".join([zone, *fields[1:]]).strip()
            raise ConfigError(f"--cron {cron!r}: Vertex AI's cron has five fields, without seconds: write {written!r}")
        if len(fields) != 5:
            raise ConfigError(f"--cron {cron!r}: expected {five}, not {len(fields)}")
        cron_fields.check(rest, cron_fields.FIVE_FIELDS)

    def check(self, submission: Submission) -> list[str]:
        """Refuses what is no pipeline, what only Kubeflow runs, and a run that has no place for its outputs."""
        if len(submission.documents) > 1:
            raise ConfigError(
                f"{submission.pipeline}: the file has a second document with settings of Kubernetes, which belong to "
                "Kubeflow: compile with --target vertex"
            )
        try:
            json_format.ParseDict(dict(submission.spec), pipeline_spec_pb2.PipelineSpec())
        except json_format.ParseError as error:
            raise ConfigError(f"{submission.pipeline}: this is no compiled pipeline of KFP v2: {error}") from None
        for image in images_without_registry(submission.spec):
            raise ConfigError(
                f"image {image}: it has no registry, so Vertex AI cannot pull it: push it, and name it in `image`"
            )
        self._root(submission)
        return []

    def submit(self, submission: Submission, name: str | None) -> str:
        run_id = self.id_of_name(name) if name else _identifier(unique_name(submission.pipeline))
        token = secrets.token_hex(16)
        values = self._body(submission) | {"displayName": name or run_id, "labels": dict(self._settings.labels)}
        unknown = (
            f"{self.place}: it is not known whether the run {run_id} was started: look for it there, or submit again "
            f"with --name {run_id}, which starts no second one"
        )
        try:
            vertex_runs.make(self._server, run_id, token, values, unknown, submission.publish)
        except AlreadyExists:
            raise UserError(f"{self.place} has a run {run_id!r} already: choose another --name") from None
        return run_id

    def id_of_name(self, name: str) -> str:
        if len(name) > _LONGEST_NAME:
            raise ConfigError(f"--name: expected at most {_LONGEST_NAME} letters, received {len(name)}")
        return _identifier(name)

    def link(self, run_id: str) -> str:
        return vertex_runs.link(self._server, run_id)

    def options(self) -> list[str]:
        return ["--target", "vertex", "--project", self._server.project, "--location", self._server.location]

    def find(self, run: str) -> str:
        """Returns a run's id. Those that Penstock starts have an id of their name."""
        return run if _ID.match(run) else _identifier(run)

    def snapshot(self, run_id: str) -> Snapshot:
        job = self._server.request(self._server.jobs.get_pipeline_job, name=self._job(run_id))
        tasks = tuple(_tasks(list(job.job_detail.task_details)))
        return Snapshot(_state(job.state), tasks, _sentence(job.error))

    def explained(self, run_id: str, ended: Snapshot) -> Snapshot:
        """Adds what failed tasks left beside their outputs; the service's own word is mostly an exit status."""
        failed = [task for task in ended.tasks if task.state == "FAILED"]
        return causes.with_causes(ended, causes.collected(partial(self._left, run_id, failed))) if failed else ended

    def _left(self, run_id: str, failed: Sequence[Task]) -> Iterator[tuple[str, causes.Cause]]:
        """Yields the causes that tasks left in the bucket, where their outputs are PROJECT/RUN/TASK_ID/NAME."""
        job = self._server.repeat(self._server.jobs.get_pipeline_job, name=self._job(run_id))
        project, name = job.name.split("/")[1], job.name.rpartition("/")[2]
        folder = object_stores.join(object_stores.join(job.runtime_config.gcs_output_directory, project), name)
        with object_stores.open_store(folder) as store:
            for task in failed:
                with contextlib.suppress(ConfigError):  # a task that was killed leaves none
                    left = store.read(object_stores.join(folder, f"{task.name}_{task.id}/{FAILURE_FILE}"))
                    if cause := causes.in_file(left):
                        yield task.id, cause

    def cancel(self, run_id: str) -> None:
        self._server.repeat(self._server.jobs.cancel_pipeline_job, name=self._job(run_id))

    def schedules(self, name: str | None = None) -> list[Schedule]:
        """Returns the schedules of pipelines, of one name or all, sorted by name."""
        conditions = ["create_pipeline_job_request:*"]
        if name is not None:
            quoted = name.replace("\\", "\\\\").replace('"', '\\"')
            conditions.append(f'display_name="{quoted}"')
        request = {"parent": self._server.parent, "filter": " AND ".join(conditions)}
        listed: list[Schedule] = []
        while True:
            page = self._server.repeat(self._server.schedules.list_schedules, request=request)
            listed += [_schedule_of(message) for message in page.schedules if name in (None, message.display_name)]
            if not page.next_page_token:
                return sorted(listed, key=lambda schedule: (schedule.name, schedule.id))
            request["page_token"] = page.next_page_token

    def _schedule_maker(self, submission: Submission, name: str, trigger: Trigger) -> Callable[[], str]:
        job = self._body(submission) | {"labels": dict(self._settings.labels)}
        body = {
            "displayName": name,
            "cron": trigger.cron,
            "maxConcurrentRunCount": "1",
            "createPipelineJobRequest": {"parent": self._server.parent, "pipelineJob": job},
        }
        schedule, create = (
            vertex_runs.message(self._server.types.Schedule, body),
            self._server.schedules.create_schedule,
        )
        return lambda: _schedule_of(self._server.request(create, parent=self._server.parent, schedule=schedule)).id

    def _change_schedule(self, schedule_id: str, change: Change) -> None:
        service = self._server.schedules
        operations = {
            "disable": service.pause_schedule,
            "enable": service.resume_schedule,
            "delete": service.delete_schedule,
        }
        self._server.repeat(operations[change], name=f"{self._server.parent}/schedules/{schedule_id}")

    def _root(self, submission: Submission) -> str:
        """Returns where the outputs go: the setting, else the pipeline's own places, as far as they are in a bucket."""
        for place in (self._settings.pipeline_root, *pipeline_roots(submission)):
            if place and place.startswith("gs://"):
                return place
        raise ConfigError("vertex.pipeline_root is missing: expected gs://BUCKET/FOLDER, where tasks' outputs go")

    def _body(self, submission: Submission) -> dict[str, Any]:
        """Returns a PipelineJob as aiplatform.PipelineJob builds it, as JSON."""
        settings = self._settings
        of_run = RunSettings(
            settings.service_account, settings.network, settings.encryption_spec_key_name, settings.failure_policy
        )
        return vertex_runs.body(submission.spec, submission.parameters, self._root(submission), of_run)

    def _job(self, run_id: str) -> str:
        return vertex_runs.full_name(self._server, run_id)


def _identifier(name: str) -> str:
    """Returns the id of a run's name: lower-case letters, digits and hyphens, a letter first, at most 128."""
    text = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    text = text if re.match("[a-z]", text) else f"run-{text}".rstrip("-")
    return text if len(text) <= _LONGEST_ID else text[: _LONGEST_ID - _TOKEN] + text[-_TOKEN:]


def _schedule_of(message: Any) -> Schedule:
    """Reads a schedule of aiplatform_v1."""
    state = _state(message.state)
    status = {"ACTIVE": "enabled", "PAUSED": "disabled"}.get(state, state.lower())
    return Schedule(str(message.name.rpartition("/")[2]), message.display_name, status, Trigger(cron=message.cron))


def _tasks(details: list[Any]) -> Iterator[Task]:
    """Yields the tasks that a person knows: Vertex AI also lists the graphs around them, which are their parents."""
    graphs = {one.parent_task_id for one in details}
    for one in details:
        if one.task_id in graphs:
            continue
        errors = [one.error, *(past.error for past in reversed(one.pipeline_task_status))]
        error = next((_sentence(error) for error in errors if _sentence(error)), "")
        yield Task(str(one.task_id), one.task_name, _state(one.state), _seconds(one.start_time, one.end_time), error)


def _state(state: Any) -> str:
    name = str(getattr(state, "name", state)).removeprefix("PIPELINE_STATE_")
    return _STATES.get(name, "PENDING" if name == "UNSPECIFIED" else name)


def _sentence(error: Any) -> str:
    return " ".join(error.message.split()) if error else ""


def _seconds(start: Any, end: Any) -> float | None:
    return float((end - start).total_seconds()) if start and end and end > start else None
