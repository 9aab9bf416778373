"""Data of an object store is read from there, by each worker its own part, and nothing of it is copied first."""

import gzip
import json
import random
import re
import socket
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from penstock.components.example_gen import executor
from penstock.components.example_gen.inputs import resolving
from penstock.components.example_gen.sources.files import separators
from penstock.components.example_gen.sources.parquet import ParquetSource
from penstock.core.errors import SystemFailure
from penstock.core.examples import records
from penstock.core.files import data_files
from penstock.core.files.data_files import ObjectFile, RangedFile
from penstock.core.files.object_stores import Store
from penstock.core.services import retries
from tests.components.example_gen.conftest import Generated
from tests.servers import cuts
from tests.servers.cuts import Cuts
from tests.servers.object_stores import BUCKET, ObjectStore

from .test_formats import ALL, ROWS, avro, json_lines, orc_file, parquet  # noqa: F401  fixtures

Folder = Callable[[dict[str, str | bytes]], Path]


@pytest.fixture
def nothing_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(*_: object) -> None:
        raise AssertionError("a whole object was fetched")

    monkeypatch.setattr(Store, "fetch", fetch)
    monkeypatch.setattr(Store, "read", fetch)
    monkeypatch.setattr(separators, "PIECE", 30_000)


@pytest.mark.usefixtures("nothing_is_copied")
def test_every_format_is_read_from_its_store(
    folder: Folder,
    tmp_path: Path,
    object_store: ObjectStore,
    parquet: bytes,  # noqa: F811
    orc_file: bytes,  # noqa: F811
) -> None:
    serialized = records.encode(pa.RecordBatch.from_pylist([{"x": [number]} for number in range(900)]))
    tfrecord = folder({}) / "a.tfrecord"
    records.write(tfrecord, serialized)
    csv = "id,name\n" + "".join(f"{row['id']},{row['name']}\n" for row in ROWS)
    files: dict[str, dict[str, str | bytes]] = {
        "parquet": {"part=1/a.parquet": parquet, "part=2/a.parquet": parquet},
        "orc": {"part=1/a.orc": orc_file},
        "avro": {"part=1/a.avro": avro("deflate")},
        "json": {"part=1/a.jsonl": json_lines(), "part=2/b.jsonl.gz": gzip.compress(json_lines().encode())},
        "csv": {"part=1/a.csv": csv, "part=2/b.csv.gz": gzip.compress(csv.encode())},
        "tfrecord": {"part=1/a.tfrecord": tfrecord.read_bytes()},
    }
    local = {source: str(folder(of_source)) for source, of_source in files.items()}
    there = {source: object_store.write(of_source, "data", source) for source, of_source in files.items()}
    assert joined(there, tmp_path / "there") == joined(local, tmp_path / "local")


def joined(bases: Mapping[str, str], out: Path) -> dict[str, bytes]:
    """Returns the files of Examples that a run writes of data in several formats, each of which is a split."""
    parts = {
        source: {
            "files": {
                "input_base": base,
                "pattern": "*/*",
                "format": source,
                "options": {} if source == "tfrecord" else {"partitions": "hive"},
            }
        }
        for source, base in bases.items()
    }
    reference = json.dumps({"splits": parts})
    found = resolving.resolve(input_base=reference)
    executor.run(examples=str(out), input_base=reference, engine="local:2", **found._asdict())
    assert {path.parent.name for path in out.rglob("*.gz")} == {f"Split-{source}" for source in bases}
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*.gz")}


@pytest.fixture
def cutting(object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cuts]:
    """The store, reached on a way that may cut an answer after 20,000 bytes."""
    (name,) = [name for name, value in object_store.environment.items() if value.startswith("http")]
    with cuts.cutting(urlsplit(object_store.environment[name]).port or 0, 20_000) as way:
        monkeypatch.setenv(name, f"http://127.0.0.1:{way.port}")
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        yield way


def test_a_connection_that_is_cut_is_tried_again(
    object_store: ObjectStore, cutting: Cuts, generate: Callable[..., Generated], folder: Folder
) -> None:
    lines = "".join(json.dumps({"x": number}) + "\n" for number in range(9000))
    uri = object_store.write({"a.jsonl": lines}, "data")
    cutting.left = cut = 1 if object_store.scheme == "gs" else 3  # gcsfs waits for a second, then for two
    found = generate(uri, source="json", output_config=ALL)
    assert (cutting.left, cutting.made) == (0, cut)
    assert found.content() == generate(folder({"a.jsonl": lines}), source="json", output_config=ALL).content()


def test_an_object_that_shrinks_is_no_data(object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "PAUSE", 0.001)
    uri = object_store.write({"a.csv": "x\n1\n"}, "data")
    with data_files.connections():
        file = ObjectFile(f"{uri}/a.csv", 9)
        assert file.content(0, 4) == b"x\n1\n"
        with pytest.raises(SystemFailure, match=re.escape(f"{uri}/a.csv: expected 9 bytes of it, received 4")):
            file.content(0, 9)


def test_a_store_that_is_away_is_told_after_some_tries(
    object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    if object_store.scheme == "gs":
        pytest.skip("gcsfs tries for half a minute")
    monkeypatch.setattr(retries, "PAUSE", 0.001)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    file = ObjectFile(f"{object_store.scheme}://{BUCKET}/a.csv", 9)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    for name, value in object_store.environment.items():
        if value.startswith("http"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
    with data_files.connections(), pytest.raises(SystemFailure, match=r"a\.csv: the object store"):
        file.content(0, 9)


@dataclass(frozen=True)
class Counted(RangedFile):
    """A file of this machine that is read in ranges, whose bytes are counted."""

    read: Counter[str] = field(default_factory=Counter)

    def content(self, start: int, end: int) -> bytes:
        content = Path(self.uri).read_bytes()[start:end]
        self.read[self.name] += len(content)
        return content


def test_columns_that_are_not_read_do_not_travel(tmp_path: Path) -> None:
    noise = random.Random(1)
    table = pa.table({"x": range(900), "blob": [noise.randbytes(40_000) for _ in range(900)], "y": range(900)})
    pq.write_table(table, tmp_path / "a.parquet", compression="none", use_dictionary=False)
    file = Counted(str(tmp_path / "a.parquet"), (tmp_path / "a.parquet").stat().st_size)
    (piece,) = ParquetSource.table(file).pieces
    rows = [row for batch in ParquetSource(("x", "y")).batches(piece) for row in batch.to_pylist()]
    assert rows == [{"x": number, "y": number} for number in range(900)]
    assert file.size > 36_000_000
    assert file.read.total() < file.size / 2
