"""Iceberg tables are read as PyIceberg's own scan reads them, a file or a row group at a time."""

import contextlib
import json
import pickle
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyiceberg.expressions import AlwaysTrue
from pyiceberg.table import Table
from pyiceberg.types import LongType, StringType

from penstock.components.engines import open_engine
from penstock.components.example_gen import configs, executor
from penstock.components.example_gen.inputs import resolving
from penstock.components.example_gen.sources import pieces
from penstock.components.example_gen.sources.iceberg.source import IcebergSource
from penstock.components.example_gen.sources.source import Opened, Request
from penstock.core.errors import ConfigError, DataError
from tests.components.example_gen.sources.iceberg import merge_on_read
from tests.components.example_gen.sources.iceberg.lake import ROWS, Lake, trips
from tests.components.example_gen.sources.tables import Read, features

ALL = AlwaysTrue()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A table of three snapshots: two appends, of which the first one's file has row groups, and rows deleted."""
    lake = Lake(tmp_path_factory.mktemp("iceberg"))
    table = lake.catalog.create_table(
        "db.trips", trips().schema, properties={"write.parquet.row-group-limit": "300", "format-version": "2"}
    )
    table.append(trips())
    table.append(trips(ROWS, 50))
    first = next(task for task in table.scan().plan_files() if task.file.record_count == ROWS)
    merge_on_read.delete(lake.catalog, table, first.file.file_path, [0, 299, 300, 301, 999])
    return lake


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """An own catalogue, for tests that write."""
    return Lake(tmp_path)


@pytest.fixture
def read(tmp_path: Path) -> Read:
    return Read(tmp_path)


def expected(table: Table, row_filter: str | AlwaysTrue = ALL, **options: Any) -> list[dict[str, Any]]:
    """The rows as PyIceberg reads them, as features."""
    return features(table.scan(row_filter, **options).to_arrow())


def test_rows_of_every_type_are_those_that_pyiceberg_reads(written: Lake, read: Read) -> None:
    """Deleted rows are not among them, whichever row group they were in."""
    table = written.catalog.load_table("db.trips")
    rows = read(written.base(), engine="local:2")
    assert rows == expected(table)
    assert len(rows) == ROWS + 50 - 5
    assert rows[1]["at"] == [b"2026-01-01 02:00:00.000000Z"]
    assert json.loads(read.metadata["origin"])["snapshot_id"] == str(table.current_snapshot().snapshot_id)


def opened(base: str, scratch: Path) -> "contextlib.AbstractContextManager[Opened[Any]]":
    found = resolving.resolve(input_base=base)
    splits, _ = configs.resolved_splits(found.resolved_input)
    (options,) = json.loads(base).values()
    engine = open_engine("local:1")
    return IcebergSource.open(Request(base, splits, json.dumps(options), "", scratch, engine))


def test_a_large_file_is_read_by_row_groups_the_same_again_and_elsewhere(
    written: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "_SMALLEST", 1)
    monkeypatch.setattr(pieces, "_SHARDS", 100)
    with opened(written.base(), tmp_path) as first, opened(written.base(), tmp_path) as second:
        assert first.shards == second.shards
        assert first.extent == {"files": 2}
        assert len(first.shards) == 5  # of row groups of 300 rows, and of the other file
        source, shards = pickle.loads(pickle.dumps((first.source, first.shards)))
        counts = [source.rows(piece) for shard in shards for piece in shard.pieces]
        assert sorted(counts) == [50, 99, 298, 298, 300]
        assert counts == [first.source.rows(piece) for shard in first.shards for piece in shard.pieces]


def test_a_filter_reads_only_the_files_that_may_fit(written: Lake, read: Read, tmp_path: Path) -> None:
    table = written.catalog.load_table("db.trips")
    for text in ("id >= 1000", "id > 290 AND id < 310 AND city = 'city 1'", "city IS NULL", "stop.zip < 100"):
        assert read(written.base(filter=text)) == expected(table, text), text
    with opened(written.base(filter="id >= 1000"), tmp_path) as only:
        assert only.extent == {"files": 1}


def test_splits_are_filters_and_columns_are_chosen(written: Lake, read: Read) -> None:
    splits = [{"name": "train", "pattern": "id < 900"}, {"name": "eval", "pattern": "id >= 900"}]
    rows = read(written.base(columns=["id", "stop.zip"]), input_config=json.dumps({"splits": splits}))
    table = written.catalog.load_table("db.trips")
    assert rows == expected(table, selected_fields=("id", "stop.zip"))
    assert json.loads(read.metadata["num_examples"]) == {"train": 896, "eval": 149}


def test_an_old_snapshot_is_read_with_its_own_columns(lake: Lake, read: Read) -> None:
    """Columns that were renamed, dropped, widened and added since; the newest one has them as they are now."""
    table = lake.catalog.create_table(
        "db.trips", pa.schema([("id", pa.int64()), ("n", pa.int32()), ("old", pa.string())])
    )
    table.append(pa.table({"id": range(50), "n": pa.array(range(50), pa.int32()), "old": ["a"] * 50}))
    assert len(read(lake.base())) == 50  # a run before the columns change
    first = table.current_snapshot()
    table.manage_snapshots().create_tag(first.snapshot_id, "january").create_branch(first.snapshot_id, "audit").commit()
    with table.update_schema() as update:
        update.update_column("n", LongType())
        update.delete_column("old")
        update.add_column("new", StringType())
    with table.update_schema() as update:
        update.rename_column("n", "count")
    table.append(pa.table({"id": range(50, 60), "count": range(10), "new": ["b"] * 10}))
    now = read(lake.base())
    assert now == expected(table)
    assert set(now[0]) == {"id", "count"}
    then = [{"id": [row], "n": [row], "old": [b"a"]} for row in range(50)]
    time = f"{datetime.fromtimestamp(first.timestamp_ms / 1000, UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
    for chosen in ({"snapshot_id": first.snapshot_id}, {"tag": "january"}, {"as_of": time}):
        assert read(lake.base(**chosen)) == then, chosen
    assert read(lake.base(tag="january", filter="n > 47 AND old = 'a'")) == then[48:]
    assert read(lake.base(branch="audit")) == now[:50]
    with pytest.raises(DataError, match=r"there is no tag 'januari'; did you mean 'january'\?"):
        read(lake.base(tag="januari"))
    with pytest.raises(DataError, match="there was no snapshot at 2020-01-01, or it has expired"):
        read(lake.base(as_of="2020-01-01"))
    with pytest.raises(DataError, match=r"there is no column 'old'; expected one of id, count, new"):
        read(lake.base(columns=["id", "old"]))


def test_a_snapshot_is_fixed_before_its_rows_are_read(lake: Lake, read: Read) -> None:
    """What is written in between is read by the next run; an expired snapshot or a file that is gone are told."""
    table = lake.catalog.create_table("db.trips", trips().schema)
    table.append(trips(0, 50))
    found = resolving.resolve(input_base=lake.base())
    table.append(trips(50, 50))
    assert resolving.resolve(input_base=lake.base()).fingerprint != found.fingerprint
    result = executor.run(
        examples=str(lake.root / "examples"), input_base=lake.base(), **found._asdict(), engine="local:1"
    )
    assert sum(json.loads(result.metadata["examples"]["num_examples"]).values()) == 50
    with opened(lake.base(), lake.root) as source:
        Path(source.shards[0].pieces[0].task.file.file_path).unlink()
        with pytest.raises(DataError, match=r"a file of the snapshot is gone .*: read a newer snapshot"):
            list(source.source.read(source.shards[0].pieces[0]))
    table.maintenance.expire_snapshots().by_id(table.snapshots()[0].snapshot_id).commit()
    with pytest.raises(DataError, match=r"there is no snapshot \d+; it may have expired; those there are"):
        executor.run(examples=str(lake.root / "no"), input_base=lake.base(), **found._asdict(), engine="local:1")
    assert not list((lake.root / "no").rglob("*"))


def test_spans_are_what_snapshots_appended(written: Lake, read: Read) -> None:
    """By their sequence numbers; a snapshot that deletes appends nothing."""
    newest = {"rolling_range": {"num_spans": 2}}
    assert [row["id"] for row in read(written.base(), range_config=json.dumps(newest))] == [
        [row] for row in range(ROWS, ROWS + 50)
    ]
    assert read.metadata["span"] == 3
    assert read.metadata["spans"] == "snapshots 2 to 3"
    first = {"static_range": {"start_span_number": 1, "end_span_number": 1}}
    assert len(read(written.base(), range_config=json.dumps(first))) == ROWS
    later = {"static_range": {"start_span_number": 7, "end_span_number": 9}}
    with pytest.raises(DataError, match=r"no snapshot has a sequence number from 7 to 3; .* the newest first: 3, 2, 1"):
        read(written.base(), range_config=json.dumps(later))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"filter": "id >>> 3"}, r"iceberg\.filter: expected an expression such as .*, received 'id >>> 3'"),
        ({"filter": "di = 3"}, r"iceberg\.filter: .*di.*: expected columns of db\.trips .*: id, city"),
        ({"filter": "id = 'x'"}, r"iceberg\.filter: "),
        ({"table": "db.trip"}, r"Iceberg table db\.trip does not exist; did you mean 'db\.trips'\?"),
        ({"table": "dv.trips"}, r"there is no namespace 'dv'; .*'?db"),
        ({"columns": ["fair"]}, r"there is no column 'fair'; did you mean 'fare'\?"),
        ({"snapshot_id": 7}, r"there is no snapshot 7; it may have expired"),
        ({"filter": "id < 0"}, r"holds no row that fits"),
    ],
)
def test_what_does_not_fit_the_table_is_one_sentence(
    options: dict[str, Any], message: str, written: Lake, read: Read
) -> None:
    with pytest.raises((ConfigError, DataError), match=message):
        read(written.base(**options))


def test_an_empty_table_and_a_label_that_is_not_there(lake: Lake, written: Lake, read: Read) -> None:
    lake.catalog.create_table("db.trips", trips().schema)
    with pytest.raises(DataError, match=r"Iceberg table db\.trips is empty"):
        read(lake.base())
    with pytest.raises(DataError, match="tip"):
        read(written.base(), label="tip")


def test_rows_of_a_table_are_looked_at_before_a_run(written: Lake, look: Callable[..., str]) -> None:
    table = {"catalog": {"uri": written.uri}, "table": "db.trips"}
    told = look({"iceberg": table}, label="paid")
    assert "rows looked at; columns: id (integers), city (text), fare (numbers with decimals)" in told
    assert "label 'paids' does not exist; did you mean 'paid'?" in look({"iceberg": table}, "paids", 2)
    assert "Iceberg table db.trip does not exist; did you mean 'db.trips'?" in look(
        {"iceberg": {**table, "table": "db.trip"}}, "paid", 2
    )
