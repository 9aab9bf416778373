"""The register of sources, and that each of them keeps what its interface promises."""

import contextlib
import importlib
import json
import logging
import pickle
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import orc

from penstock.components.engines import open_engine
from penstock.components.example_gen import executor, sources
from penstock.components.example_gen.configs import InputSplit
from penstock.components.example_gen.sources import pieces
from penstock.components.example_gen.sources.files import separators
from penstock.components.example_gen.sources.source import Block, Opened, Request, Source, TypesGrew
from penstock.core import artifacts
from penstock.core.errors import ConfigError
from penstock.core.examples import records
from penstock.core.files import formats

Folder = Callable[[dict[str, str | bytes]], Path]
ROWS = 3000


@pytest.fixture
def data(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same rows in every format, in more than one shard, in two splits."""
    monkeypatch.setattr(pieces, "_SMALLEST", 4000)
    monkeypatch.setattr(separators, "PIECE", 2000)
    table = pa.table({"x": range(ROWS), "y": [f"text {row % 7}" for row in range(ROWS)]})
    text = "x,y\n" + "".join(f"{row},text {row % 7}\n" for row in range(ROWS))
    root = folder({f"{split}.csv": text for split in ("a", "b")})
    for split in ("a", "b"):
        pq.write_table(table, root / f"{split}.parquet", row_group_size=500)
        orc.write_table(table, str(root / f"{split}.orc"), stripe_size=1000, batch_size=500)
        (root / f"{split}.json").write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
        fields = [{"name": "x", "type": "long"}, {"name": "y", "type": "string"}]
        with open(root / f"{split}.avro", "wb") as file:
            schema = {"type": "record", "name": "Row", "fields": fields}
            fastavro.writer(file, schema, table.to_pylist(), sync_interval=2000)
        for part in range(4):
            rows = [{"x": [row], "y": [f"text {row % 7}"]} for row in range(part * ROWS // 4, (part + 1) * ROWS // 4)]
            records.write(root / f"{split}-{part}.tfrecord", records.encode(pa.RecordBatch.from_pylist(rows)))
    return root


def test_every_format_of_files_has_a_source() -> None:
    assert set(formats.SUFFIXES) <= set(sources.NAMES)


def test_an_unknown_source_names_those_there_are() -> None:
    with pytest.raises(
        ConfigError, match=r"source: expected avro, csv, json, orc, parquet, tfrecord, .* received 'excel'"
    ):
        sources.named("excel")


@pytest.mark.parametrize("name", sources.OF_FILES)
def test_a_source_reads_the_same_rows_again_and_elsewhere(name: str, data: Path, tmp_path: Path) -> None:
    request = Request(
        str(data),
        [InputSplit(split, f"{split}*.{name}") for split in ("a", "b")],
        "",
        "",
        tmp_path,
        open_engine("local:1"),
    )
    with request.engine, sources.named(name).open(request) as opened, sources.named(name).open(request) as again:
        assert again.shards == opened.shards
        assert again.extent == opened.extent == {"files": 8 if name == "tfrecord" else 2}
        numbers = [(shard.split, shard.index) for shard in opened.shards]
        counts = {split: sum(shard.split == split for shard in opened.shards) for split in ("a", "b")}
        assert numbers == [(split, index) for split in ("a", "b") for index in range(counts[split])]
        assert all(shard.count == counts[shard.split] > 1 for shard in opened.shards)
        travelled = pickle.loads(pickle.dumps((opened.source, opened.shards)))
        rows = _rows(Opened(*travelled, opened.extent))
        assert rows == _rows(opened)
        assert [row["x"] for row in rows] == [[row] for _ in range(2) for row in range(ROWS)]


def _rows(opened: Opened[Any]) -> list[dict[str, Any]]:
    rows = []
    for shard in opened.shards:
        for piece in shard.pieces:
            assert piece.size > 0
            assert piece.name
            for block in opened.source.read(piece):
                _check(block)
                rows += block.columns.to_pylist()
    return rows


def _check(block: Block) -> None:
    assert block.columns.num_rows == len(block.examples) == len(block.canonical)
    assert records.decode(block.examples).to_pylist() == block.columns.to_pylist()
    assert records.decode(block.canonical).to_pylist() == block.columns.to_pylist()


def test_only_the_source_that_is_asked_for_is_imported() -> None:
    module = importlib.import_module("penstock.components.example_gen.sources.parquet")
    loaded = {name: loaded for name, loaded in sys.modules.items() if name.startswith(f"{sources.__name__}.csv")}
    try:
        for name in loaded:
            del sys.modules[name]
        assert sources.named("parquet") is module.ParquetSource
        assert not [name for name in sys.modules if name.startswith(f"{sources.__name__}.csv")]
    finally:
        sys.modules.update(loaded)


def test_a_source_that_knows_its_types_looks_at_no_row_for_them() -> None:
    with pytest.raises(NotImplementedError, match="ParquetSource knows its types"), open_engine("local:1") as engine:
        sources.named("parquet")().with_all_types([], engine)


def test_types_that_grow_are_found_in_all_rows(folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "_SMALLEST", 100)
    root = folder({"a.csv": "x\n" + "".join(f"{'word' if row == 500 else row}\n" for row in range(1000))})
    with open_engine("local:1") as engine:
        request = Request(str(root), [InputSplit("a", "*")], "", "", tmp_path, engine)
        with sources.named("csv").open(request) as opened:
            with pytest.raises(TypesGrew):
                _rows(opened)
            source = opened.source.with_all_types(opened.shards, engine)
            rows = _rows(Opened(source, opened.shards, opened.extent))
    assert rows[0] == {"x": [b"0"]}
    assert rows[500] == {"x": [b"word"]}


@dataclass(frozen=True)
class Range:
    """Numbers from `start` to `stop`, the last one excluded."""

    name: str
    start: int
    stop: int

    @property
    def size(self) -> int:
        return self.stop - self.start


class Numbers(Source[Range]):
    """A source that has no files: what a database's or a topic's looks like to the executor."""

    @classmethod
    @contextlib.contextmanager
    def open(cls, request: Request) -> Iterator[Opened[Range]]:
        parts = {
            split.name: [Range(split.pattern, start, start + 50) for start in range(0, 400, 50)]
            for split in request.splits
        }
        yield Opened(cls(), pieces.shards(parts), {"partitions": len(parts)})

    def read(self, piece: Range) -> Iterator[Block]:
        rows = [{"x": [number], "y": [piece.name]} for number in range(piece.start, piece.stop)]
        columns = pa.RecordBatch.from_pylist(rows)
        examples = records.encode(columns)
        yield Block(columns, examples, examples)


def test_the_executor_asks_no_more_than_the_interface(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sources, "named", {"numbers": Numbers}.__getitem__)
    monkeypatch.setattr(pieces, "_SMALLEST", 100)
    splits = [{"name": "train", "pattern": "old"}, {"name": "eval", "pattern": "new"}]
    resolved = json.dumps({"splits": splits})
    with caplog.at_level(logging.INFO):
        result = executor.run(
            source="numbers",
            examples=str(tmp_path),
            input_base="any",
            resolved_input=resolved,
            engine="local:2",
        )
    assert json.loads(result.metadata["examples"]["num_examples"]) == {"train": 400, "eval": 400}
    assert "(800 rows, 2 partitions)" in caplog.text
    examples = artifacts.Examples(tmp_path)
    for split, name in (("train", b"old"), ("eval", b"new")):
        assert len(examples.files(split)) == 4
        rows = [row for batch in records.read_batches(examples.files(split)) for row in batch.to_pylist()]
        assert rows == [{"x": [number], "y": [name]} for number in range(400)]
