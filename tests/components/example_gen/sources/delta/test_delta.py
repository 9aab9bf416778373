"""Delta tables are read as the library's own reader reads them, a data file or a range of one at a time."""

import datetime
import decimal
import json
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from pyroaring import BitMap

from penstock.components.engines import open_engine
from penstock.components.example_gen import configs, executor
from penstock.components.example_gen.inputs import resolving
from penstock.components.example_gen.sources import parquet_ranges
from penstock.components.example_gen.sources.delta.source import DeltaSource
from penstock.components.example_gen.sources.source import Request
from penstock.core.errors import ConfigError, DataError, SystemFailure
from penstock.core.services import retries
from tests.components.example_gen.sources.tables import Read, features
from tests.servers import ports
from tests.servers.object_stores import s3

ROWS = 600
START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def trips(first: int = 0, count: int = ROWS) -> pa.Table:
    ids = range(first, first + count)
    return pa.table(
        {
            "id": pa.array(ids, pa.int64()),
            "city": pa.array([None if row % 7 == 0 else f"city {row % 3}/ä" for row in ids]),
            "fare": pa.array([row / 2 for row in ids], pa.float64()),
            "price": pa.array([decimal.Decimal(row).scaleb(-2) for row in ids], pa.decimal128(12, 2)),
            "at": pa.array([START + datetime.timedelta(hours=row) for row in ids], pa.timestamp("us", "UTC")),
            "day": pa.array([START.date() + datetime.timedelta(days=row % 2) for row in ids]),
            "paid": pa.array([row % 2 == 0 for row in ids]),
            "raw": pa.array([bytes([row % 256]) for row in ids], pa.binary()),
            "tags": pa.array([["x"] * (row % 3) for row in ids]),
            "stop": pa.array([None if row % 5 == 0 else {"zip": row, "name": "a"} for row in ids]),
            "stops": pa.array([[{"zip": row}] * (row % 3) for row in ids]),
            "notes": pa.array([[("k", row)] for row in ids], pa.map_(pa.string(), pa.int64())),
        }
    )


def base(path: object, **options: Any) -> str:
    return json.dumps({"delta": {"path": str(path), **options}})


def expected(path: object, version: int | None = None, predicate: str | None = None) -> list[dict[str, Any]]:
    """The rows as the library reads them, as features."""
    table = DeltaTable(str(path), version=version)
    scanned = pa.table(table.scan(predicate=predicate)).to_pylist()
    plain = pa.schema(table.schema().to_arrow())  # what is scanned has texts of a type that Arrow hardly knows
    return features(pa.Table.from_pylist(scanned, plain))


@pytest.fixture
def read(tmp_path: Path) -> Read:
    return Read(tmp_path)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A partitioned table of two versions."""
    path = tmp_path_factory.mktemp("delta") / "the trips"
    write_deltalake(path, trips(), partition_by=["city", "day"])
    write_deltalake(path, trips(ROWS, 50), mode="append")
    return path


def test_rows_of_every_type_are_those_that_the_library_reads(written: Path, read: Read) -> None:
    """Partitions' values are columns again, with their types; names of folders hold blanks, slashes and umlauts."""
    rows = read(base(written), engine="local:2")
    assert rows == expected(written)
    assert rows[1]["at"] == [b"2026-01-01 01:00:00.000000Z"]
    assert rows[1]["city"] == ["city 1/ä".encode()]
    origin = json.loads(read.metadata["origin"])
    assert (origin["version"], origin["table"]) == ("1", str(written))
    assert read(base(written, version=0)) == expected(written, 0)


def test_filters_choose_files_and_rows(written: Path, read: Read) -> None:
    assert read(base(written, filters=[["day", "=", "2026-01-01"], ["fare", ">", 100]])) == expected(
        written, predicate="day = '2026-01-01' AND fare > 100"
    )
    assert read(base(written, filters=[["city", "in", ["city 1/ä"]], ["at", "<", "2026-01-09T00:00:00Z"]])) == expected(
        written, predicate="city = 'city 1/ä' AND at < '2026-01-09T00:00:00Z'"
    )
    splits = [{"name": "train", "pattern": '[["id", "<", 500]]'}, {"name": "eval", "pattern": '[["id", ">=", 500]]'}]
    rows = read(base(written, columns=["id", "fare"]), input_config=json.dumps({"splits": splits}))
    assert rows == [{"id": [row], "fare": [row / 2]} for row in range(ROWS + 50)]
    assert json.loads(read.metadata["num_examples"]) == {"train": 500, "eval": 150}


def test_a_large_file_is_read_by_ranges_the_same_again_and_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deltalake import WriterProperties

    write_deltalake(tmp_path / "t", trips(), writer_properties=WriterProperties(max_row_group_size=100))
    monkeypatch.setattr(parquet_ranges, "_RANGE", 2000)
    splits, _ = configs.resolved_splits(resolving.resolve(input_base=base(tmp_path / "t")).resolved_input)
    options = json.dumps({"path": str(tmp_path / "t")})
    with DeltaSource.open(Request("", splits, options, "", tmp_path, open_engine("local:1"))) as opened:
        source, shards = pickle.loads(pickle.dumps((opened.source, opened.shards)))
        counts = [source.rows(piece) for shard in shards for piece in shard.pieces]
        blocks = [block for shard in shards for piece in shard.pieces for block in source.read(piece)]
    assert sum(counts) == ROWS
    assert sum(count > 0 for count in counts) == 6
    assert [row for block in blocks for row in block.columns.column("id").to_pylist()] == [[row] for row in range(ROWS)]


def test_columns_are_mapped_added_and_widened(tmp_path: Path, read: Read) -> None:
    """With column mapping files know columns by other names, those of structs too."""
    mapped = tmp_path / "mapped"
    write_deltalake(mapped, trips(), configuration={"delta.columnMapping.mode": "name"}, partition_by=["day"])
    assert read(base(mapped)) == expected(mapped)
    assert read(base(mapped, filters=[["fare", ">", 100]])) == expected(mapped, predicate="fare > 100")
    table = tmp_path / "table"
    write_deltalake(table, pa.table({"id": range(50), "s": [{"a": 1}] * 50}))
    added = pa.table({"id": range(50, 60), "s": [{"a": 1, "b": "x"}] * 10, "new": [1.5] * 10})
    write_deltalake(table, added, mode="append", schema_mode="merge")
    assert read(base(table)) == expected(table)
    assert set(read(base(table, version=0))[0]) == {"id", "s.a"}
    with pytest.raises(DataError, match=r"there is no column 'new'; expected one of id, s"):
        read(base(table, version=0, columns=["new"]))


def test_rows_that_a_deletion_vector_names_are_left_out(tmp_path: Path, read: Read) -> None:
    """Spark writes such vectors, and the library none: so it is written here, as the protocol has it."""
    write_deltalake(tmp_path / "t", trips(), configuration={"delta.enableDeletionVectors": "true"})
    gone = BitMap([0, 3, 599])
    content = struct.pack("<iqi", 1681511377, 1, 0) + gone.serialize()
    vector = {
        "storageType": "i",
        "pathOrInlineDv": _z85(content),
        "sizeInBytes": len(content),
        "cardinality": len(gone),
    }
    log = tmp_path / "t" / "_delta_log"
    add = next(json.loads(line)["add"] for line in (log / f"{0:020}.json").read_text().splitlines() if '"add"' in line)
    remove = {"path": add["path"], "deletionTimestamp": 0, "dataChange": True}
    actions = [{"remove": remove}, {"add": {**add, "deletionVector": vector}}, {"commitInfo": {"timestamp": 0}}]
    (log / f"{1:020}.json").write_text("\n".join(map(json.dumps, actions)))
    rows = read(base(tmp_path / "t"))
    assert rows == expected(tmp_path / "t")
    assert [row["id"][0] for row in rows] == [row for row in range(ROWS) if row not in gone]
    assert len(read(base(tmp_path / "t", version=0))) == ROWS


def _z85(content: bytes) -> str:
    padded = content + bytes(-len(content) % 4)
    digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
    text = ""
    for (word,) in struct.iter_unpack(">I", padded):
        text += "".join(digits[word // 85**power % 85] for power in range(4, -1, -1))
    return text


def test_a_version_is_fixed_before_its_rows_are_read(tmp_path: Path, read: Read) -> None:
    """A file that is gone since, as after VACUUM, is told; nothing is left half-written."""
    write_deltalake(tmp_path / "t", trips())
    found = resolving.resolve(input_base=base(tmp_path / "t"))
    write_deltalake(tmp_path / "t", trips(0, 30), mode="overwrite")
    assert resolving.resolve(input_base=base(tmp_path / "t")).fingerprint != found.fingerprint

    def run(out: str) -> Any:
        return executor.run(
            examples=str(tmp_path / out), input_base=base(tmp_path / "t"), **found._asdict(), engine="local:1"
        )

    assert sum(json.loads(run("first").metadata["examples"]["num_examples"]).values()) == ROWS
    DeltaTable(tmp_path / "t").vacuum(0, dry_run=False, enforce_retention_duration=False)
    with pytest.raises(DataError, match=r"parquet is gone: it was removed since \(VACUUM\)"):
        run("second")
    assert not list((tmp_path / "second").rglob("*"))
    assert len(read(base(tmp_path / "t", timestamp="2999-01-01"))) == 30


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"version": 7}, r"there is no version 7: the newest is 1"),
        ({"timestamp": "2020-01-01"}, r"there was no version at 2020-01-01: the oldest that is left is of 20"),
        ({"timestamp": "soon"}, r"delta\.timestamp: expected a time such as"),
        ({"columns": ["fair"]}, r"there is no column 'fair'; did you mean 'fare'\?"),
        ({"filters": [["fair", "=", 3]]}, r"delta\.filters: there is no column 'fair'; did you mean 'fare'\?"),
        (
            {"filters": [["fare", "=", "x"]]},
            r"delta\.filters: fare: expected what is compared with double",
        ),
        ({"filters": [["fare", "~", 3]]}, r"delta\.filters\[0\]: expected one of =, !=, .*, received '~'"),
        ({"filters": [["id", "<", 0]]}, r"holds no row that fits in version 1"),
        ({"verson": 3}, r"delta: unknown key 'verson'; did you mean 'version'\?"),
    ],
)
def test_what_does_not_fit_the_table_is_one_sentence(
    options: dict[str, Any], message: str, written: Path, read: Read
) -> None:
    with pytest.raises((ConfigError, DataError), match=message):
        read(base(written, **options))


def test_a_table_that_is_not_there_or_holds_nothing(written: Path, tmp_path: Path, read: Read) -> None:
    with pytest.raises(DataError, match=r"the trip does not exist; did you mean 'the trips'\?"):
        read(base(written.parent / "the trip"))
    write_deltalake(tmp_path / "t", trips(0, 0))
    with pytest.raises(DataError, match="holds no row that fits in version 0"):
        read(base(tmp_path / "t"))
    with pytest.raises(DataError, match="tip"):
        read(base(written), label="tip")
    with pytest.raises(ConfigError, match="a Delta table has versions and no spans"):
        read(base(written), range_config='{"rolling_range": {"num_spans": 1}}')


def test_a_table_in_a_bucket_and_what_the_store_refuses(
    read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "PAUSE", 0.0)
    with s3() as store:
        for name, value in store.environment.items():
            monkeypatch.setenv(name, value)
        store.remove_everything()
        write_deltalake(tmp_path / "t", trips(0, 60), partition_by=["city"])
        files = {str(file.relative_to(tmp_path)): file.read_bytes() for file in (tmp_path / "t").rglob("*.*")}
        root = store.write({name: content for name, content in files.items() if "/." not in name}, "lake")
        assert read(base(f"{root}/t"), engine="local:2") == expected(tmp_path / "t")
        with pytest.raises(DataError, match=r"s3://.*/lake/x does not exist; expected a folder with a _delta_log"):
            read(base(f"{root}/x"))
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{ports.reserve()}")
    with pytest.raises(SystemFailure, match=r"the store does not answer .*: check its address"):
        read(base("s3://bucket/t"))


def test_rows_of_a_table_are_looked_at_before_a_run(written: Path, look: Callable[..., str]) -> None:
    told = look({"delta": {"path": str(written), "version": 0}}, label="paid")
    assert "rows looked at; columns: id (integers), city (text), fare (numbers with decimals)" in told
    assert "label 'paids' does not exist; did you mean 'paid'?" in look({"delta": {"path": str(written)}}, "paids", 2)
    assert "does not exist" in look({"delta": {"path": f"{written}s"}}, "paid", 2)
