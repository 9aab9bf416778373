"""Glue's tables: the catalogue, its predicates, and the files in S3."""

import bz2
import gzip
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import fastavro
import fsspec.asyn
import pyarrow as pa
import pyarrow.orc
import pytest
from pyiceberg.catalog import load_catalog

from penstock.components.example_gen import executor
from penstock.components.example_gen.inputs import resolving
from penstock.components.example_gen.sources.glue import hive_types, job
from penstock.components.example_gen.sources.glue.source import GluePiece, GlueSource
from penstock.core.errors import ConfigError, DataError, NoServer, ServerError
from tests.components.example_gen.sources.glue.conftest import (
    NESTED,
    SERDES,
    TYPES,
    Lake,
    Read,
    parquet,
    trips,
)
from tests.components.example_gen.sources.tables import features
from tests.servers import ports
from tests.servers.object_stores import BUCKET


def orc(table: pa.Table) -> bytes:
    stream = io.BytesIO()
    pa.orc.write_table(table, stream)
    return stream.getvalue()


def avro(table: pa.Table) -> bytes:
    stop = [{"name": "zip", "type": "int"}, {"name": "name", "type": "string"}]
    logical = {
        "id": "long",
        "city": "string",
        "fare": "double",
        "price": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2},
        "at": {"type": "long", "logicalType": "local-timestamp-micros"},
        "day": {"type": "int", "logicalType": "date"},
        "paid": "boolean",
        "tags": {"type": "array", "items": "string"},
        "stop": {"type": "record", "name": "stop", "fields": stop},
    }
    fields = [{"name": name, "type": ["null", kind]} for name, kind in logical.items()]
    stream = io.BytesIO()
    fastavro.writer(stream, {"type": "record", "name": "trip", "fields": fields}, table.to_pylist())
    return stream.getvalue()


def lines(table: pa.Table, delimiter: str, null: str, quote: str = "") -> bytes:
    def cell(value: Any) -> str:
        text = str(value).lower() if isinstance(value, bool) else str(value)
        return null if value is None else f"{quote}{text}{quote}"

    rows = table.select(list(TYPES)).to_pylist()
    return "".join(delimiter.join(map(cell, row.values())) + "\n" for row in rows).encode()


def json_lines(table: pa.Table) -> bytes:
    return "".join(json.dumps({**row, "More": 1}, default=str) + "\n" for row in table.to_pylist()).encode()


def test_every_format_gives_the_same_rows(lake: Lake, read: Read) -> None:
    """With the types of the catalogue, each partition as its own SerDe says. Hive's hidden files are left alone."""
    flat = trips().select(list(TYPES))
    bars = {"field.delim": "|", "serialization.null.format": "none"}
    quoted = {"separatorChar": ";", "quoteChar": "'", "skip.header.line.count": "1"}
    header = ",".join(TYPES).encode() + b"\n"
    forms: dict[str, tuple[str, str, bytes, dict[str, str]]] = {
        "parquet": ("parquet", "part-0", parquet(trips()), {}),
        "orc": ("orc", "part-0", orc(trips()), {}),
        "avro": ("avro", "part-0", avro(trips()), {}),
        "json": ("json", "part-0", json_lines(trips()), {}),
        "text": ("text", "part-0", lines(flat, "\x01", "\\N"), {}),
        "bars": ("text", "a.gz", gzip.compress(lines(flat, "|", "none")), bars),
        "csv": ("csv", "a.csv.bz2", bz2.compress(header + lines(flat, ";", "", "'")), quoted),
    }
    files = {f"{form}/{name}": content for form, (_, name, content, _) in forms.items()}
    lake.table("trips", "parquet", {**files, "orc/_SUCCESS": b"x", "json/empty": b""}, keys={"form": "string"})
    for form, (serde, _, _, parameters) in forms.items():
        lake.partition("trips", form, [form], {"SerializationLibrary": SERDES[serde], "Parameters": parameters})
    rows = read("trips", columns=[*TYPES, "form"], engine="local:2")
    for form in forms:
        own = [dict(row) for row in rows if row["form"] == [form.encode()]]
        assert [row.pop("form") for row in own] == [[form.encode()]] * 60
        assert own == features(flat), form
    nested = read("trips", push_down_predicate="form IN ('parquet', 'orc', 'avro', 'json')", columns=["id", *NESTED])
    assert nested == sorted(features(trips().select(["id", *NESTED])) * 4, key=lambda row: row["id"])


def test_the_catalogue_chooses_partitions_and_these_are_columns(lake: Lake, read: Read) -> None:
    files = {f"year={year}/part": parquet(trips(year * 100, 20)) for year in (1, 2, 3)}
    lake.table("trips", "parquet", files, keys={"year": "int"})
    for year in (1, 2, 3):
        lake.partition("trips", f"year={year}", [str(year)])
    rows = read("trips", push_down_predicate="year >= 2", columns=["id", "year"])
    assert rows == [{"id": [row], "year": [row // 100]} for row in (*range(200, 220), *range(300, 320))]
    assert json.loads(read.metadata["origin"])["push_down_predicate"] == "year >= 2"
    splits = [{"name": "train", "pattern": "year < 3"}, {"name": "eval", "pattern": "year = 3"}]
    assert len(read("trips", json.dumps({"splits": splits}))) == 60
    assert json.loads(read.metadata["num_examples"]) == {"train": 40, "eval": 20}
    with pytest.raises(ConfigError, match=r"glue\.push_down_predicate: expected an expression of the partitions'"):
        read("trips", push_down_predicate="yaer >>= 2")
    with pytest.raises(ConfigError, match=r"glue\.columns: expected a column of the files too, received year alone"):
        read("trips", columns=["year"])
    with pytest.raises(DataError, match=r"sales\.trips has no file in the partitions of 'year = 9'"):
        read("trips", push_down_predicate="year = 9")


def test_the_files_of_a_run_are_fixed_before_they_are_read(lake: Lake, read: Read) -> None:
    """What is added later is read by the next run; what is written anew or removed is told."""
    lake.table("trips", "parquet", {"a": parquet(trips()), "b": parquet(trips(60, 10))})
    base = json.dumps({"glue": {"database": "sales", "table": "trips"}})
    found = resolving.resolve(input_base=base, state=read.state)
    assert found.resolved_input == resolving.resolve(input_base=base, state=read.state).resolved_input
    assert resolving.resolve(input_base=base).fingerprint == found.fingerprint  # a run without a state

    def run(out: str) -> Any:
        return executor.run(examples=str(read.folder / out), input_base=base, **found._asdict(), engine="local:1")

    lake.store.write({"c": parquet(trips(70, 10))}, "trips")
    assert sum(json.loads(run("first").metadata["examples"]["num_examples"]).values()) == 70
    assert resolving.resolve(input_base=base, state=read.state).fingerprint != found.fingerprint
    lake.store.write({"a": parquet(trips(5, 60))}, "trips")
    with pytest.raises(DataError, match=r"trips/a was written anew since the run looked at the table: run again"):
        run("second")
    boto3.resource("s3").Object(BUCKET, "trips/b").delete()
    lake.store.write({"a": parquet(trips())}, "trips")
    with pytest.raises(DataError, match=r"trips/b is gone since"):
        run("third")
    assert not [path for out in ("second", "third") for path in (read.folder / out).rglob("*")]


def test_what_does_not_fit_is_one_sentence(lake: Lake, read: Read) -> None:
    lake.table("trips", "parquet", {"part-0": parquet(trips())})
    for table, options, message in (
        ("trip", {}, r"Glue table sales\.trip does not exist; did you mean 'trips'\?"),
        ("trips", {"database": "sale"}, r"Glue in us-east-1 has no database 'sale'; did you mean 'sales'\?"),
        ("trips", {"columns": ["fair"]}, r"there is no column 'fair'; did you mean 'fare'\?"),
        ("trips", {"label": "tip"}, r"tip"),
        ("trips", {"tabel": "x"}, r"glue: unknown key 'tabel'; did you mean 'table'\?"),
    ):
        with pytest.raises((ConfigError, DataError), match=message):
            read(table, **options)


@pytest.mark.parametrize(
    ("form", "content", "kind", "message"),
    [
        ("parquet", b"none", "int", r"rows: expected parquet data as the catalogue describes it: .*Parquet"),
        ("orc", b"none", "int", r"rows: expected orc data as the catalogue describes it"),
        ("avro", b"none", "int", r"rows: expected avro data as the catalogue describes it"),
        ("text", b"1\n" * 5000 + b"twelve\n", "int", r"rows: expected text data as the .*: .*'twelve'"),
        ("json", b'{"id": 1}\n{"id": \n', "int", r"rows: expected json data as the catalogue describes it"),
        ("text", b"1\n", "array<int>", r"column 'id': expected single values in CSV"),
        ("parquet", parquet(pa.table({"id": ["x"]})), "bigint", r"column 'id': the table declares int64, the file has"),
    ],
)
def test_a_file_that_does_not_fit_its_table_is_one_sentence(
    form: str, content: bytes, kind: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(content)
    schema = pa.schema([("id", hive_types.arrow(kind, "id"))])
    piece = GluePiece("rows", str(tmp_path / "file"), form, {}, {}, 0, len(content))
    with pytest.raises(DataError, match=message):
        list(GlueSource(schema, schema).read(piece))


@pytest.fixture
def no_thread_left() -> Iterator[None]:
    """Ends the thread that PyIceberg's reader of objects leaves in its process: other tests look for such."""
    yield
    loop, thread = fsspec.asyn.loop[0], fsspec.asyn.iothread[0]
    if loop is not None and thread is not None:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        fsspec.asyn.reset_after_fork()


@pytest.mark.usefixtures("no_thread_left")
def test_a_table_of_iceberg_is_read_by_its_snapshot(lake: Lake, read: Read) -> None:
    address = lake.store.environment["AWS_ENDPOINT_URL_S3"]
    catalog = load_catalog(
        "glue",
        **{"type": "glue", "glue.region": "us-east-1", "warehouse": f"s3://{BUCKET}/ice", "s3.endpoint": address},
        **{"py-io-impl": "pyiceberg.io.fsspec.FsspecFileIO"},
    )
    catalog.create_table("sales.ice", trips().schema).append(trips())
    rows = read("ice", push_down_predicate="id >= 10", columns=["id", "fare"])
    assert rows == features(trips().select(["id", "fare"]))[10:]
    assert json.loads(read.metadata["origin"])["table"] == "sales.ice"


def test_hives_types_are_arrows() -> None:
    assert hive_types.arrow("struct<a:array<decimal(10, 2)>,b:map<string,timestamp>>", "x") == pa.struct(
        [("a", pa.list_(pa.decimal128(10, 2))), ("b", pa.map_(pa.string(), pa.timestamp("us")))]
    )
    assert hive_types.arrow("varchar(20)", "x") == pa.string()
    assert hive_types.arrow("decimal", "x") == pa.decimal128(10, 0)
    for wrong in ("uniontype<int,string>", "array<int", "int)", "struct<a>", "", "decimal(x)"):
        with pytest.raises(DataError, match="x: expected a type of Hive's, found"):
            hive_types.arrow(wrong, "x")


def test_no_answer_and_no_leave(lake: Lake, read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_GLUE", f"http://127.0.0.1:{ports.reserve()}")
    with pytest.raises(NoServer, match=r"check data\.glue\.region and the network"):
        read("trips")
    monkeypatch.delenv("AWS_ENDPOINT_URL_GLUE")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    from penstock.core.services import aws

    aws._session.cache_clear()
    with pytest.raises(ServerError, match=r"wants a sign-in: .*: run `aws sso login`"):
        read("trips")
    aws._session.cache_clear()


def test_a_file_of_a_table_is_looked_at_before_a_run(
    lake: Lake, look: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last partition that has one; the table's job is not run."""
    files = {f"day={day}/{name}": parquet(trips(day * 60)) for day in (1, 2) for name in ("a", "b")}
    lake.table("trips", "parquet", files, keys={"day_of": "int"})
    for day in (1, 2, 3):
        lake.partition("trips", f"day={day}", [str(day)])
    monkeypatch.setattr(job, "finished", None)
    table = {"database": "sales", "table": "trips", "job": {"name": "nightly"}}
    told = look({"glue": table}, label="paid")
    assert "data: 60 rows looked at; columns: id (integers), city (text), fare (numbers with decimals)" in told
    assert "day_of (integers)" in told
    assert "label 'paids' does not exist; did you mean 'paid'?" in look({"glue": table}, label="paids", code=2)
    absent = {**table, "table": "trip"}
    told = look({"glue": absent}, label="paid")
    assert "data: not looked at, for the job nightly makes it first (Glue table sales.trip does not exist" in told
    del absent["job"]
    assert "Glue table sales.trip does not exist; did you mean 'trips'?" in look({"glue": absent}, code=2)
