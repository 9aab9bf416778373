"""The same rows in every format with columns give the same features, cut anywhere, compressed or not."""

import bz2
import gzip
import io
import json
import lzma
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import orc

from penstock.components.example_gen.sources.files import separators
from penstock.core.errors import ConfigError, DataError
from penstock.core.examples import records
from tests.components.example_gen.conftest import Generated

Folder = Callable[[dict[str, str | bytes]], Path]
ALL = '{"split_config": {"splits": [{"name": "all", "hash_buckets": 1}]}}'
ROWS = [
    {
        "id": number,
        "name": f"row {number}",
        "fare": Decimal(number) / 4,
        "day": date(2026, 1, 1 + number % 28),
        "paid": number % 2 == 0 if number % 3 else None,
        "at": datetime(2026, 1, 1, number % 24, tzinfo=UTC),
        "address": {"city": "Ulm", "zip": number} if number % 5 else None,
        "items": [{"price": 0.5 * number}] * (number % 3),
        "raw": bytes([number % 256, 0]),
    }
    for number in range(1500)
]
SCHEMA = pa.schema(
    {
        "id": pa.int64(),
        "name": pa.string(),
        "fare": pa.decimal128(9, 2),
        "day": pa.date32(),
        "paid": pa.bool_(),
        "at": pa.timestamp("us", "UTC"),
        "address": pa.struct({"city": pa.string(), "zip": pa.int64()}),
        "items": pa.list_(pa.struct({"price": pa.float64()})),
        "raw": pa.binary(),
    }
)
AVRO = {
    "type": "record",
    "name": "Trip",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "name", "type": "string"},
        {"name": "fare", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
        {"name": "day", "type": {"type": "int", "logicalType": "date"}},
        {"name": "paid", "type": ["null", "boolean"]},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {
            "name": "address",
            "type": [
                "null",
                {
                    "type": "record",
                    "name": "Address",
                    "fields": [{"name": "city", "type": "string"}, {"name": "zip", "type": "long"}],
                },
            ],
        },
        {
            "name": "items",
            "type": {
                "type": "array",
                "items": {"type": "record", "name": "Item", "fields": [{"name": "price", "type": "double"}]},
            },
        },
        {"name": "raw", "type": "bytes"},
    ],
}


def avro(codec: str = "null", rows: list[dict[str, Any]] = ROWS, schema: Any = AVRO) -> bytes:
    file = io.BytesIO()
    fastavro.writer(file, schema, rows, codec=codec, sync_interval=2000)
    return file.getvalue()


def json_lines() -> str:
    """What JSON can hold of the rows."""
    return "".join(json.dumps({"id": row["id"], "name": row["name"], "items": row["items"]}) + "\n" for row in ROWS)


@pytest.fixture(scope="module")
def parquet(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("parquet") / "trips.parquet"
    pq.write_table(pa.Table.from_pylist(ROWS, SCHEMA), path, row_group_size=400)
    return path.read_bytes()


@pytest.fixture(scope="module")
def orc_file(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("orc") / "trips.orc"
    orc.write_table(pa.Table.from_pylist(ROWS, SCHEMA), str(path), stripe_size=1000)
    return path.read_bytes()


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(separators, "PIECE", 3000)


@pytest.mark.usefixtures("small_pieces")
def test_the_formats_with_a_schema_agree(
    folder: Folder, generate: Callable[..., Generated], parquet: bytes, orc_file: bytes
) -> None:
    root = folder({"a.parquet": parquet, "a.orc": orc_file, "a.avro": avro("deflate")})
    expected = generate(root / "a.parquet", source="parquet", output_config=ALL).rows("all")
    assert [row["address.zip"] for row in expected[:2]] == [None, [1]]
    assert expected[3]["at"] == [b"2026-01-01 03:00:00.000000Z"]
    of_orc = generate(root / "a.orc", source="orc", output_config=ALL).rows("all")
    of_avro = generate(root / "a.avro", source="avro", output_config=ALL).rows("all")
    assert of_avro == expected
    assert [row | {"at": None} for row in of_orc] == [row | {"at": None} for row in expected]  # of nanoseconds


def recompressed(codec: str) -> bytes:
    """Returns the Avro file with blocks of a codec that fastavro writes only with a package of its own."""
    plain = avro()
    header = plain.index(b"null", plain.index(b"avro.codec"))
    sync = plain[-16:]
    start = plain.index(sync) + 16
    blocks = io.BytesIO(plain[start:])
    out = io.BytesIO()
    out.write(plain[: header - 1] + bytes([2 * len(codec)]) + codec.encode() + plain[header + 4 : start])
    while blocks.tell() < len(plain) - start:
        count, size = fastavro.schemaless_reader(blocks, "long", None), fastavro.schemaless_reader(blocks, "long", None)
        content = blocks.read(size)
        blocks.read(16)
        if codec == "snappy":
            packed = pa.compress(content, "snappy", asbytes=True) + zlib.crc32(content).to_bytes(4, "big")
        else:
            packed = pa.compress(content, "zstd", asbytes=True)
        for number in (count, len(packed)):
            fastavro.schemaless_writer(out, "long", number)
        out.write(packed + sync)
    return out.getvalue()


@pytest.mark.parametrize("codec", ["bzip2", "xz", "snappy", "zstandard"])
def test_avros_codecs(codec: str, folder: Folder, generate: Callable[..., Generated]) -> None:
    content = avro(codec) if codec in ("bzip2", "xz") else recompressed(codec)
    root = folder({"a.avro": content})
    rows = generate(root, source="avro", output_config=ALL, options='{"columns": ["id"]}').rows("all")
    assert [row["id"] for row in rows] == [[number] for number in range(len(ROWS))]


@pytest.mark.usefixtures("small_pieces")
def test_compressed_text_is_the_text(folder: Folder, generate: Callable[..., Generated]) -> None:
    text = json_lines().encode()
    packed = {"gz": gzip.compress(text), "bz2": bz2.compress(text), "xz": lzma.compress(text)}
    packed["zst"] = pa.compress(text, "zstd", asbytes=True)
    root = folder({"plain.jsonl": text, **{f"a.jsonl.{suffix}": content for suffix, content in packed.items()}})
    expected = generate(root / "plain.jsonl", source="json", output_config=ALL)
    rows = expected.rows("all")
    assert [row["id"] for row in rows] == [[number] for number in range(len(ROWS))]
    assert [row["items.price"] for row in rows[:3]] == [[], [0.5], [1.0, 1.0]]
    for suffix in packed:
        found = generate(root / f"a.jsonl.{suffix}", source="json", output_config=ALL)
        assert found.content() == expected.content()
        assert not [path for path in found.examples.root.rglob("*") if path.suffix == ".txt"]
    csv = b"x\n" + b"".join(b"%d\n" % number for number in range(50))
    folders = folder(
        {"a.csv": csv, "a.csv.bz2": bz2.compress(csv), "a.csv.zst": pa.compress(csv, "zstd", asbytes=True)}
    )
    of_csv = [generate(path, output_config=ALL).content() for path in sorted(folders.iterdir())]
    assert of_csv[0] == of_csv[1] == of_csv[2]


def test_a_row_of_json_is_the_same_whatever_is_beside_it(folder: Folder, generate: Callable[..., Generated]) -> None:
    row = '{"x": 1, "when": "2026-01-01T00:00:00Z", "absent": null}\n'
    alone = generate(folder({"a.jsonl": row}), source="json", output_config=ALL).records("all")
    rows = folder({"a.jsonl": row + '{"absent": 3, "more": {"y": [true]}, "when": "late"}\n\r\n'})
    found = generate(rows, source="json", output_config=ALL)
    assert found.records("all")[0] == alone[0]
    assert records.decode(alone).to_pylist() == [{"when": [b"2026-01-01T00:00:00Z"], "x": [1]}]
    assert found.rows("all")[1] == {"absent": [3], "more.y": [1], "when": [b"late"], "x": None}


@pytest.mark.usefixtures("small_pieces")
def test_types_of_json_grow_and_are_found_in_all_rows(folder: Folder, generate: Callable[..., Generated]) -> None:
    lines = [{"x": number + (0.5 if number == 700 else 0)} for number in range(1500)]
    root = folder({"a.jsonl": "".join(json.dumps(line) + "\n" for line in lines)})
    rows = generate(root, source="json", output_config=ALL).rows("all")
    assert [row["x"] for row in rows] == [[line["x"]] for line in lines]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("json", '{"a": 1}\n{"a": "x"}\n', r"a\.json, line 2: column 'a': expected a number, .* found text"),
        ("json", '{"a": 1}\n[1]\n', r"line 2: expected an object in JSON, found '\[1\]'"),
        ("json", '{"a": 1}\n{"a":\n2}\n', r"line 2: expected an object in JSON, .*written on several lines"),
        ("json", '\n[{"a": 1}]', r"a\.json: expected an object in JSON on each line, found a list: jq -c"),
        ("json", '{"a": {"b": 1}}\n{"a": {"b": [1]}}\n', r"line 2: column 'a\.b': expected a number, .* found a list"),
        ("json", "", "the file is empty: expected an object in JSON on each line"),
        (
            "json",
            b'{"a": "x"}\n\n{"a": "caf\xe9"}\n',
            r"a\.json, line 3: expected JSON in UTF-8, found the bytes b'\\xe9",
        ),
        ("json", '{"a": 1}\n'.encode("utf-16"), "expected JSON in UTF-8, found another encoding"),
        ("json", gzip.compress(json_lines().encode())[:-9], "a.json: the gzip data ends early: the file was cut off"),
        ("json", lzma.compress(json_lines().encode())[:-9], "a.json: the xz data ends early: the file was cut off"),
        ("orc", b"ORC and no more", "a.orc: expected a whole ORC file"),
        ("orc", b"", "a.orc: the file is empty: expected ORC data"),
        ("avro", b"Obj\x01 and no more", "expected a whole Avro file, found a header that does not end"),
        ("avro", b"PAR1", "expected an Avro file, found other data"),
        ("avro", avro()[:-20], "a.avro: the Avro data is damaged: a block does not end where it should"),
        ("avro", avro(schema="long", rows=[1, 2]), "a.avro: expected Avro records, found long"),
    ],
    ids=map(str, range(16)),  # some of the contents differ from process to process
)
def test_what_cannot_be_read_is_told_in_a_sentence(
    name: str, content: str | bytes, reason: str, folder: Folder, generate: Callable[..., Generated]
) -> None:
    with pytest.raises(DataError, match=reason):
        generate(folder({f"a.{name}": content}), source=name)


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        (["string", "long"], "column 'x': expected one type, or one and null, found string, long: leave it out"),
        (["null", "R"], "column 'x': expected a type that does not hold itself, found R: leave it out"),
    ],
)
def test_avros_types_that_are_no_columns(
    column: Any, reason: str, folder: Folder, generate: Callable[..., Generated]
) -> None:
    schema = {"type": "record", "name": "R", "fields": [{"name": "x", "type": column}]}
    rows = [{"x": None if column[0] == "null" else "text"}]
    with pytest.raises(DataError, match=reason):
        generate(folder({"a.avro": avro(rows=rows, schema=schema)}), source="avro")


def test_numbers_of_several_types_in_avro_are_the_widest(folder: Folder, generate: Callable[..., Generated]) -> None:
    fields: list[dict[str, Any]] = [
        {"name": "x", "type": ["null", "int", "double"]},
        {"name": "y", "type": ["int", "long"]},
    ]
    schema = {
        "type": "record",
        "name": "R",
        "fields": [*fields, {"name": "m", "type": {"type": "map", "values": "int"}}],
    }
    content = avro(rows=[{"x": 1, "y": 2, "m": {"k": 3}}, {"x": None, "y": 2**40, "m": {}}], schema=schema)
    rows = generate(folder({"a.avro": content}), source="avro", output_config=ALL).rows("all")
    assert rows == [
        {"m.key": [b"k"], "m.value": [3], "x": [1.0], "y": [2]},
        {"m.key": [], "m.value": [], "x": None, "y": [2**40]},
    ]


@pytest.mark.parametrize("name", ["csv", "json", "orc", "avro", "parquet"])
def test_a_schema_that_drifts_names_file_and_column(
    name: str, folder: Folder, generate: Callable[..., Generated]
) -> None:
    root = folder({})
    for number, value in enumerate((1, "one")):
        table, path = pa.table({"x": [value] * 2, "y": [1, 2]}), root / f"{number}.{name}"
        if name == "json":
            path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
        elif name == "csv":
            path.write_text(f"x,{'yz'[number]}\n1,2\n")
        elif name == "avro":
            fields = [{"name": "x", "type": ["long", "string"][number]}, {"name": "y", "type": "long"}]
            path.write_bytes(avro(rows=table.to_pylist(), schema={"type": "record", "name": "R", "fields": fields}))
        else:
            (orc if name == "orc" else pq).write_table(table, str(path))
    column = "z" if name == "csv" else "x"
    with pytest.raises(DataError, match=rf"1\.{name}.*'{column}'"):
        generate(root, source=name)


def test_columns_to_read(folder: Folder, generate: Callable[..., Generated], parquet: bytes) -> None:
    root = folder({"a.parquet": parquet, "a.csv": "x,y,z\n1,a,2\n3,b,4\n", "a.jsonl": '{"x": 1, "y": {"z": 2}}\n'})
    rows = generate(root / "a.parquet", source="parquet", options='{"columns": ["id", "address"]}').rows()
    assert set(rows[0]) == {"id", "address.city", "address.zip"}
    rows = generate(root / "a.csv", options='{"columns": ["z", "x"]}', output_config=ALL).rows()
    assert rows == [{"x": [1], "z": [2]}, {"x": [3], "z": [4]}]
    assert generate(root / "a.jsonl", source="json", options='{"columns": ["y"]}', output_config=ALL).rows() == [
        {"y.z": [2]}
    ]
    for source, file in (("csv", "a.csv"), ("parquet", "a.parquet")):
        with pytest.raises(DataError, match="there is no column 'idd'"):
            generate(root / file, source=source, options='{"columns": ["idd"]}')
    with pytest.raises(DataError, match="label 'name' does not exist; the columns are id"):
        generate(root / "a.parquet", source="parquet", options='{"columns": ["id"]}', label="name")
    with pytest.raises(ConfigError, match="expected neither columns nor partitions for TFRecord files"):
        generate(root / "a.csv", source="tfrecord", options='{"columns": ["id"]}')


@pytest.mark.parametrize("size", [1, 7, 16, 1000])
@pytest.mark.parametrize("separator", [b"\n", b"--:-"])
def test_pieces_hold_each_record_once(size: int, separator: bytes, tmp_path: Path) -> None:
    parts = [b"x" * (number % 23) + b"-" * (number % 3) + b"." + separator for number in range(200)]
    for last in (b"", b"no end"):
        path = tmp_path / f"{bool(last)}"
        path.write_bytes(b"head" + b"".join(parts) + last)
        found = list(filter(None, contents(path, separator, size)))
        assert b"".join(found) == b"".join(parts) + last
        assert all(content.endswith(separator) for content in found[:-1])


def contents(path: Path, separator: bytes, size: int) -> Iterator[bytes]:
    for piece in separators.pieces(path, path.name, 4, size):
        yield separators.content(piece, separator, 4)
