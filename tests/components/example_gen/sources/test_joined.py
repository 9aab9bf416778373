"""Splits from several places: each is read by its own source, as it is."""

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from penstock.components.example_gen import executor
from penstock.components.example_gen.inputs import resolving
from penstock.components.example_gen.sources import pieces
from penstock.components.example_gen.sources.pieces import FilePiece
from penstock.components.example_gen.sources.source import Asked, Opened, Request, Resolved
from penstock.components.example_gen.sources.table import TableSource
from penstock.core import artifacts
from penstock.core.errors import ConfigError, DataError
from penstock.core.examples import records

Folder = Callable[[dict[str, str | bytes]], Path]
DONE: list[str] = []


class Letters(TableSource[FilePiece]):
    """Rows of no file, which remembers that its rows are safe."""

    @classmethod
    def resolve(cls, asked: Asked) -> Resolved:
        return Resolved(asked.splits, f"letters:{asked.options['count']},{asked.state}", span=3, spans="day 3")

    @classmethod
    @contextlib.contextmanager
    def open(cls, request: Request) -> Iterator[Opened[FilePiece]]:
        count = json.loads(request.options)["count"]
        (split,) = request.splits
        parts = {split.name: [FilePiece(Path(), f"letter {at}", at, at + 1, 1 << 20) for at in range(count)]}
        yield Opened(
            cls(), pieces.shards(parts), {"letters": count}, origin={"alphabet": "a"}, done=lambda: DONE.append("safe")
        )

    def batches(self, piece: FilePiece) -> Iterator[pa.RecordBatch]:
        yield pa.RecordBatch.from_pydict(
            {"x": ["abcdefgh"[piece.start]], "label": ["yes" if piece.start % 2 else "no"]}
        )


LETTERS = f"{__name__}.Letters"


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])
    DONE.clear()


def _generate(splits: dict[str, Any], out: Path, **parameters: Any) -> tuple[artifacts.Examples, dict[str, Any]]:
    base = json.dumps({"splits": splits})
    found = resolving.resolve(input_base=base, state="/state")
    result = executor.run(
        **{"examples": str(out), "input_base": base, **found._asdict(), "engine": "local:1", **parameters}
    )
    return artifacts.Examples(out), result.metadata["examples"]


def _rows(examples: artifacts.Examples, split: str) -> list[dict[str, Any]]:
    return [row for batch in records.read_batches(examples.files(split)) for row in batch.to_pylist()]


def test_each_split_is_read_from_its_place(folder: Folder, tmp_path: Path) -> None:
    root = folder({"eval-1.csv": "x;label\nz;no\n", "eval-2.csv": "x;label\ny;yes\n", "other.csv": "x\n"})
    files = {"input_base": str(root), "pattern": ["eval-1.csv", "*-2.csv"], "options": {"delimiter": ";"}}
    splits = {"train": {LETTERS: {"count": 4}}, "eval": {"files": files}}
    examples, metadata = _generate(splits, tmp_path / "out", label="label")
    labels = {b"a": b"no", b"b": b"yes", b"c": b"no", b"d": b"yes"}
    assert _rows(examples, "train") == [{"x": [x], "label": [y]} for x, y in labels.items()]
    assert _rows(examples, "eval") == [{"x": [b"z"], "label": [b"no"]}, {"x": [b"y"], "label": [b"yes"]}]
    assert json.loads(metadata["num_examples"]) == {"train": 4, "eval": 2}
    assert json.loads(metadata["origin"]) == {"train.alphabet": "a"}
    assert metadata["span"] == 3
    assert metadata["spans"] == "train day 3"
    assert DONE == ["safe"]
    again, _ = _generate(splits, tmp_path / "again", engine="local:2", label="label")
    for split in ("train", "eval"):
        assert [file.read_bytes() for file in again.files(split)] == [
            file.read_bytes() for file in examples.files(split)
        ]


def test_what_is_raised_names_the_split(folder: Folder, tmp_path: Path) -> None:
    root = folder({"a.csv": "x\n1\n", "b.csv": ""})
    train = {"files": {"input_base": str(root), "pattern": "a.csv"}}
    with pytest.raises(DataError, match=r"^split 'test': Delta table .*nowhere does not exist"):
        _generate({"train": train, "test": {"delta": {"path": f"{root}/nowhere"}}}, tmp_path / "none")
    with pytest.raises(DataError, match=r"^split 'eval': \S+b\.csv: "):
        _generate({"train": train, "eval": {"files": {"input_base": str(root), "pattern": "b.csv"}}}, tmp_path / "out")


def test_the_fingerprint_and_the_state_are_each_splits_own(folder: Folder) -> None:
    root = folder({"a.csv": "x\n1\n"})
    base = {"splits": {"train": {LETTERS: {"count": 2}}, "eval": {"files": {"input_base": str(root)}}}}
    first = resolving.resolve(input_base=json.dumps(base), state="/state").fingerprint
    assert first.splitlines()[0] == "split:train,letters:2,/state/train"
    (root / "a.csv").write_text("x\n2\n")
    second = resolving.resolve(input_base=json.dumps(base), state="/state").fingerprint
    assert [line for line in first.splitlines() if line not in second.splitlines()] == first.splitlines()[1:]


def test_types_that_grow_in_one_part_are_found_in_all_its_rows(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "_SMALLEST", 100)
    root = folder({"a.csv": "x\n" + "".join(f"{'word' if row == 500 else row}\n" for row in range(1000))})
    pq.write_table(pa.table({"x": ["a", "b"]}), root / "b.parquet")
    splits = {
        "train": {"files": {"input_base": str(root), "pattern": "a.csv"}},
        "eval": {"files": {"input_base": str(root), "pattern": "b.parquet", "format": "parquet"}},
    }
    examples, _ = _generate(splits, tmp_path / "out")
    assert [_rows(examples, "train")[row] for row in (0, 500)] == [{"x": [b"0"]}, {"x": [b"word"]}]
    assert len(examples.files("train")) > 1
    assert _rows(examples, "eval") == [{"x": [b"a"]}, {"x": [b"b"]}]


def test_a_column_has_one_type_in_all_parts(folder: Folder, tmp_path: Path) -> None:
    (path := tmp_path / "train").mkdir()
    pq.write_table(pa.table({"x": ["3750g", "3800g"], "label": ["yes", "no"]}), path / "a.parquet")
    splits = {
        "train": {"files": {"input_base": str(path), "format": "parquet"}},
        "eval": {"files": {"input_base": str(folder({"b.csv": "x,label\n3750,yes\n"}))}},
    }
    with pytest.raises(DataError, match=r"feature 'x': expected \w+, as in record 1 of .*, found \w+: write") as caught:
        _generate(splits, tmp_path / "out")
    assert "\n" not in str(caught.value)


def test_tfrecords_may_be_a_split_among_others(folder: Folder, tmp_path: Path) -> None:
    root = folder({"a.csv": "x\n1\n2\n"})
    records.write(root / "b.tfrecord", records.encode(pa.RecordBatch.from_pylist([{"x": [3]}])))
    splits = {
        "train": {"files": {"input_base": str(root), "pattern": "a.csv"}},
        "eval": {"files": {"input_base": str(root), "pattern": "b.tfrecord", "format": "tfrecord"}},
    }
    examples, _ = _generate(splits, tmp_path / "out")
    assert (_rows(examples, "train"), _rows(examples, "eval")) == ([{"x": [1]}, {"x": [2]}], [{"x": [3]}])


@pytest.mark.parametrize(
    ("splits", "told"),
    [
        ({}, "splits: expected a source for each split, received none"),
        ({"train": {LETTERS: {}, "files": {}}}, r"splits.train: expected one source and its options, received 2"),
        ({"train": {"files": {}}}, r"splits.train.files.input_base: expected a folder or a file, received none"),
        (
            {"train": {"files": {"input_bas": "a"}}},
            r"splits.train.files: unknown key 'input_bas'; did you mean 'input_b",
        ),
        ({"train": {"excel": {}}}, r"source: expected avro, csv, .* received 'excel'"),
    ],
)
def test_what_does_not_fit_is_told_by_its_key(splits: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        resolving.resolve(input_base=json.dumps({"splits": splits}))


def test_patterns_and_spans_for_all_at_once_are_refused() -> None:
    base = json.dumps({"splits": {"train": {LETTERS: {"count": 1}}}})
    for parameters in (
        {"input_config": json.dumps({"splits": [{"name": "a", "pattern": "*"}]})},
        {"range_config": json.dumps({"rolling_range": {"num_spans": 2}})},
    ):
        with pytest.raises(ConfigError, match="expected none beside splits that are sources of their own"):
            resolving.resolve(input_base=base, **parameters)


def test_what_is_wrong_in_one_part_names_it(folder: Folder, tmp_path: Path) -> None:
    root = folder({"a.csv": "x,label\n1,yes\n2\n3,no\n"})
    splits = {"train": {LETTERS: {"count": 2}}, "eval": {"files": {"input_base": str(root)}}}
    with pytest.raises(DataError, match=r"a.csv"):
        _generate(splits, tmp_path / "out", label="label")
    assert not list((tmp_path / "out").glob("*"))
    assert DONE == []
