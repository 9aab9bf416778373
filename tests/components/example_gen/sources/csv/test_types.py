"""Types of CSV columns, against tfx_bsl's decoder, which TFX's CsvExampleGen uses."""

import pyarrow as pa
import pytest
from tfx_bsl.coders import csv_decoder

from penstock.components.example_gen.sources.csv import types
from penstock.components.example_gen.sources.csv.missing import Missing
from penstock.components.example_gen.sources.csv.types import ColumnType
from penstock.components.example_gen.sources.source import TypesGrew

TFX = {
    csv_decoder.ColumnType.UNKNOWN: ColumnType.UNKNOWN,
    csv_decoder.ColumnType.INT: ColumnType.INT,
    csv_decoder.ColumnType.FLOAT: ColumnType.FLOAT,
    csv_decoder.ColumnType.STRING: ColumnType.BYTES,
}
CELLS = """|0|-0|007|+5| 5|5 |1_000|1__0|0x1F|0X1f|1.5|.5|5.|1e5|1E-400|1e400|inf|-INF|Infinity|nan|NaN|nan(1)|NA|null|
None|N/A|true|9223372036854775807|-9223372036854775808|9223372036854775808|-9223372036854775809|1e19|1d5|1,5|٣|é|2013-01-01|-|+
|.|#N/A|1 000""".replace("\n", "").split("|")


def tfx_type(cells: list[str]) -> ColumnType:
    return TFX[max(csv_decoder._InferValueType(cell.encode()) for cell in cells)]


@pytest.mark.parametrize("cell", CELLS)
def test_a_cell_has_tfxs_type_alone_and_among_many(cell: str) -> None:
    for others in ([], [""], ["1"], ["2.5"], [str(number) for number in range(3000)], [f"{n}.25" for n in range(3000)]):
        cells = [*others, cell]
        expected = tfx_type(cells)
        assert types.infer(pa.array(cells)) == expected
        assert types.merge([[types.infer(pa.array([one]))] for one in cells]) == (expected,)


@pytest.mark.parametrize("cell", CELLS)
def test_a_cell_of_a_larger_type_is_noticed_when_it_is_converted(cell: str) -> None:
    for others in ([], ["1"] * 3, [str(number) for number in range(3000)]):
        cells = pa.array([*others, cell])
        found = types.infer(cells)
        for kind in ColumnType:
            if kind < found:
                with pytest.raises(TypesGrew):
                    types.convert(cells, kind)
            else:
                assert len(types.convert(cells, kind)) == len(cells)


@pytest.mark.parametrize(
    ("cells", "kind", "expected"),
    [
        (
            ["7", "", "007", "+5", " 5", "1_000", "-9223372036854775808"],
            ColumnType.INT,
            [[7], [], [7], [5], [5], [1000], [-(2**63)]],
        ),
        (
            ["1", "", "2.5", "1e39", " 3", "-inf"],
            ColumnType.FLOAT,
            [[1.0], [], [2.5], [float("inf")], [3.0], [float("-inf")]],
        ),
        (["NA", "", "é", " "], ColumnType.BYTES, [[b"NA"], [], ["é".encode()], [b" "]]),
        (["", ""], ColumnType.UNKNOWN, [None, None]),
    ],
)
def test_cells_become_lists(cells: list[str], kind: ColumnType, expected: list[object]) -> None:
    assert types.infer(pa.array(cells)) == kind
    assert types.convert(pa.array(cells), kind).to_pylist() == expected


def test_null_values_are_missing_when_they_are_asked_for() -> None:
    cells = pa.array(["1", "NA", "", "?"])
    assert types.infer(cells) == ColumnType.BYTES
    assert types.infer(cells, Missing(("NA", "?"))) == ColumnType.INT
    assert types.convert(cells, ColumnType.INT, Missing(("NA", "?"))).to_pylist() == [[1], [], [], []]


@pytest.mark.parametrize(
    ("cells", "kind", "expected"),
    [
        (["1", "NA", " n/a ", "", "none", "NONE", "-", "?", " ", "nan", "2"], ColumnType.INT, [[1], *[[]] * 9, [2]]),
        (["1,5", "-", ".", "n.a."], ColumnType.FLOAT, [[1.5], [], [], []]),
        (
            ["A", "NA", "none", "-", "Na", " ? ", "nan"],
            ColumnType.BYTES,
            [[b"A"], [], [b"none"], [b"-"], [b"Na"], [], []],
        ),
        (["-", "", "NULL"], ColumnType.WORDS, [[b"-"], [], []]),
        (["", "NULL", "?"], ColumnType.UNKNOWN, [None] * 3),
        (["1", "twelve"], ColumnType.BYTES, [[b"1"], [b"twelve"]]),
    ],
)
def test_what_tools_and_people_write_for_a_missing_value(
    cells: list[str], kind: ColumnType, expected: list[object]
) -> None:
    missing = Missing(auto=True)
    column = pa.array(cells)
    assert types.infer(column, missing, ",") == kind
    assert types.merge([[types.infer(pa.array([cell]), missing, ",")] for cell in cells]) == (kind,)
    assert types.convert(column, kind, missing, ",").to_pylist() == expected
    for smaller in ColumnType:
        if smaller < kind:
            with pytest.raises(TypesGrew):
                types.convert(column, smaller, missing, ",")


@pytest.mark.parametrize(
    ("cells", "kind", "expected"),
    [
        (["3,14", "-2", "1e3", ",5"], ColumnType.FLOAT, [3.14, -2.0, 1000.0, 0.5]),
        (["1", "-20"], ColumnType.INT, [1, -20]),
        (["3,14", "1.000"], ColumnType.BYTES, [b"3,14", b"1.000"]),  # which is no 1
        (["17.03.2024", "a,b.c"], ColumnType.BYTES, [b"17.03.2024", b"a,b.c"]),
    ],
)
def test_a_decimal_comma(cells: list[str], kind: ColumnType, expected: list[object]) -> None:
    for column in (pa.array(cells), pa.array(cells * 2000)):
        assert types.infer(column, Missing(), ",") == kind
        values = types.convert(column, kind, Missing(), ",").to_pylist()[: len(cells)]
        assert values == [[pytest.approx(value) if kind == ColumnType.FLOAT else value] for value in expected]


@pytest.mark.parametrize(
    ("cells", "decimal_point", "told"),
    [
        (["3,14", "2", "-0,5", "1,25e3"], ".", ("decimals", "3,14")),
        (["3,14", *(f"{n},5" for n in range(20)), "NA"], ".", ("decimals", "3,14")),
        (["1,234", "12", "1,250.75"], ".", ("thousands", "1,234")),
        (["9,603", "0,510"], ".", ("decimals", "9,603")),
        (["1.234,5", "0,5"], ".", ("thousands", "1.234,5")),
        (["1.234,5", "0,5"], ",", ("thousands", "1.234,5")),
        (["3.14", "2.5"], ",", ("decimals", "3.14")),
        (["3,14", "red"], ".", ("", "")),
        (["1", "NA"], ".", ("", "")),
        (["red", "green"], ".", ("", "")),
        (["17.03.2024", "18.03.2024"], ".", ("", "")),
        (["52.1,13.4", "48.2,16.4"], ".", ("", "")),
        (["0x1F", "7"], ".", ("", "")),
    ],
)
def test_what_keeps_text_from_being_numbers(cells: list[str], decimal_point: str, told: tuple[str, str]) -> None:
    assert types.separators(pa.array(cells), Missing(), decimal_point) == told
