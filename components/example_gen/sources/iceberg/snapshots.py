"""Which snapshot of a table is read, and with which of its schemas."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from penstock.components.example_gen.configs import SpanRange
from penstock.components.example_gen.sources.iceberg.options import IcebergOptions, Pinned
from penstock.core.errors import ConfigError, DataError
from penstock.core.suggestions import did_you_mean

if TYPE_CHECKING:
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot


def pinned(table: "Table", options: IcebergOptions) -> Pinned:
    """Returns the snapshot that the options name, by default the table's newest one.

    As in Spark, the newest one and a branch are read with the table's schema, an older one with the schema that it was
    written with.
    """
    snapshot = chosen(table, options)
    of_now = options.branch or not (options.snapshot_id is not None or options.as_of or options.tag)
    schema_id = snapshot.schema_id
    return Pinned(snapshot.snapshot_id, table.metadata.current_schema_id if of_now or schema_id is None else schema_id)


def chosen(table: "Table", options: IcebergOptions) -> "Snapshot":
    """Returns the snapshot that the options name; a DataError if there is none."""
    where = f"Iceberg table {options.table}"
    if options.snapshot_id is not None:
        return by_id(table, options.snapshot_id, where)
    if options.as_of:
        return _as_of(table, options.as_of, where)
    name = options.branch or options.tag
    if name:
        kind = "branch" if options.branch else "tag"
        known = {ref: of.snapshot_id for ref, of in table.refs().items() if of.snapshot_ref_type == kind}
        if name not in known:
            raise DataError(f"{where}: there is no {kind} {name!r}; {did_you_mean(name, known)}")
        return by_id(table, known[name], where)
    newest = table.current_snapshot()
    if newest is None:
        raise DataError(f"{where} is empty: it has no snapshot: expected at least one row")
    return newest


def by_id(table: "Table", snapshot_id: int, where: str) -> "Snapshot":
    """Returns a snapshot; a DataError if the table has none of this number, or has it no more."""
    snapshot = table.snapshot_by_id(snapshot_id)
    if snapshot is None:
        known = [str(one.snapshot_id) for one in reversed(table.snapshots())]
        raise DataError(
            f"{where}: there is no snapshot {snapshot_id}; it may have expired; "
            + (f"those there are, the newest first: {', '.join(known[:5])}" if known else "there is none")
        )
    return snapshot


def appended(table: "Table", options: IcebergOptions, spans: SpanRange) -> tuple[Pinned, int, int]:
    """Returns what the snapshots of some sequence numbers appended, and the first and the last of these numbers.

    A DataError where no snapshot has one of the numbers.
    """
    where = f"Iceberg table {options.table}"
    if table.format_version < 2:
        raise ConfigError(
            f"{where}: range_config counts snapshots by their sequence numbers, which tables of format version 1 lack"
        )
    newest = chosen(table, options)
    lineage = _lineage(table, newest)
    last = min(spans.last or newest.sequence_number or 0, newest.sequence_number or 0)
    first = last - spans.count + 1 if spans.last is None else spans.first or 0
    first = max(first, spans.first or 0)
    inside = [one for one in lineage if first <= (one.sequence_number or 0) <= last]
    if not inside:
        numbers = [str(one.sequence_number) for one in lineage[:5]]
        raise DataError(
            f"{where}: no snapshot has a sequence number from {first} to {last}; those there are, the newest first: "
            f"{', '.join(numbers)}"
        )
    whole = pinned(table, options)
    ids = [one.sequence_number or 0 for one in inside]
    return Pinned(inside[0].snapshot_id, whole.schema_id, "", True, inside[-1].parent_snapshot_id), ids[-1], ids[0]


def _lineage(table: "Table", newest: "Snapshot") -> list["Snapshot"]:
    """Returns a snapshot and those that it was made from, as far as they have not expired."""
    found: list[Snapshot] = []
    one: Snapshot | None = newest
    while one is not None:
        found.append(one)
        one = None if one.parent_snapshot_id is None else table.snapshot_by_id(one.parent_snapshot_id)
    return found


def _as_of(table: "Table", moment: str, where: str) -> "Snapshot":
    try:
        time = datetime.fromisoformat(moment)
    except ValueError:
        raise ConfigError(f"iceberg.as_of: expected a time such as 2026-01-31T12:00:00Z, received {moment!r}") from None
    if time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    snapshot = table.snapshot_as_of_timestamp(round(time.timestamp() * 1000))
    if snapshot is None:
        raise DataError(f"{where}: there was no snapshot at {moment}, or it has expired: expected a later time")
    return snapshot
