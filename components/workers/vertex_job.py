"""A job of several workers on Vertex AI: a CustomJob, found by its display name."""

import json
from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format

from penstock.components.answers import make_once
from penstock.components.errors import ServerError
from penstock.components.vertex_server import Connection, Server
from penstock.components.workers.following import Status

_GONE = frozenset({"FAILED", "CANCELLING", "CANCELLED", "EXPIRED"})
_ENDED = _GONE - {"CANCELLING"} | {"SUCCEEDED"}


class CustomJobs:
    """The CustomJobs of a project and a region; `job` is what a new one is made of (pipelines/workers.py)."""

    def __init__(self, connection: Mapping[str, Any], job: Mapping[str, Any]) -> None:
        self._server = Server(Connection(**connection))
        self._job = job

    def find(self, name: str) -> str | None:
        """Returns the newest that has not failed. Vertex AI gives ids of its own, so the name is the display name."""
        request = {"parent": self._server.parent, "filter": f'display_name="{name}"'}
        found: list[Any] = []
        while True:
            page = self._server.repeat(self._server.custom_jobs.list_custom_jobs, request=request)
            found += [job for job in page.custom_jobs if job.display_name == name and _state(job) not in _GONE]
            if not page.next_page_token:
                break
            request["page_token"] = page.next_page_token
        return str(max(found, key=lambda job: job.create_time).name) if found else None

    def start(self, name: str, argument: str) -> str:
        job = made_of(self._server.types.CustomJob, self._job, name, argument)
        create = self._server.custom_jobs.create_custom_job

        def make() -> str:
            made = self._server.request(create, parent=self._server.parent, custom_job=job)
            return str(made.name)

        unknown = f"{self._server.host}: it is not known whether the job {name} was started: run the task again"
        return str(make_once(make, lambda: self.find(name), unknown))

    def status(self, job: str) -> Status:
        found = self._server.request(self._server.custom_jobs.get_custom_job, name=job)
        state = _state(found)
        error = " ".join(found.error.message.split()) if found.error else ""
        return Status(state.lower(), state in _ENDED, state == "SUCCEEDED", error)

    def cancel(self, job: str) -> None:
        try:
            self._server.repeat(self._server.custom_jobs.cancel_custom_job, name=job)
        except ServerError:
            if not self.status(job).ended:
                raise


def made_of(kind: Any, job: Mapping[str, Any], name: str, argument: str) -> Any:
    """Returns the CustomJob with its name, and with the argument of its workers' command."""
    complete = json.loads(json.dumps(job)) | {"displayName": name}
    for pool in complete["jobSpec"]["workerPoolSpecs"]:
        pool["containerSpec"]["args"] = [argument]
    message = kind()
    json_format.ParseDict(complete, kind.pb(message))
    return message


def _state(job: Any) -> str:
    return str(job.state.name).removeprefix("JOB_STATE_")
