"""What is told of cells that mean missing values, or may mean them, or are slips among numbers."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.components.example_gen.sources import pieces
from penstock.components.example_gen.sources.csv import source as csv_source
from penstock.components.example_gen.sources.csv.cell_notes import Odd, Place
from penstock.core.text import cell_words

Generate = Callable[..., Any]
Folder = Callable[[dict[str, str | bytes]], Path]

AUTO = '{"null_values": "auto"}'


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    return lambda: [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


def test_numbers_stay_numbers_and_categories_categories(
    generate: Generate, folder: Folder, warnings: Callable[[], list[str]]
) -> None:
    rows = [
        f"{('NA', 'none', '-', 20, 30)[row % 5]},{('A', 'B', '-')[row % 3]},{('no', 'none', 'NA')[row % 3]},{row}"
        for row in range(60)
    ]
    generated = generate(folder({"a.csv": "\n".join(["age,grade,pool,row", *rows])}), options=AUTO)
    values = {name: {tuple(row[name] or ()) for row in generated.rows()} for name in ("age", "grade", "pool")}
    assert values["age"] == {(), (20,), (30,)}
    assert values["grade"] == {(b"A",), (b"B",), (b"-",)}
    assert values["pool"] == {(), (b"no",), (b"none",)}
    taken, kept = warnings()
    assert taken == (
        "taken for missing values: 'NA' in pool (20 rows), age (12 rows); 'none' in age (12 rows); '-' in age (12 "
        "rows); data.csv.null_values decides it: a list of such cells, [] for none"
    )
    assert kept == (
        "values like any other, though they may mean missing ones: '-' in grade (20 rows); 'none' in pool (20 rows); "
        'data.csv.null_values: ["NA", "none", "-"] says that they do'
    )


def test_a_column_without_any_value(generate: Generate, folder: Folder, warnings: Callable[[], list[str]]) -> None:
    generated = generate(folder({"a.csv": "x,empty,words\n1,,NA\n2,,\n3,,n/a\n"}), options=AUTO)
    assert [row.get("empty") for row in generated.rows()] == [None, None, None]
    assert "taken for missing values: 'NA' in words (1 row); 'n/a' in words (1 row)" in warnings()[0]


def test_slips_among_numbers_are_told_with_their_lines(
    generate: Generate, folder: Folder, warnings: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In quoted cells over two lines, after empty lines, and in parts of a file that are read apart."""
    monkeypatch.setattr(csv_source, "_PIECE", 400)
    monkeypatch.setattr(pieces, "_SMALLEST", 400)
    lines = ["age,note"]
    for row in range(300):
        lines.append(f'{row % 90},"two\nlines"' if row % 7 == 0 else f"{row % 90},word {row}")
    text = "\n".join(lines).split("\n")
    for place in (40, 200, 240):
        assert not text[place].startswith("lines")
    text[40], text[200], text[240] = "abt 5,x", "twelve,y", "abt 5,z"
    text.insert(20, "")
    generate(folder({"a.csv": "\n".join(text) + "\n"}))
    numbered = {line: number for number, line in enumerate(text, start=1)}
    assert warnings() == [
        f"columns of numbers that are text for a few cells: age: 'abt 5' (line {numbered['abt 5,x']} and 1 more), "
        f"'twelve' (line {numbered['twelve,y']}); mend these, or data.csv.null_values: "
        '["abt 5", "twelve"] takes them for missing'
    ]


def test_text_is_no_column_of_numbers_with_slips(
    generate: Generate, folder: Folder, warnings: Callable[[], list[str]]
) -> None:
    rows = "".join(f"{row},{row if row % 4 else f'room {row}'},{row % 3}a\n" for row in range(200))
    generate(folder({"a.csv": f"number,place,code\n{rows}"}), options=AUTO)
    assert warnings() == []


def test_nothing_is_kept_of_a_column_that_has_turned_out_to_be_text() -> None:
    def odd(*words: str) -> Odd:
        places = {word: Place(Path("a.csv"), 0, row, ",", '"') for row, word in enumerate(words)}
        return Odd(1000, Counter(words), places)

    column = odd("abt 5")
    column.merge(odd("abt 5", "twelve"))
    assert (column.numbers, column.words, list(column.places)) == (2000, {"abt 5": 2, "twelve": 1}, ["abt 5", "twelve"])
    assert column.few
    column.merge(odd(*map(str, range(cell_words.MOST))))
    for _ in range(2):
        assert (column.is_text, column.few, column.words, column.places) == (True, False, {}, {})
        column.merge(odd("later"))
    column = odd("abt 5")
    column.merge(Odd(is_text=True))
    assert (column.is_text, column.words, column.places) == (True, {}, {})
