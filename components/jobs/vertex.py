"""Jobs that a task starts on Vertex AI, found by their display name: a CustomJob of several workers, or a
HyperparameterTuningJob, whose trials are CustomJobs.
"""

import json
from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format

from penstock.components.jobs.follow import Status
from penstock.core.errors import ServerError
from penstock.core.services.retries import make_once
from penstock.core.services.vertex import Connection, Server

_GONE = frozenset({"FAILED", "CANCELLING", "CANCELLED", "EXPIRED"})
_ENDED = _GONE - {"CANCELLING"} | {"SUCCEEDED"}


class _Jobs:
    """Jobs of a kind in a project and a region; `job` is what a new one is made of (pipelines/targets/jobs.py)."""

    kind = ""  # as in the names of the client's methods

    def __init__(self, connection: Mapping[str, Any], job: Mapping[str, Any]) -> None:
        self._server = Server(Connection(**connection))
        self._job = job

    def find(self, name: str) -> str | None:
        """Returns the newest that has not failed. Vertex AI gives ids of its own, so the name is the display name."""
        request = {"parent": self._server.parent, "filter": f'display_name="{name}"'}
        alive: list[Any] = []
        while True:
            page = self._server.repeat(self._method(f"list_{self.kind}s"), request=request)
            listed = getattr(page, f"{self.kind}s")
            alive += [job for job in listed if job.display_name == name and _state(job) not in _GONE]
            if not page.next_page_token:
                break
            request["page_token"] = page.next_page_token
        return str(max(alive, key=lambda job: job.create_time).name) if alive else None

    def start(self, name: str, argument: str) -> str:
        message = getattr(self._server.types, self.kind.title().replace("_", ""))
        job = {self.kind: made_of(message, self._job, name, argument)}
        create = self._method(f"create_{self.kind}")

        def make() -> str:
            return str(self._server.request(create, parent=self._server.parent, **job).name)

        unknown = f"{self._server.host}: it is not known whether the job {name} was started: run the task again"
        return str(make_once(make, lambda: self.find(name), unknown))

    def status(self, job: str) -> Status:
        return self._status(job)

    def _status(self, job: str) -> Status:
        message = self._server.request(self._method(f"get_{self.kind}"), name=job)
        state = _state(message)
        error = " ".join(message.error.message.split()) if message.error else ""
        return Status(state.lower(), state in _ENDED, state == "SUCCEEDED", error)

    def cancel(self, job: str) -> None:
        try:
            self._server.repeat(self._method(f"cancel_{self.kind}"), name=job)
        except ServerError:
            if not self._status(job).ended:
                raise

    def _method(self, name: str) -> Any:
        return getattr(self._server.job_service, name)


class CustomJobs(_Jobs):
    """Jobs of several workers."""

    kind = "custom_job"


class HyperparameterTuningJobs(_Jobs):
    """Searches of Vertex AI's own service, whose trials are CustomJobs."""

    kind = "hyperparameter_tuning_job"

    def trials(self, job: str) -> list[Any]:
        """Returns the trials of a job (aiplatform_v1.Trial)."""
        return list(self._server.repeat(self._method(f"get_{self.kind}"), name=job).trials)


def made_of(kind: Any, job: Mapping[str, Any], name: str, argument: str) -> Any:
    """Returns the job with its name, and with the argument of the command of its workers, or of its trials."""
    complete = json.loads(json.dumps(job)) | {"displayName": name}
    spec = complete.get("jobSpec") or complete["trialJobSpec"]
    for pool in spec["workerPoolSpecs"]:
        pool["containerSpec"]["args"] = [argument]
    message = kind()
    json_format.ParseDict(complete, kind.pb(message))
    return message


def _state(job: Any) -> str:
    return str(job.state.name).removeprefix("JOB_STATE_")
