"""The service that a pushed model is served by, told to compare requests with the baseline where that is asked for."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from tensorflow_metadata.proto.v0 import schema_pb2

from penstock.components.model_monitor import services
from penstock.components.model_monitor.training_rows import DecodedRows
from penstock.core.artifacts import PushedVersion, pushed_versions
from penstock.core.artifacts.monitoring import BaselineRecord
from penstock.core.errors import ConfigError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Watching:
    """A service, and where the model was pushed to: nowhere if it was not blessed."""

    service: services.Service
    pushed: Sequence[PushedVersion]

    @classmethod
    def of(cls, service: str, pushed: Mapping[str, Any] | None) -> Self | None:
        """Reads ModelMonitor's parameter and the pushed model's metadata; None without a service."""
        read = services.read(service)
        if read is None:
            return None
        if pushed is None:
            raise ConfigError("service: expected a pushed_model, which says where the model serves")
        return cls(read, pushed_versions(pushed))

    def baseline(self, record: BaselineRecord, schema: schema_pb2.Schema, rows: DecodedRows) -> services.Baseline:
        """Returns what requests are compared with; adds to the record's notes what the service leaves out."""
        result = services.Baseline(record, schema, rows.features, rows.labels)
        record["notes"] += self.service.left_out(result)
        return result

    def configure(self, baseline: services.Baseline) -> list[str]:
        """Has the service monitor what was pushed; returns the names of what does that there."""
        if not self.pushed:
            logger.info("no endpoint is monitored: the model was not pushed")
            return []
        return self.service.configure(baseline, self.pushed)
