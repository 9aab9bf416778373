"""What is asked of a model's requests: which they are, and what they are compared with."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from penstock.components.engines import Engine
from penstock.components.monitoring.measures.reference import Reference
from penstock.components.monitoring.predictions import Predictions
from penstock.components.monitoring.windows.files import Selection
from penstock.components.monitoring.windows.inputs import Features
from penstock.components.monitoring.windows.requests import Requests
from penstock.components.monitoring.windows.window import Window
from penstock.components.window_monitor import places
from penstock.components.window_monitor.counting import Baseline
from penstock.core import artifacts
from penstock.core.artifacts.monitoring import BaselineRecord, MonitoringBaseline
from penstock.core.cleaning.cleaning import Cleaning
from penstock.core.labels import Label


@dataclass(frozen=True)
class Known:
    """A baseline as it was read: what requests are compared with.

    Args:
        source: Its files.
        uri: What records call it.
        record: What it says.
        compared: What is counted of a window, and how the model's outputs become columns.
        features: The features that requests have.
        instances: How these are read from bodies, as JSON.
    """

    source: MonitoringBaseline
    uri: str
    record: BaselineRecord
    compared: Baseline
    features: Features
    instances: str

    @classmethod
    def read(cls, folder: Path, uri: str = "", instances: str = "") -> Self:
        """Reads a baseline; a DataError if there is none, a ConfigError if the instances do not fit its schema."""
        source = MonitoringBaseline(folder)
        record = source.read()
        label, predictions = record["label"], record["predictions"]
        compared = Baseline(
            Reference.of_document(record["features"]),
            Reference.of_document(predictions) if predictions else None,
            Predictions(Label(**{**label, "classes": tuple(label["classes"])}) if label else None),
            Cleaning.read(source.cleaning) if source.cleaning.is_file() else None,
        )
        features = Features.of(artifacts.read_schema(source.schema), record["label_name"], instances)
        return cls(source, uri or str(folder), record, compared, features, instances)


@dataclass(frozen=True)
class Asked:
    """The requests of a model, and the baseline that they are compared with.

    Args:
        engine: Where pieces of the log are read.
        known: The baseline.
        requests: The URI of the log.
        selection: Whose requests are meant: a model's, of a version or of all.
    """

    engine: Engine
    known: Known
    requests: str
    selection: Selection

    @contextlib.contextmanager
    def within(self, times: Window, known: Known | None = None) -> Iterator[Requests]:
        """Gives the requests of a window, decoded as a baseline's schema says, by default this one's.

        Raises a ConfigError if there is no such log, model or version.
        """
        with places.request_log(self.requests, self.selection, times, self.engine) as folder:
            yield Requests.open(folder, self.selection, times, (known or self.known).features)


def table(path: Path) -> pa.Table:
    """Returns a baseline's rows; none if it has no such file."""
    return pq.read_table(path) if path.is_file() else pa.table({})
