"""CSV files scored: what is written, in which order, and what is told of files that are not as expected."""

import csv
import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from penstock.core.errors import ConfigError, DataError
from tests.components.scoring.conftest import Scored

Score = Callable[..., Scored]
Data = Callable[..., Path]


def test_columns_stay_as_they_are_and_predictions_stand_beside_them(score: Score, data: Data, binary: Path) -> None:
    rows = data("id,size,code,count,late", '007,0.25,"a,""b""",3,no', "008,0.750,é,,maybe", "010,1e-1,x, 4,")
    scored = score(binary, rows)
    assert scored.text.splitlines() == [
        "id,size,code,count,late,prediction,probability,probability_no,probability_yes",
        '007,0.25,"a,""b""",3,no,no,0.75,0.75,0.25',
        "008,0.750,é,,maybe,yes,0.75,0.25,0.75",
        "010,1e-1,x, 4,,no,0.9,0.9,0.1",
    ]
    assert scored.notes == ["columns that the model does not know, and ignores: id"]
    assert (scored.summary.rows, scored.summary.rejected) == (3, 0)
    assert len(list(csv.reader(scored.text.splitlines()))) == 4


def test_what_each_kind_of_model_says(
    score: Score, data: Data, regression: Path, multiclass: Path, module: Path
) -> None:
    rows = data("size,code,count", "0.75,007,3", "0.25,x,")
    assert score(regression, rows).text == "size,code,count,prediction\n0.75,007,3,7.5\n0.25,x,,2.5\n"
    assert score(multiclass, rows, form="jsonl").rows()[0] == {
        "size": 0.75, "code": "007", "count": 3, "prediction": 5, "probability": 0.75, "probability_3": 0.25,
        "probability_5": 0.75, "probability_8": 0,
    }  # fmt: skip
    assert score(module, rows).text.splitlines() == [
        "size,code,count,codes,counted,twice",
        '0.75,007,3,"[""007"",""007!""]",4,1.5',
        '0.25,x,,"[""x"",""x!""]",1,0.5',
    ]
    table = pq.read_table(score(module, rows, form="parquet").path)
    assert table.to_pylist()[0] == {
        "size": 0.75, "code": "007", "count": 3, "codes": ["007", "007!"], "counted": 4, "twice": 1.5
    }  # fmt: skip
    assert table.schema.field("size").type == "float"


def test_a_file_is_read_as_the_training_data_was(score: Score, data: Data, module: Path) -> None:
    options = {"delimiter": ";", "decimal_point": ",", "null_values": ["NA"], "encoding": "latin-1"}
    rows = data("count;code;size", "NA;é;0,5", "3.0;NAN;1", encoding="latin-1")
    with pytest.raises(DataError, match=r"new.csv, line 3: column 'count': expected a whole number, found '3.0'"):
        score(module, rows, csv=options)
    rows = data("count;code;size", "NA;é;0,5", "3,0;NAN;1", encoding="latin-1")
    assert score(module, rows, csv=options).text.splitlines() == [
        "count;code;size;codes;counted;twice",
        'NA;é;0,5;"[""é"",""é!""]";1;1',
        '3,0;NAN;1;"[""NAN"",""NAN!""]";4;2',
    ]


def test_files_of_several_names_are_one(score: Score, data: Data, module: Path, tmp_path: Path) -> None:
    """In the order of their names; each may have the columns in its own order, a mark before them, or be compressed."""
    data("code,size", "b,2", name="b.csv")
    first = data("\ufeffsize,code", "1,a", name="a.csv").parent
    (first / "c.csv.gz").write_bytes(gzip.compress(b"size,code\n3,c\n"))
    data("no table", name="README.md")
    for place in (first, f"{first}/*.c*", f"{first}/?.csv*"):
        assert score(module, place, columns=("code",)).text.splitlines() == [
            "code,codes,counted,twice",
            'a,"[""a"",""a!""]",1,2',
            'b,"[""b"",""b!""]",1,4',
            'c,"[""c"",""c!""]",1,6',
        ]
    assert score(module, first / "b.csv", first / "a.csv").text.splitlines()[1:] == [
        'b,2,"[""b"",""b!""]",1,4',
        'a,1,"[""a"",""a!""]",1,2',
    ]


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (["size", "1"], r"new.csv: there is no column 'code', which the model needs"),
        (
            ["Size,cod", "1,a"],
            r"there are no columns 'code', 'size', .*\(is it 'cod' for 'code', 'Size' for 'size'\?\)",
        ),
        (["size;code", "1;a"], r"it has one column: is the delimiter --csv 'delimiter=;'\?"),
        (["size,code,counts", "1,a,2"], r"there is no column 'count', but 'counts', which the model does not know"),
        ([], r"new.csv: the file is empty: expected a header and rows"),
        (["size,code,prediction", "1,a,2"], r"the data has a column 'prediction' already, .*--columns"),
        (["size,code", "1,a", "2,b,c"], r"new.csv, line 3: expected 2 cells as in the header, found 3; --rejects FILE"),
        (
            ["size,code,count", "1,a,1", "1,b,1" + "0" * 20],
            r"line 3: column 'count': expected a whole number, found '10+'",
        ),
        (["size,code,count", "1,a,inf"], r"line 2: column 'count': expected a whole number, found 'inf'"),
        (["size,code", "1,a", ",b"], r"new.csv, line 3: column 'size': expected a value, found none; --rejects FILE"),
        (["size,code", '1,"a', 'b"', "x,b"], r"new.csv, line 4: column 'size': expected a number, found 'x'"),
    ],
)
def test_a_file_that_does_not_fit_is_told_and_nothing_is_written(
    score: Score, data: Data, regression: Path, tmp_path: Path, lines: list[str], sentence: str
) -> None:
    with pytest.raises((DataError, ConfigError), match=sentence):
        score(regression, data(*lines))
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == []


def test_rows_that_cannot_be_read_are_left_out_and_kept_aside(
    score: Score, data: Data, regression: Path, tmp_path: Path
) -> None:
    rows = data("size,code", "1,a", "2,b,c", "", '3,"c', 'd"', "x,e", "4,\0", ",f", "5,g")
    rows.write_bytes(rows.read_bytes() + b"6,\xff\n7,h")
    scored = score(regression, rows, rejects=tmp_path / "rejects.csv")
    assert scored.text == 'size,code,prediction\n1,a,10\n3,"c\nd",30\n5,g,50\n7,h,70\n'
    assert (scored.summary.rows, scored.summary.rejected) == (4, 5)
    with open(tmp_path / "rejects.csv", encoding="utf-8", newline="") as file:
        rejects = list(csv.DictReader(file))
    assert [(one["line"], one["row"]) for one in rejects] == [
        ("3", "2,b,c"), ("7", "x,e"), ("8", "4,\0"), ("9", ",f"), ("11", "6,\ufffd"),
    ]  # fmt: skip
    assert {one["file"] for one in rejects} == {str(rows)}
    assert [one["reason"].partition(":")[0] for one in rejects] == [
        "expected 2 cells as in the header, found 3", "column 'size'", "expected text, found a NUL byte",
        "column 'size'", "expected UTF-8, found the bytes b'\\xff'",
    ]  # fmt: skip


def test_where_no_row_can_be_read_it_is_an_error(score: Score, data: Data, regression: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no row can be read; the first is .*new.csv, line 2: column 'size'"):
        score(regression, data("size,code", "x,a", "y,b"), rejects=tmp_path / "rejects.csv")


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_a_header_without_rows_gives_an_output_without_rows(
    score: Score, data: Data, regression: Path, form: str
) -> None:
    scored = score(regression, data("size,code"), form=form)
    assert scored.summary.rows == 0
    if form == "csv":
        assert scored.text == "size,code,prediction\n"
    elif form == "parquet":
        assert pq.read_table(scored.path).schema.names == ["size", "code", "prediction"]


def test_files_without_a_header_may_lack_the_label(score: Score, data: Data, regression: Path) -> None:
    options = {"column_names": ["late", "size", "code"]}
    assert score(regression, data("9,1,a"), csv=options).text == "late,size,code,prediction\n9,1,a,10\n"
    assert score(regression, data("1,a"), csv=options).text == "size,code,prediction\n1,a,10\n"


def test_a_column_that_is_not_there_is_told(score: Score, data: Data, regression: Path) -> None:
    with pytest.raises(ConfigError, match=r"--columns: the data has no column 'sizes'; did you mean 'size'\?"):
        score(regression, data("size,code", "1,a"), columns=("sizes",))


def test_lines_are_counted_over_pieces(score: Score, data: Data, regression: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("penstock.components.scoring.inputs.csv._PIECE", 16)
    lines = [f"{number},{'a' * (number % 5)}b" for number in range(200)]
    rows = data("size,code", *lines)
    scored = score(regression, rows).text.splitlines()
    assert scored[1:] == [f"{line},{10 * number}" for number, line in enumerate(lines)]
    rows = data("size,code", *lines[:150], "x,b", *lines[150:])
    with pytest.raises(DataError, match=r"new.csv, line 152: column 'size'"):
        score(regression, rows)


def test_a_lone_carriage_return_ends_a_line(
    score: Score, data: Data, regression: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    """Also where rows are looked at one by one, and in the numbers of the lines of later pieces."""
    monkeypatch.setattr("penstock.components.scoring.inputs.csv._PIECE", 20)
    rows = data("size,code", "1,a\r2,b\r\n3,c,d", '4,"e\rf"', "x,g", "5,h")
    scored = score(regression, rows, form="jsonl", rejects=tmp_path / "rejects.csv")
    assert [row["prediction"] for row in scored.rows()] == [10, 20, 40, 50]
    with open(tmp_path / "rejects.csv", encoding="utf-8", newline="") as file:
        assert [(one["line"], one["row"]) for one in csv.DictReader(file)] == [("4", "3,c,d"), ("7", "x,g")]


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16"])
def test_utf_8_that_is_read_as_another_encoding_is_told(
    score: Score, data: Data, regression: Path, encoding: str
) -> None:
    """Nearly all bytes are some text of a single-byte encoding; a file of that is seldom UTF-8 by chance."""
    written = {"csv": {"encoding": encoding}}
    rows = ["size,code", "1,é", "2,plain"]
    assert not any("UTF-8" in note for note in score(regression, data(*rows, encoding=encoding), **written).notes)
    if encoding == "utf-16":
        return
    told = f"{data(*rows)} is UTF-8, and read as cp1252: --csv encoding=utf-8 reads it as it is"
    scored = score(regression, data(*rows), **written)
    assert told in scored.notes
    assert scored.text.splitlines()[1] == "1,Ã©,10"
    assert not any("UTF-8" in note for note in score(regression, data("size,code", "1,plain"), **written).notes)
    with pytest.raises(DataError, match=rf"there is no column 'code', which the model needs.*; {told}"):
        score(regression, data("size,\ufeffcode", "1,a"), **written)


@pytest.mark.parametrize("rows", [["size,code", "1,é"], ["size,codé", "1,e"]])
def test_another_encoding_that_is_read_as_utf_8_is_told(
    score: Score, data: Data, regression: Path, rows: list[str]
) -> None:
    with pytest.raises(DataError, match=r"new.csv, line [12]: expected UTF-8, found the bytes b'.xe9.*encoding"):
        score(regression, data(*rows, encoding="latin-1"))
