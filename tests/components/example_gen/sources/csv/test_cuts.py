"""Cutting CSV files at record ends, against Python's csv module."""

import csv
import io
import random
from pathlib import Path

import pytest

from penstock.components.example_gen.sources.csv import cuts as csv_cuts
from penstock.core.errors import DataError


def rows(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


def ends(text: str) -> bool:
    """Whether the last cell ends: one more line is a row of its own."""
    return rows(text.rstrip("\r\n") + "\nlast")[-1] == ["last"]


def parts(path: Path, size: int) -> list[str]:
    content = path.read_bytes()
    cuts = list(csv_cuts.cut(path, "f.csv", 0, size, ",", '"'))
    assert [start for start, _ in cuts] == [0, *(end for _, end in cuts[:-1])][: len(cuts)]
    assert sum(end - start for start, end in cuts) == len(content)
    return [content[start:end].decode() for start, end in cuts]


@pytest.mark.parametrize("block", [1, 3, 16, 1 << 20])
def test_parts_hold_the_rows_of_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(csv_cuts, "_BLOCK", block)
    rng, path, whole, stray = random.Random(block), tmp_path / "f.csv", 0, 0
    for _ in range(400):
        text = "".join(rng.choices(["a", ",", '"', '""', "\n", "\r\n", 'x"y', ',"b\nc",'], k=rng.randint(1, 30)))
        path.write_text(text, newline="")
        try:
            cut = parts(path, 1)
        except DataError:
            assert not ends(text)
            continue
        whole += 1
        stray += 'x"y' in text
        assert [row for part in cut for row in rows(part)] == rows(text)
        assert all(len(rows(part)) <= 1 for part in cut)
    assert whole > 50
    assert stray > 10


def test_parts_have_at_least_the_size_that_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_text("".join(f'{i},"a\nb"\n' for i in range(1000)))
    cut = parts(path, 500)
    assert all(len(part) >= 500 for part in cut[:-1])
    assert max(len(part) for part in cut) < 520


def test_the_line_of_a_cell_that_does_not_end_is_told(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_text('a,b\n1,"x\ny"\n2,"never\n3,z\n')
    with pytest.raises(DataError, match=r"^f.csv, line 4: the quoted cell that begins here does not end"):
        list(csv_cuts.cut(path, "f.csv", 0, 100, ",", '"'))
