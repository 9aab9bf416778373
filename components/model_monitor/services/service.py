"""What every service is given, and what it does with it."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
from tensorflow_metadata.proto.v0 import schema_pb2

from penstock.core.artifacts import PushedVersion
from penstock.core.artifacts.monitoring import BaselineRecord


@dataclass(frozen=True)
class Baseline:
    """What a service compares requests with.

    rows: A sample of the training data, without the label: a column of lists for each feature of requests.
    labels: The label of each of these rows, likewise; None if there is none.
    """

    record: BaselineRecord
    schema: schema_pb2.Schema
    rows: pa.RecordBatch
    labels: pa.Array | None


class Service(ABC):
    """A service that compares the requests of an endpoint with a baseline."""

    @abstractmethod
    def left_out(self, baseline: Baseline) -> list[str]:
        """Returns a sentence about what the service cannot monitor, if anything.

        Raises a ConfigError where a threshold was asked for that it cannot hold.
        """

    @abstractmethod
    def configure(self, baseline: Baseline, pushed: Sequence[PushedVersion]) -> list[str]:
        """Has the service monitor a pushed model; returns the names of what does that there.

        What is as it should be is left alone. Raises a UserError for what a person can mend, a SystemFailure for what a
        rerun may mend.
        """
