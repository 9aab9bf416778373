"""Deletes rows as Spark and Flink do in merge-on-read: by a file of positions, which PyIceberg never writes."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.catalog import Catalog
from pyiceberg.manifest import (
    DataFile,
    DataFileContent,
    FileFormat,
    ManifestContent,
    ManifestEntry,
    ManifestEntryStatus,
    ManifestWriterV2,
    write_manifest_list,
)
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Operation, Snapshot, Summary
from pyiceberg.table.update import AddSnapshotUpdate, AssertTableUUID, SetSnapshotRefUpdate
from pyiceberg.typedef import Record


class _DeleteManifest(ManifestWriterV2):
    def content(self) -> ManifestContent:
        return ManifestContent.DELETES

    @property
    def _meta(self) -> dict[str, str]:
        return {**super()._meta, "content": "deletes"}


def delete(catalog: Catalog, table: Table, path: str, rows: Sequence[int]) -> Table:
    """Deletes rows of a data file by their numbers; returns the table with the new snapshot."""
    before = table.current_snapshot()
    assert before is not None
    number = before.snapshot_id // 2 + 1
    root = f"{table.location()}/metadata/delete-{number}"
    file = _positions(f"{root}.parquet", path, rows, table)
    writer = _DeleteManifest(table.spec(), table.schema(), table.io.new_output(f"{root}.avro"), number, "null")
    with writer:
        writer.add_entry(ManifestEntry.from_args(status=ManifestEntryStatus.ADDED, snapshot_id=number, data_file=file))
    sequence = table.metadata.last_sequence_number + 1
    listed = f"{root}-list.avro"
    with write_manifest_list(2, table.io.new_output(listed), number, before.snapshot_id, sequence, "null") as manifests:
        manifests.add_manifests([*before.manifests(table.io), writer.to_manifest_file()])
    snapshot = Snapshot(
        **{
            "snapshot-id": number,
            "parent-snapshot-id": before.snapshot_id,
            "sequence-number": sequence,
            "manifest-list": listed,
            "summary": Summary(Operation.DELETE),
            "schema-id": table.metadata.current_schema_id,
        }
    )
    head = SetSnapshotRefUpdate(**{"ref-name": "main", "type": "branch", "snapshot-id": number})
    catalog.commit_table(
        table, (AssertTableUUID(uuid=table.metadata.table_uuid),), (AddSnapshotUpdate(snapshot=snapshot), head)
    )
    return catalog.load_table(table.name())


def _positions(uri: str, path: str, rows: Sequence[int], table: Table) -> DataFile:
    name = pa.field("file_path", pa.string(), False, {"PARQUET:field_id": "2147483546"})
    position = pa.field("pos", pa.int64(), False, {"PARQUET:field_id": "2147483545"})
    content = pa.table([[path] * len(rows), list(rows)], pa.schema([name, position]))
    with table.io.new_output(uri).create() as stream:
        pq.write_table(content, stream)
    return DataFile.from_args(
        content=DataFileContent.POSITION_DELETES,
        file_path=uri,
        file_format=FileFormat.PARQUET,
        partition=Record(),
        record_count=len(rows),
        file_size_in_bytes=len(table.io.new_input(uri)),
    )
