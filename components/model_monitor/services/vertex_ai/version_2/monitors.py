"""The ModelMonitor of a version as it is: found by its id, created, or changed in place, and with it its schedules."""

import functools
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from google.protobuf import field_mask_pb2

from penstock.components.model_monitor.services.service import Baseline
from penstock.components.model_monitor.services.vertex_ai import attributions, endpoints, files
from penstock.components.model_monitor.services.vertex_ai import features as monitorable
from penstock.components.model_monitor.services.vertex_ai.settings import TIMEOUT_KEY, Settings
from penstock.components.model_monitor.services.vertex_ai.version_2 import messages, request_log
from penstock.components.model_monitor.services.vertex_ai.version_2.schedules import Schedules
from penstock.components.model_monitor.services.vertex_ai.version_2.watched import Watched
from penstock.core.errors import ConfigError, ServerError
from penstock.core.services.retries import NotFound
from penstock.core.services.vertex import Server
from penstock.core.services.vertex_operations import Operations

if TYPE_CHECKING:
    from google.cloud.aiplatform_v1beta1.types import ModelMonitor

logger = logging.getLogger(__name__)


def apply(server: Server, settings: Settings, baseline: Baseline, watched: Watched) -> str:
    """Has the requests of a version compared, as the settings say; returns the name of its monitor.

    What is as it should be is left alone. Nothing is changed before it is known what can be monitored.
    """
    features = monitorable.monitored(baseline)
    names = [one.name for one in features]
    explained = attributions.of(server, settings, watched.deployed, names)
    training = files.store_training(settings.storage, baseline, features)
    operations = Operations(server, settings.timeout, TIMEOUT_KEY)
    made = Monitors(server, operations).apply(
        watched.monitor_id, messages.monitor(server, settings, watched, baseline, features, training)
    )
    if not settings.dataset:  # last, as it costs, but before the schedules, which need it
        request_log.switch_on(server, settings, endpoints.read(server, watched.endpoint.name))
    schedules = Schedules(server, watched, operations)
    for comparison in messages.COMPARISONS:
        wanted = messages.schedule(server, settings, watched, made, features, explained, comparison)
        schedules.apply(made, comparison, wanted)
    schedules.delete_of_undeployed()
    return str(made.name)


class Monitors:
    """The monitors of a project and a region."""

    def __init__(self, server: Server, operations: Operations) -> None:
        self._server = server
        self._operations = operations

    def apply(self, monitor_id: str, wanted: "ModelMonitor") -> "ModelMonitor":
        """Makes a monitor what it should be, and returns it. Nothing is changed that is so already."""
        there = self._find(monitor_id)
        if there is None:
            return self._create(monitor_id, wanted)
        _check_encryption(monitor_id, there, wanted)
        wanted.name = there.name
        changed = _differing(there, wanted)
        if not changed:
            logger.info("model monitor %s: already as it should be", monitor_id)
            return there
        self._update(monitor_id, wanted, changed)
        logger.info("model monitor %s: changed: %s", monitor_id, ", ".join(changed))
        return self._require(monitor_id)

    def _create(self, monitor_id: str, wanted: "ModelMonitor") -> "ModelMonitor":
        self._operations.settle(self._name(monitor_id))  # what a killed run has begun
        if self._find(monitor_id) is None:
            create = self._server.model_monitors.create_model_monitor
            request = self._server.beta_types.CreateModelMonitorRequest(
                parent=self._server.parent, model_monitor=wanted, model_monitor_id=monitor_id
            )
            self._operations.run(
                f"creating the model monitor {monitor_id}",
                functools.partial(create, request=request),
                self._name(monitor_id),
                lambda: self._find(monitor_id) is not None,
            )
        made = self._require(monitor_id)
        logger.info("model monitor %s (%s): created", monitor_id, made.display_name)
        return made

    def _update(self, monitor_id: str, wanted: "ModelMonitor", changed: Sequence[str]) -> None:
        self._operations.settle(wanted.name)
        self._operations.run(
            f"changing the model monitor {monitor_id}",
            functools.partial(
                self._server.model_monitors.update_model_monitor,
                model_monitor=wanted,
                update_mask=field_mask_pb2.FieldMask(paths=changed),
            ),
            wanted.name,
            lambda: not set(changed) & set(_differing(self._require(monitor_id), wanted)),
        )

    def _find(self, monitor_id: str) -> "ModelMonitor | None":
        get = self._server.model_monitors.get_model_monitor
        try:
            there: ModelMonitor = self._server.repeat(get, name=self._name(monitor_id))
        except NotFound:
            return None
        return there

    def _require(self, monitor_id: str) -> "ModelMonitor":
        there = self._find(monitor_id)
        if there is None:
            raise ServerError(f"the model monitor {monitor_id} was deleted meanwhile: run again, which makes it anew")
        return there

    def _name(self, monitor_id: str) -> str:
        return f"{self._server.parent}/modelMonitors/{monitor_id}"


def _check_encryption(monitor_id: str, there: "ModelMonitor", wanted: "ModelMonitor") -> None:
    """Raises a ConfigError for another key than a monitor was created with, which the service cannot change."""
    before, key = there.encryption_spec.kms_key_name, wanted.encryption_spec.kms_key_name
    if key and key != before:
        raise ConfigError(
            f"monitoring.vertex_ai.encryption_spec_key_name: the model monitor {monitor_id} is encrypted with "
            f"{before or 'a key of Google'}, which cannot be changed to {key}: leave the key as it was, or delete the "
            f"monitor, with what it has found, in the console of Vertex AI, and run again"
        )


def _differing(there: "ModelMonitor", wanted: "ModelMonitor") -> list[str]:
    first, second = messages.comparable_monitor(there), messages.comparable_monitor(wanted)
    return [key for key in messages.MONITOR_FIELDS if first[key] != second[key]]
