"""A window's rows, piece by piece over an engine: counts over the baseline's bins, and a sample for pictures."""

from dataclasses import dataclass, field
from functools import partial

import pyarrow as pa

from penstock.components.engines import Engine
from penstock.components.monitoring.measures.counts import WindowCounts
from penstock.components.monitoring.measures.reference import Reference
from penstock.components.monitoring.predictions import Predictions
from penstock.components.monitoring.windows.account import Account
from penstock.components.monitoring.windows.files import Piece
from penstock.components.monitoring.windows.requests import Requests
from penstock.components.statistics_gen.sample import Sample
from penstock.core.cleaning.cleaning import Cleaning
from penstock.core.errors import DataError

_OTHER_OUTPUTS = "an answer of other outputs than those of the baseline's model"


@dataclass(frozen=True)
class Baseline:
    """What windows are compared with, and how a model's outputs become columns. Without a model no predictions are.

    `cleaning` are the rules that the model's server cleans requests by: what is compared is what the model sees.
    """

    features: Reference
    predictions: Reference | None
    outputs: Predictions
    cleaning: Cleaning | None = None

    def cleaned(self, features: pa.RecordBatch) -> pa.RecordBatch:
        """Returns the features of requests as the model sees them; as they came if the rules do not fit their types."""
        try:
            return self.cleaning.serve(features) if self.cleaning else features
        except (DataError, pa.ArrowException):
            return features


@dataclass
class Part:
    """Counts of features or of predictions, and a sample of the rows."""

    counts: WindowCounts
    sample: Sample

    def add(self, batch: pa.RecordBatch) -> None:
        self.counts.add(batch)
        for _ in self.sample.passing(iter([batch])):
            pass

    def merge(self, other: "Part") -> None:
        self.counts.merge(other.counts)
        self.sample.merge(other.sample)


@dataclass
class Counted:
    """What is known of a window, or of a piece of it."""

    features: Part
    predictions: Part | None
    account: Account = field(default_factory=Account)

    @property
    def is_paired(self) -> bool:
        """Whether each row has predictions, so that both samples are of the same rows."""
        return self.predictions is not None and self.predictions.counts.rows == self.features.counts.rows

    @classmethod
    def empty(cls, baseline: Baseline, seed: int = 0) -> "Counted":
        """Returns counts over the baseline's bins, of no rows yet."""
        predictions = baseline.predictions
        return cls(
            Part(baseline.features.window(), Sample(seed)),
            Part(predictions.window(), Sample(seed)) if predictions else None,
        )

    def merge(self, other: "Counted") -> "Counted":
        """Adds what is known of a later piece, and returns this."""
        self.features.merge(other.features)
        if self.predictions and other.predictions:
            self.predictions.merge(other.predictions)
        self.account.merge(other.account)
        return self


def count(engine: Engine, requests: Requests, baseline: Baseline) -> Counted:
    """Returns what is known of the window."""
    total = Counted.empty(baseline)
    total.account.merge(requests.listed)
    numbered = list(enumerate(requests.pieces))
    counted = engine.fold(partial(_counted, requests=requests, baseline=baseline), Counted.merge, numbered)
    return total.merge(counted) if counted else total


def _counted(numbered: tuple[int, Piece], requests: Requests, baseline: Baseline) -> Counted:
    number, piece = numbered
    result = Counted.empty(baseline, seed=number)
    for rows in requests.read(piece, result.account):
        result.features.add(baseline.cleaned(rows.features))
        if result.predictions is None or not rows.about.num_rows:
            continue
        outputs = dict(zip(rows.outputs.schema.names, rows.outputs.columns, strict=True))
        if not outputs:  # the request's reader has said why
            continue
        batch = baseline.outputs.columns(baseline.outputs.named(outputs, result.predictions.counts.bins))
        try:
            if not batch.num_columns:
                raise DataError(f"there are {', '.join(outputs) or 'none'}")
            result.predictions.add(batch)
        except DataError as error:
            result.account.odd.add("rows", _OTHER_OUTPUTS, f"{piece.name}: {error.message}", rows.about.num_rows)
    return result
