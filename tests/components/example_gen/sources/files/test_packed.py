"""Copies of compressed text: as small as the text compressed, and read in ranges as the text is."""

import io
import random
from pathlib import Path

import pytest

from penstock.components.example_gen.sources.files import packed


@pytest.mark.parametrize("size", [0, 1, 1 << 20, (1 << 20) + 1, 3 << 20])
def test_ranges_are_those_of_the_text(size: int, tmp_path: Path) -> None:
    text = random.Random(size).randbytes(size)
    pieces = [text[start : start + 300_000] for start in range(0, size, 300_000)]
    copy = packed.write(tmp_path / "copy", Path("data.csv.gz"), pieces)
    assert (str(copy), copy.size) == ("data.csv.gz", size)
    with copy.open("rb") as file:
        assert file.read() == text
    for start, end in ((0, 5), (1_000_000, 1_100_000), (size - 3, size + 10), (size, size + 1), (0, size)):
        assert copy.content(max(start, 0), end) == io.BytesIO(text).getvalue()[max(start, 0) : end]


def test_a_copy_takes_little_room(tmp_path: Path) -> None:
    rows = (b"%d,%d,JFK\n" % (number % 100, number) for number in range(400_000))
    copy = packed.write(tmp_path / "copy", Path("data.csv.gz"), rows)
    assert copy.path.stat().st_size < copy.size / 3
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]
