"""Files of rows: cut at the ends of lines, read alike wherever and whenever, typed by all rows."""

import json
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from penstock.components.engines import open_engine
from penstock.components.example_gen.configs import DEFAULT_INPUT
from penstock.components.example_gen.sources import pieces
from penstock.components.example_gen.sources.http.source import HttpSource
from penstock.components.example_gen.sources.source import Opened, Request, TypesGrew
from penstock.components.example_gen.sources.spooled import opening, row_files
from penstock.components.example_gen.sources.spooled.opening import Fetched
from penstock.core.errors import DataError


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_files, "_PIECE", 300)
    monkeypatch.setattr(row_files, "_TOGETHER", 7)
    monkeypatch.setattr(pieces, "_SMALLEST", 600)


def write(path: Path, rows: Sequence[Any]) -> Fetched:
    path.write_text("\n\n".join(map(json.dumps, rows)))  # blank lines are none, and the last line has no end
    return Fetched(path, f"the rows of {path.name}")


def rows_of(opened: Opened[Any]) -> list[dict[str, Any]]:
    blocks = [block for shard in opened.shards for piece in shard.pieces for block in opened.source.read(piece)]
    return [row for block in blocks for row in block.columns.to_pylist()]


def test_pieces_are_whole_lines_and_give_the_same_rows_elsewhere(tmp_path: Path) -> None:
    rows = [{"x": number, "y": {"z": [number, 1]}} for number in range(100)]
    files = {"a": [write(tmp_path / "one", rows[:60]), write(tmp_path / "two", rows[60:])]}
    with (
        open_engine("local:1") as engine,
        opening.opened(files, HttpSource(), Request("", DEFAULT_INPUT, "", "x", tmp_path, engine), {}) as opened,
    ):
        assert len(opened.shards) > 3
        assert all(piece.size > 0 and piece.name for shard in opened.shards for piece in shard.pieces)
        found = rows_of(opened)
        assert found == [{"x": [number], "y.z": [number, 1]} for number in range(100)]
        source, shards = pickle.loads(pickle.dumps((opened.source, opened.shards)))
        assert rows_of(Opened(source, shards, {})) == found


def test_a_type_in_the_middle_is_found_in_all_rows(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"x": number} for number in range(100)]
    rows[50] = {"x": 0.5, "late": "text"}
    with (
        open_engine("local:1") as engine,
        opening.opened(
            {"a": [write(tmp_path / "one", rows)]},
            HttpSource(columns=("x", "late")),
            Request("", DEFAULT_INPUT, "", "late", tmp_path, engine),
            {},
        ) as opened,
    ):
        found = rows_of(opened)  # the label is at neither end, so every row was looked at
        assert found[50] == {"x": [0.5], "late": [b"text"]}
        assert found[0] == {"x": [0.0]}
        with pytest.raises(TypesGrew):
            rows_of(Opened(HttpSource(), opened.shards, {}))


@pytest.mark.parametrize("bad", ['{"x": 1', '{"x": 1},{"x": 2}', "7", "[{}]"])
def test_a_bad_line_is_named_wherever_it_is(bad: str, tmp_path: Path) -> None:
    lines = [json.dumps({"x": number}) for number in range(100)]
    lines[77] = bad
    (tmp_path / "one").write_text("\n".join(lines) + "\n")
    with (
        open_engine("local:1") as engine,
        opening.opened(
            {"a": [Fetched(tmp_path / "one", "the rows")]},
            HttpSource(),
            Request("", DEFAULT_INPUT, "", "", tmp_path, engine),
            {},
        ) as opened,
        pytest.raises(DataError, match=r"^the rows, record 78: expected "),
    ):
        rows_of(opened)
