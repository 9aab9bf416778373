"""The monitoring job of an endpoint as it is: found, made, changed in place, or made anew where the service must.

An endpoint's job is known by a label. A job that somebody else has made is left alone.
"""

import functools
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from google.protobuf import field_mask_pb2

from penstock.components.model_monitor.services.vertex_ai.job import CHANGEABLE, FINAL, MADE_BY, MONITOR, comparable
from penstock.components.model_monitor.services.vertex_ai.settings import TIMEOUT_KEY
from penstock.core.errors import PenstockError, ServerError
from penstock.core.services import vertex_resources, waiting
from penstock.core.services.retries import NotFound, make_once
from penstock.core.services.vertex import Server
from penstock.core.services.vertex_operations import Operations
from penstock.core.text import printable

if TYPE_CHECKING:
    from google.cloud.aiplatform_v1.types import ModelDeploymentMonitoringJob

_ENDED = ("JOB_STATE_FAILED", "JOB_STATE_CANCELLED", "JOB_STATE_EXPIRED")
_PAUSED, _PENDING = "JOB_STATE_PAUSED", "JOB_STATE_PENDING"
_TO_PAUSE = "penstock-to-pause"  # the label of a job that was made in place of a paused one, until it is paused too
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Jobs:
    """The monitoring job of an endpoint, by its whole name. A change of it may take `timeout` seconds.

    While the service is still making a job, it can be neither changed nor paused nor deleted: that is waited for.
    """

    server: Server
    endpoint: str
    timeout: int

    def find(self) -> "ModelDeploymentMonitoringJob | None":
        """Asks for the job; None if there is none. A ServerError if there are several, or somebody else's."""
        of_endpoint = self._listed()
        own = [one for one in of_endpoint if one.labels.get(MADE_BY) == MONITOR]
        if of_endpoint and len(own) != 1:
            ids, delete = ", ".join(_id(one.name) for one in of_endpoint), self._deletion(of_endpoint[-1])
            said = f"{len(own)} of them from ModelMonitor" if own else "none of them from ModelMonitor"
            raise ServerError(
                f"the endpoint {_id(self.endpoint)} has monitoring jobs ({ids}), {said}: expected one or none; delete "
                f"what is not needed with {delete}"
            )
        return own[0] if own else None

    def tell_of_own(self) -> None:
        """Says how to delete a job that an earlier run has made, for an endpoint that version 2 monitors now."""
        for one in self._listed():
            if one.labels.get(MADE_BY) == MONITOR:
                logger.warning(
                    "version 1 still monitors the endpoint %s as well, since an earlier run: delete its job with %s",
                    _id(self.endpoint),
                    self._deletion(one),
                )

    def apply(self, wanted: "ModelDeploymentMonitoringJob", kept: Sequence[str] = ()) -> str:
        """Makes the endpoint's job what it should be; returns its name. Nothing is changed that is so already.

        A paused job stays paused. One that has failed is made anew, and so is one whose schema files are others, which
        the service cannot change. `kept` are the deployed models whose monitoring is known from the job alone.
        """
        there = self.find()
        if there is None:
            return self._create(wanted)
        others_labels = {key: value for key, value in there.labels.items() if key not in wanted.labels}
        is_paused, to_pause = there.state.name == _PAUSED, others_labels.pop(_TO_PAUSE, None) is not None
        wanted.name = there.name
        wanted.labels = {**others_labels, **wanted.labels}
        if there.state.name in _ENDED or _differing(there, wanted, FINAL):
            lost = ["that it was paused"] if is_paused or to_pause else []
            lost += [f"the label {key}={value}" for key, value in sorted(others_labels.items())]
            lost += [f"how the deployed model {one} was monitored" for one in kept]
            return self._replace(there, wanted, is_paused or to_pause, lost)
        if to_pause and not is_paused:
            self._pause(there.name)
        changed = _differing(there, wanted, CHANGEABLE)
        if changed:
            self._update(wanted, changed)
        said = f"changed: {', '.join(changed)}" if changed else "already as it should be"
        logger.info("monitoring job %s of the endpoint %s: %s", _id(there.name), _id(self.endpoint), said)
        if is_paused or to_pause:
            self._tell_paused(there.name)
        return str(there.name)

    def _listed(self) -> "list[ModelDeploymentMonitoringJob]":
        listing = self.server.job_service.list_model_deployment_monitoring_jobs
        there = self.server.listed(listing, "model_deployment_monitoring_jobs", {"parent": self.server.parent})
        return [one for one in there if _id(one.endpoint) == _id(self.endpoint)]

    def _deletion(self, one: "ModelDeploymentMonitoringJob") -> str:
        return vertex_resources.command(self.server, f"model-monitoring-jobs delete {_id(one.name)}")

    def _create(self, wanted: "ModelDeploymentMonitoringJob") -> str:
        create = self.server.job_service.create_model_deployment_monitoring_job

        def make() -> str:
            request = {"parent": self.server.parent, "model_deployment_monitoring_job": wanted}
            return str(self.server.request(create, request=request).name)

        def made() -> str | None:
            there = self.find()
            return there.name if there else None

        unknown = f"it is not known whether the endpoint {_id(self.endpoint)} has a monitoring job: run again"
        name = make_once(make, made, unknown)
        logger.info("monitoring job %s of the endpoint %s: created", _id(name), _id(self.endpoint))
        return name

    def _update(self, wanted: "ModelDeploymentMonitoringJob", changed: list[str]) -> None:
        self._wait_until_made(wanted.name)
        self._operations.settle(wanted.name)  # what a killed run has left
        update = self.server.job_service.update_model_deployment_monitoring_job

        def is_done() -> bool:
            there = self._get(wanted.name)
            return there is not None and not _differing(there, wanted, changed)

        self._operations.run(
            f"changing the monitoring job {_id(wanted.name)}",
            functools.partial(
                update,
                model_deployment_monitoring_job=wanted,
                update_mask=field_mask_pb2.FieldMask(paths=changed),
            ),
            wanted.name,
            is_done,
        )

    def _replace(
        self,
        there: "ModelDeploymentMonitoringJob",
        wanted: "ModelDeploymentMonitoringJob",
        pauses: bool,
        lost: Sequence[str],
    ) -> str:
        """Deletes the job, and makes another. The requests that it has logged stay in BigQuery.

        `lost` is what no later run knows if the other cannot be made.
        """
        logger.info("monitoring job %s: made anew, for the service cannot change it", _id(there.name))
        self._wait_until_made(there.name)
        self._operations.run(
            f"deleting the monitoring job {_id(there.name)}",
            functools.partial(self.server.job_service.delete_model_deployment_monitoring_job, name=there.name),
            there.name,
            lambda: self._get(there.name) is None,
        )
        wanted.name = ""
        if pauses:
            wanted.labels[_TO_PAUSE] = "true"
        with _telling_what_is_lost(there.name, lost):
            name = self._create(wanted)
        if pauses:
            self._pause(name)
            del wanted.labels[_TO_PAUSE]
            wanted.name = name
            self._update(wanted, ["labels"])
            self._tell_paused(name)
        return name

    def _wait_until_made(self, name: str) -> None:
        def look() -> bool | None:
            there = self._get(name)
            return None if there and there.state.name == _PENDING else True

        late = f"monitoring job {_id(name)} is still being made after {self.timeout} s: raise {TIMEOUT_KEY}"
        waiting.until(look, self.timeout, late)

    def _pause(self, name: str) -> None:
        self._wait_until_made(name)
        self.server.repeat(self.server.job_service.pause_model_deployment_monitoring_job, name=name)

    def _get(self, name: str) -> "ModelDeploymentMonitoringJob | None":
        try:
            there: ModelDeploymentMonitoringJob = self.server.repeat(
                self.server.job_service.get_model_deployment_monitoring_job, name=name
            )
        except NotFound:
            return None
        return there

    def _tell_paused(self, name: str) -> None:
        resume = vertex_resources.command(self.server, f"model-monitoring-jobs resume {_id(name)}")
        logger.warning("monitoring job %s is paused, and stays so: resume it with %s", _id(name), resume)

    @property
    def _operations(self) -> Operations:
        return Operations(self.server, self.timeout, TIMEOUT_KEY)


@contextmanager
def _telling_what_is_lost(name: str, lost: Sequence[str]) -> Iterator[None]:
    try:
        yield
    except PenstockError as error:
        if lost:
            said = f"the monitoring job {_id(name)} is deleted, and a rerun does not know {', '.join(lost)}"
            error.details = printable.paragraph("\n".join([*error.details.splitlines(), said]))
        raise


def _differing(
    there: "ModelDeploymentMonitoringJob", wanted: "ModelDeploymentMonitoringJob", fields: Sequence[str]
) -> list[str]:
    first, second = comparable(there), comparable(wanted)
    return [key for key in fields if first[key] != second[key]]


def _id(name: Any) -> str:
    return str(name).rpartition("/")[2]
