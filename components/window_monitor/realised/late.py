"""Labels as they come: joined with a window's rows, and with those of earlier windows that may still get some."""

import contextlib
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from penstock.components.engines import Engine
from penstock.components.monitoring.labels import files
from penstock.components.monitoring.labels.files import LABEL, LabelFiles
from penstock.components.monitoring.labels.source import REQUEST_ID, ROW, LabelSource
from penstock.components.monitoring.labels.table import LabelTable
from penstock.components.monitoring.windows.account import Reasons
from penstock.components.monitoring.windows.requests import Requests
from penstock.components.window_monitor import findings
from penstock.components.window_monitor.judging import REALISED, Limits
from penstock.components.window_monitor.realised import measuring
from penstock.components.window_monitor.realised.question import Question
from penstock.core import progress
from penstock.core.artifacts.monitoring import Finding, JoinedLabels, MeasuredIn, WindowRecord
from penstock.core.errors import ConfigError
from penstock.core.suggestions import did_you_mean

_LOG_TYPES = {REQUEST_ID: pa.large_binary(), ROW: pa.int64()}


@dataclass(frozen=True)
class Labels:
    """The labels that are there now, and how windows are measured by them.

    Args:
        digest: Of their files, and of how these are read.
        left_out: What of the files does not count.
        notes: Sentences to bear in mind.
        matched: Which labels a window has had so far.
    """

    engine: Engine
    source: LabelSource
    table: LabelTable
    question: Question
    limits: Limits
    digest: str
    left_out: Reasons
    notes: list[str]
    matched: npt.NDArray[np.bool_]

    def measure(self, window: WindowRecord, requests: Requests) -> bool:
        """Puts into a window's record what labels say of it, and returns whether there still are its requests."""
        joined = JoinedLabels(rows=0, files=self.digest, left_out=[], notes=[])
        realised = measuring.measure(self.engine, requests, self.table, self.question, self.limits)
        total = realised.total
        if not total.rows and window["rows"]:
            return False
        known = window.get("labels")
        if known and total.labelled < known["rows"]:  # files that are gone, or others than those of before
            self.notes.append(
                f"the window from {window['begin']} keeps its metrics of {known['rows']:,} labelled rows: these files "
                f"label {total.labelled:,} of them"
            )
            return False
        places = np.unique(np.concatenate([np.zeros(0, np.int64), *total.matched]))
        self.matched[places] = True
        joined.update({"rows": total.labelled, "left_out": total.left_out.listed()})
        if total.joined > len(places):
            shared = total.joined - len(places)
            rows = progress.text({"rows": shared})
            joined["notes"].append(f"{rows} with the key of another row: its label counts for each of them")
        if total.rows and not total.joined:
            joined["notes"].append("no row of the window has a label yet")
        window["labels"], window["realised"] = joined, realised.metrics
        others = [one for one in window["findings"] if one["measure"] != REALISED]
        window["findings"] = findings.with_performance(others, realised.findings)
        return True

    def awaited(self, before: Sequence[WindowRecord], window: WindowRecord, now: datetime) -> list[WindowRecord]:
        """Returns the earlier windows whose labels may have come since, the oldest first.

        They ended not too long ago, have rows without a label, and were last measured by other files than these. And
        those that this window's run has measured before: it may have ended before anybody was told.
        """
        return [one for one in before if self._was_measured(one, window) or self._may_change(one, now)]

    def _may_change(self, window: WindowRecord, now: datetime) -> bool:
        known = window.get("labels")
        if not window["rows"] or datetime.fromisoformat(window["end"]) < self.source.earliest(now):
            return False
        return known is None or (known["rows"] < window["rows"] and known["files"] != self.digest)

    @staticmethod
    def _was_measured(window: WindowRecord, by: WindowRecord) -> bool:
        return bool(window["rows"]) and measured_by(window, by) is not None

    def account(self, window: WindowRecord) -> None:
        """Adds to a window's record what is not of one window: what the files have in vain."""
        joined = window.get("labels")
        if joined is not None:
            joined["left_out"] += self.left_out.listed()
            joined["notes"] += self.notes
            if unmatched := int((~self.matched).sum()):
                joined["notes"].append(f"labels of no row in the windows that were looked at: {unmatched:,}")


def of_metrics(window: WindowRecord) -> list[Finding]:
    """Returns a window's findings of realised metrics."""
    return [one for one in window["findings"] if one["measure"] == REALISED]


def measured_by(window: WindowRecord, by: WindowRecord) -> MeasuredIn | None:
    """Returns what a window was before another window's run measured it again; None if it did not."""
    before = window["labels"].get("measured_in") if "labels" in window else None
    return before if before and (before["begin"], before["end"]) == (by["begin"], by["end"]) else None


@contextlib.contextmanager
def read(
    engine: Engine,
    source: LabelSource,
    types: Mapping[str, pa.DataType],
    question: Question,
    limits: Limits,
    notes: list[str],
) -> Iterator[Labels]:
    """Gives the labels that are there now; `types` are those of the features that requests have.

    Raises a ConfigError for a key that is none, and for files without the columns.
    """
    with engine.folder() as scratch, files.opened(source.files, engine) as there:
        left_out = Reasons()
        if not there.listed:
            notes.append(f"there are no labels yet: {source.files}")
        schema = columns_of(files.key_columns(there.listed, source, scratch, engine), types, question.label)
        columns = dict(zip(schema.names, schema.types, strict=True))
        tables = files.read(there.listed, source, columns, scratch, engine, left_out)
        table = LabelTable.write(tables, schema, scratch / "labels.arrow", left_out)
        matched: npt.NDArray[np.bool_] = np.zeros(table.rows, bool)
        yield Labels(engine, source, table, question, limits, _digest(there, source), left_out, notes, matched)


def columns_of(key: Sequence[str], types: Mapping[str, pa.DataType], label: pa.DataType) -> pa.Schema:
    """Returns the columns that are read, with their types; a feature goes before what the log itself calls so."""
    known = {**_LOG_TYPES, **types}
    for name in key:
        if name not in known:
            raise ConfigError(f"labels.key: no request has a feature {name!r}; {did_you_mean(name, sorted(known))}")
    return pa.schema([*((name, known[name]) for name in key), (LABEL, label)])


def _digest(there: LabelFiles, source: LabelSource) -> str:
    parts = (there.fingerprint, *source.key, source.column, source.csv)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:20]
