"""The schedules of an endpoint's monitors as they are: found by monitor and display name, created, changed, deleted.

A schedule that a person has added to a monitor, under another name, is left alone.
"""

import functools
import logging
from typing import TYPE_CHECKING

from google.protobuf import field_mask_pb2

from penstock.components.model_monitor.services.vertex_ai import endpoints
from penstock.components.model_monitor.services.vertex_ai.version_2 import messages
from penstock.components.model_monitor.services.vertex_ai.version_2.messages import Comparison
from penstock.components.model_monitor.services.vertex_ai.version_2.watched import Watched, monitor_id, prefix
from penstock.core.services.retries import NotFound, make_once
from penstock.core.services.vertex import Server
from penstock.core.services.vertex_operations import Operations

if TYPE_CHECKING:
    from google.cloud.aiplatform_v1beta1.types import ModelMonitor, Schedule

_OF_MONITORS = "create_model_monitoring_job_request:*"
_PAUSED, _COMPLETED = "PAUSED", "COMPLETED"
logger = logging.getLogger(__name__)


class Schedules:
    """The schedules of what is watched at an endpoint."""

    def __init__(self, server: Server, watched: Watched, operations: Operations) -> None:
        self._server = server
        self._watched = watched
        self._operations = operations

    def apply(self, monitor: "ModelMonitor", comparison: Comparison, wanted: "Schedule | None") -> None:
        """Makes the schedule of a comparison what it should be; without a wanted one it is deleted.

        A paused schedule stays paused. One that has come to its end is made anew.
        """
        there = self._find(_id(monitor.name), comparison)
        if there is not None and (wanted is None or there.state.name == _COMPLETED):
            self._delete(there)
            there = None
        if wanted is None:
            return
        if there is None:
            self._create(_id(monitor.name), comparison, wanted)
            return
        wanted.name = there.name
        first, second = messages.comparable_schedule(there), messages.comparable_schedule(wanted)
        changed = [key for key in messages.SCHEDULE_FIELDS if first[key] != second[key]]
        if changed:
            self._server.repeat(
                self._server.monitoring_schedules.update_schedule,
                schedule=wanted,
                update_mask=field_mask_pb2.FieldMask(paths=changed),
            )
        said = f"changed: {', '.join(changed)}" if changed else "already as it should be"
        logger.info("schedule %s of %s: %s", _id(there.name), comparison, said)
        if there.state.name == _PAUSED:
            logger.warning(
                "schedule %s of %s is paused, and stays so: resume it in the console of Vertex AI",
                _id(there.name),
                comparison,
            )

    def delete_of_undeployed(self) -> None:
        """Deletes the schedules of versions that are deployed no more; their monitors keep what was found."""
        there = self._listed()  # before the endpoint, or those of a version that is deployed in between would go
        endpoint = endpoints.read(self._server, self._watched.endpoint.name)
        deployed = {monitor_id(endpoint, one) for one in endpoint.deployed_models}
        for one in there:
            owner = _monitor_of(one)
            if owner.startswith(prefix(endpoint)) and owner not in deployed and one.display_name.startswith(owner):
                self._delete(one)

    def _find(self, owner: str, comparison: Comparison) -> "Schedule | None":
        name = messages.schedule_name(owner, comparison)
        own = [one for one in self._listed() if _monitor_of(one) == owner and one.display_name == name]
        for superfluous in own[1:]:  # two runs at once
            self._delete(superfluous)
        return own[0] if own else None

    def _listed(self) -> "list[Schedule]":
        request = {"parent": self._server.parent, "filter": _OF_MONITORS}
        there = self._server.listed(self._server.monitoring_schedules.list_schedules, "schedules", request)
        return sorted(there, key=lambda one: str(one.name))

    def _create(self, owner: str, comparison: Comparison, wanted: "Schedule") -> None:
        create = self._server.monitoring_schedules.create_schedule

        def make() -> str:
            return str(self._server.request(create, parent=self._server.parent, schedule=wanted).name)

        def made() -> str | None:
            there = self._find(owner, comparison)
            return str(there.name) if there else None

        unknown = f"it is not known whether the model monitor {owner} has a schedule of {comparison}: run again"
        name = make_once(make, made, unknown)
        logger.info("schedule %s of %s: created", _id(name), comparison)

    def _delete(self, there: "Schedule") -> None:
        delete = self._server.monitoring_schedules.delete_schedule
        self._operations.run(
            f"deleting the schedule {_id(there.name)}",
            functools.partial(delete, name=there.name),
            str(there.name),
            lambda: not self._exists(str(there.name)),
        )
        logger.info("schedule %s (%s): deleted", _id(there.name), there.display_name)

    def _exists(self, name: str) -> bool:
        try:
            self._server.repeat(self._server.monitoring_schedules.get_schedule, name=name)
        except NotFound:
            return False
        return True


def _monitor_of(schedule: "Schedule") -> str:
    return _id(schedule.create_model_monitoring_job_request.parent)


def _id(name: str) -> str:
    return str(name).rpartition("/")[2]
