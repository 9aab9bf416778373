"""Pairs as files of a request log, in a folder or in an object store: each appears whole, and stays when it has."""

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from penstock.components.event_collector.journal import JournalFile
from penstock.components.event_collector.pairing import Pair
from penstock.components.monitoring.windows.collected import SCHEMA
from penstock.core.artifacts import RequestLog
from penstock.core.files import atomic, object_stores, temporary

_GROUP_ROWS = 1024
_SIGNATURE = "serving_default"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def write(log: str, pairs: Iterable[Pair], journal: JournalFile) -> int:
    """Writes the pairs of a journal, a file for each model and version; returns how many files.

    The same pairs give the same names. Raises an OSError, or what the object store's client raises.
    """
    streams: dict[tuple[str, int], list[Pair]] = defaultdict(list)
    for pair in pairs:
        streams[pair.first.model, pair.version].append(pair)
    for (model, version), of_stream in sorted(streams.items()):
        _write(log, model, version, of_stream, journal)
    return len(streams)


def _write(log: str, model: str, version: int, pairs: Sequence[Pair], journal: JournalFile) -> None:
    remote = object_stores.is_remote(log)
    root = RequestLog(journal.path.parent if remote else atomic.local_path(log))
    times = [_EPOCH + timedelta(microseconds=pair.first.time) for pair in pairs]
    folder = root.folder(model, version, _SIGNATURE)
    path = root.path(folder, min(times), max(times), journal.name, journal.number, RequestLog.BODIES)
    if not remote:
        with atomic.replacing(path) as made:
            _write_table(made, model, version, pairs)
        atomic.sync_folder(path.parent)
        return
    made = temporary.beside(journal.path)
    try:
        _write_table(made, model, version, pairs)
        with object_stores.open_store(log) as store:
            store.upload(made, object_stores.join(log, path.relative_to(root.root).as_posix()))
    finally:
        made.unlink(missing_ok=True)


def _write_table(path: Path, model: str, version: int, pairs: Sequence[Pair]) -> None:
    rows = [
        {
            "time": pair.first.time,
            "request_id": pair.first.id,
            "model": model,
            "version": version,
            "seconds": pair.seconds,
            "sample": 1.0,
            "request": pair.request.body if pair.request else None,
            "request_type": pair.request.content_type if pair.request else None,
            "response": pair.response.body if pair.response else None,
            "response_type": pair.response.content_type if pair.response else None,
        }
        for pair in pairs
    ]
    with open(path, "wb") as file:
        pq.write_table(pa.Table.from_pylist(rows, SCHEMA), file, row_group_size=_GROUP_ROWS, compression="zstd")
        file.flush()
        os.fsync(file.fileno())
