"""Parquet, JSON lines and TFRecord files scored, and what is written as each of them."""

import json
import secrets
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from penstock.components.scoring import frames
from penstock.components.scoring.inputs.parquet import ParquetInput
from penstock.components.scoring.inputs.rows import File, Reading
from penstock.core.artifacts import SavedModel
from penstock.core.errors import DataError, ModelError
from penstock.core.examples import records
from tests.components.scoring.conftest import SPEC, Scored
from tests.servers.object_stores import ObjectStore

Score = Callable[..., Scored]
Data = Callable[..., Path]


def test_a_data_frame_as_parquet(score: Score, tmp_path: Path, module: Path) -> None:
    """pandas makes floats of integers beside missing values; whole numbers may be text of the training data."""
    frame = pd.DataFrame(
        {"size": [1, 2, 3], "code": [7, 8, 9], "count": [4, None, 6.0], "when": pd.Timestamp("2026-01-02")}
    ).astype({"when": "datetime64[ms]"})
    frame.to_parquet(tmp_path / "new.parquet", row_group_size=2)
    scored = score(module, tmp_path / "new.parquet", form="parquet")
    written = pd.read_parquet(scored.path)
    pd.testing.assert_frame_equal(written[list(frame)], frame)
    assert written["twice"].tolist() == [2, 4, 6]
    assert written["counted"].tolist() == [5, 1, 7]
    assert [list(value) for value in written["codes"]] == [["7", "7!"], ["8", "8!"], ["9", "9!"]]
    assert score(module, tmp_path / "new.parquet").text.splitlines()[1:3] == [
        '1,7,4,2026-01-02 00:00:00.000,"[""7"",""7!""]",5,2',
        '2,8,,2026-01-02 00:00:00.000,"[""8"",""8!""]",1,4',
    ]


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("size", "x", r"row 2: column 'size': expected a number, found 'x'"),
        ("size", None, r"row 2: column 'size': expected a value, found none"),
        ("count", 1.5, r"row 2: column 'count': expected a whole number, found 1.5"),
        ("code", 1.5, r"row 1: column 'code': expected a text, found"),
    ],
)
def test_a_parquet_row_that_does_not_fit_is_told(
    score: Score, tmp_path: Path, module: Path, column: str, value: Any, reason: str
) -> None:
    columns: dict[str, list[Any]] = {"size": [1.0, 2.0], "code": ["a", "b"], "count": [1, 2]}
    columns[column] = [("1" if value == "x" else 1.0), value]
    pq.write_table(pa.table(columns), tmp_path / "new.parquet")
    with pytest.raises(DataError, match=rf"new.parquet, {reason}"):
        score(module, tmp_path / "new.parquet")


def test_lists_and_dictionaries_of_parquet(score: Score, tmp_path: Path, regression: Path) -> None:
    table = pa.table(
        {
            "size": pa.array([[1.0], [2.0]], pa.list_(pa.float64(), 1)),
            "code": pa.array(["a", "b"]).dictionary_encode(),
            "count": pa.array([[1], []], pa.list_(pa.int8())),
        }
    )
    pq.write_table(table, tmp_path / "new.parquet")
    assert score(regression, tmp_path / "new.parquet").text.splitlines()[1:] == ["[1.0],a,[1],10", "[2.0],b,[],20"]


def test_json_lines_keep_what_they_have(score: Score, data: Data, module: Path) -> None:
    lines = [
        '{"id": 1.50, "size": 1, "code": "a", "more": {"x": [1, null]}}',
        "",
        '{"size": "2", "code": 7, "count": 3.0, "id": null, "late": true}',
    ]
    rows = score(module, data(*lines, name="new.jsonl"), form="jsonl").text.splitlines()
    assert rows == [
        '{"id":1.5,"size":1,"code":"a","more":{"x":[1,null]},"codes":["a","a!"],"counted":1,"twice":2}',
        '{"id":null,"size":"2","code":7,"count":3.0,"late":true,"codes":["7","7!"],"counted":4,"twice":4}',
    ]
    assert score(module, data(*lines, name="new.jsonl"), columns=("more", "id")).text.splitlines() == [
        "more,id,codes,counted,twice",
        '"{""x"":[1,null]}",1.5,"[""a"",""a!""]",1,2',
        ',,"[""7"",""7!""]",4,4',
    ]


def test_json_that_does_not_fit_is_told_with_its_line(
    score: Score, data: Data, regression: Path, tmp_path: Path
) -> None:
    lines = ['{"size": 1, "code": "a"}', '{"size": 1', "[1]", '{"size": [], "code": "a"}', '{"size": 2, "code": 1.5}']
    with pytest.raises(DataError, match=r"new.jsonl, line 2: expected an object in JSON, found unexpected end of data"):
        score(regression, data(*lines, name="new.jsonl"))
    scored = score(regression, data(*lines, name="new.jsonl"), form="jsonl", rejects=tmp_path / "rejects.csv")
    assert scored.rows() == [{"size": 1, "code": "a", "prediction": 10}]
    rejects = pd.read_csv(tmp_path / "rejects.csv")
    assert rejects["line"].tolist() == [2, 3, 4, 5]
    assert rejects["row"].tolist() == lines[1:]
    with pytest.raises(DataError, match="expected JSON lines, an object on each line, found none"):
        score(regression, data("[]", name="new.jsonl"))


def test_lines_of_json_are_counted_over_pieces(score: Score, data: Data, regression: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("penstock.components.scoring.inputs.json_lines._PIECE", 100)
    lines = [json.dumps({"size": number, "code": f"a{number}"}) for number in range(50)]
    rows = score(regression, data(*lines, name="new.jsonl"), form="jsonl").rows()
    assert [row["prediction"] for row in rows] == [10 * number for number in range(50)]
    with pytest.raises(DataError, match=r"new.jsonl, line 41: "):
        score(regression, data(*lines[:40], "{", *lines[40:], name="new.jsonl"))


def examples(*rows: dict[str, Any]) -> list[bytes]:
    made = []
    for row in rows:
        example = tf.train.Example()
        for name, values in row.items():
            feature, array = example.features.feature[name], np.atleast_1d(values)
            if array.dtype.kind == "f":
                feature.float_list.value.extend(array.tolist())
            elif array.dtype.kind == "i":
                feature.int64_list.value.extend(array.tolist())
            else:
                feature.bytes_list.value.extend(text.encode() for text in array.tolist())
        made.append(example.SerializeToString(deterministic=True))
    return made


def test_tfrecords_reach_the_model_as_they_are(score: Score, tmp_path: Path, module: Path) -> None:
    rows = examples({"size": 1.0, "code": "a", "tags": ["x", "y"]}, {"size": 2.0, "code": "b", "count": 3})
    records.write(tmp_path / "new.tfrecord.gz", rows)
    scored = score(module, tmp_path / "new.tfrecord.gz", form="jsonl", columns=("code", "tags", "count"))
    assert scored.rows() == [
        {"code": "a", "tags": ["x", "y"], "count": None, "codes": ["a", "a!"], "counted": 1, "twice": 2},
        {"code": "b", "tags": None, "count": 3, "codes": ["b", "b!"], "counted": 4, "twice": 4},
    ]


def test_a_record_that_does_not_fit_is_told(score: Score, tmp_path: Path, regression: Path) -> None:
    rows = examples({"size": 1.0, "code": "a"}, {"size": 2, "code": "b"}, {"size": 3.0, "code": "c"}, {"code": "d"})
    records.write(tmp_path / "new.tfrecord", [b"x"])
    with pytest.raises(DataError, match=r"new.tfrecord: expected serialized tf.Examples"):
        score(regression, tmp_path / "new.tfrecord")
    records.write(tmp_path / "new.tfrecord", [*rows, b"x"])
    scored = score(regression, tmp_path / "new.tfrecord", form="jsonl", rejects=tmp_path / "rejects.csv")
    assert [row["prediction"] for row in scored.rows()] == [10, 30]
    assert pd.read_csv(tmp_path / "rejects.csv")["line"].tolist() == [2, 4, 5]


def test_a_model_that_names_no_columns_takes_records_alone(
    score: Score, data: Data, tmp_path: Path, monkeypatch: Any
) -> None:
    """One without a schema beside it, whose graph parses the examples in a way of its own; so no data frame either."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def lengths(serialized: tf.Tensor) -> Any:
        return {"length": tf.strings.length(serialized)}

    folder = tmp_path / "own"
    tf.saved_model.save(tf.Module(), str(folder), signatures={"serving_default": lengths})
    assert not SavedModel(folder).schema.exists()
    with pytest.raises(ModelError, match="neither the model nor a schema beside it names the columns"):
        score(folder, data("size", "1"))
    with pytest.raises(ModelError, match="neither the model nor a schema beside it names the columns"):
        frames.predictions(folder, pd.DataFrame({"size": [1.0]}))
    (row,) = examples({"size": 1.0})
    records.write(tmp_path / "new.tfrecord", [row])
    assert score(folder, tmp_path / "new.tfrecord").text == f"size,length\n1,{len(row)}\n"
    assert set(SPEC) == {"size", "code", "count"}


def test_files_of_several_kinds_are_refused(score: Score, data: Data, regression: Path) -> None:
    data("{}", name="a.jsonl")
    with pytest.raises(DataError, match=r"expected files of one kind, found .*a.jsonl \(jsonl\) and .*b.csv \(csv\)"):
        score(regression, data("size", name="b.csv").parent)
    with pytest.raises(DataError, match=r"nothing-\*.csv: no file matches: expected a file, a folder or a pattern"):
        score(regression, "nothing-*.csv")
    with pytest.raises(DataError, match=r"nothing.csv: does not exist: expected a file"):
        score(regression, "nothing.csv")


def test_files_of_an_object_store_are_copied_first(
    score: Score, regression: Path, object_store: ObjectStore, tmp_path: Path
) -> None:
    uri = object_store.write({"a.csv": "size,code\n1,a\n", "b.csv": "size,code\n2,b\nx,c\n", "notes.txt": "x"}, "data")
    for place in (f"{uri}/a.csv", f"{uri}/a*.csv"):
        assert score(regression, place).text == "size,code,prediction\n1,a,10\n"
    scored = score(regression, f"{uri}/*.csv", rejects=tmp_path / "rejects.csv")
    assert scored.text.splitlines()[1:] == ["1,a,10", "2,b,20"]
    assert pd.read_csv(tmp_path / "rejects.csv")["file"].tolist() == [f"{uri}/b.csv"]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet", "tfrecord"])
def test_no_column_of_the_data_has_to_be_written(
    score: Score, data: Data, regression: Path, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / f"new.{kind}"
    if kind == "csv":
        path = data("size,code", "1,a", "2,b")
    elif kind == "jsonl":
        path = data('{"size": 1, "code": "a"}', '{"size": 2, "code": "b"}', name="new.jsonl")
    elif kind == "parquet":
        pq.write_table(pa.table({"size": [1, 2], "code": ["a", "b"]}), path)
    else:
        records.write(path, examples({"size": 1.0, "code": "a"}, {"size": 2.0, "code": "b"}))
    assert score(regression, path, columns=()).text == "prediction\n10\n20\n"
    assert score(regression, path, columns=(), form="jsonl").rows() == [{"prediction": 10}, {"prediction": 20}]
    assert pq.read_table(score(regression, path, columns=(), form="parquet").path).to_pydict() == {
        "prediction": [10, 20]
    }


def test_columns_that_come_later_are_read(
    score: Score, data: Data, module: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    """Of JSON lines and TFRecord files only the first rows are looked at before; count is not in these."""
    monkeypatch.setattr("penstock.components.scoring.inputs.json_lines._PIECE", 20)
    monkeypatch.setattr("penstock.components.scoring.inputs.tfrecord._FIRST", 1)
    rows: list[dict[str, Any]] = [{"size": 1.0, "code": "a"}, {"size": 2.0, "code": "b", "count": 3}]
    lines = data(*map(json.dumps, rows), name="new.jsonl")
    records.write(tmp_path / "new.tfrecord", examples(*rows))
    for path in (lines, tmp_path / "new.tfrecord"):
        scored = score(module, path, form="jsonl")
        assert [row["counted"] for row in scored.rows()] == [1, 4]
        assert scored.notes == ["there is no column 'count' in the first rows"]
    lines = data('{"code": "a"}', *map(json.dumps, rows), name="new.jsonl")
    with pytest.raises(DataError, match=r"line 1: column 'size': expected a value, found none; --rejects FILE"):
        score(module, lines)
    assert [row["twice"] for row in score(module, lines, form="jsonl", rejects=tmp_path / "no.csv").rows()] == [2, 4]
    lines = data(*map(json.dumps, rows), '{"size": 3, "code": "c", "count": 1.5}', name="new.jsonl")
    with pytest.raises(DataError, match=r"line 3: column 'count': expected a whole number, found 1.5"):
        score(module, lines)
    monkeypatch.undo()
    assert score(module, data('{"size": 1, "code": "a"}', name="new.jsonl")).notes == [
        "there is no column 'count': missing in every row"
    ]


NOT_UTF_8 = pa.array([b"\xff", b"1"])


@pytest.mark.parametrize(
    ("name", "column", "sentence"),
    [
        ("size", pa.array([{"x": 1}, {"x": 2}]), "column 'size': expected a number in each row, found a column of str"),
        (
            "code",
            pa.array([{"x": 1}, {"x": 2}]),
            "column 'code': expected a text in each row, found a column of struct",
        ),
        ("size", pa.array([[[1.0]], [[2.0]]]), "column 'size': expected a number in each row, found a column of list<"),
        ("size", NOT_UTF_8, "column 'size': expected a number in each row, found a column of binary: .*UTF8"),
        ("size", NOT_UTF_8.view(pa.string()), "column 'size': expected a number in each row, found a column of string"),
        ("code", NOT_UTF_8.view(pa.string()), "column 'code': expected a column of string: .*UTF8"),
        (
            "count",
            pa.array([1, 2**63], pa.uint64()),
            "row 2: column 'count': expected a whole number, found 92233720368",
        ),
        ("size", pa.array([[1.0], [None]]), "row 2: column 'size': expected a number, found None"),
        ("count", pa.array([[None], [1]]), "row 1: column 'count': expected a whole number, found None"),
    ],
)
def test_a_parquet_column_that_does_not_fit_is_told(
    score: Score, tmp_path: Path, regression: Path, name: str, column: pa.Array, sentence: str
) -> None:
    columns = {"size": pa.array([1.0, 2.0]), "code": pa.array(["a", "b"]), "count": pa.array([1, 2]), name: column}
    pq.write_table(pa.table(columns), tmp_path / "new.parquet")
    with pytest.raises(DataError, match=rf"new.parquet(: |, ){sentence}"):
        score(regression, tmp_path / "new.parquet", form="jsonl")


def test_numbers_of_parquet_may_be_bytes(score: Score, tmp_path: Path, regression: Path) -> None:
    table = pa.table({"size": pa.array([b"1", b"2"], pa.large_binary()), "code": ["a", "b"]})
    pq.write_table(table, tmp_path / "new.parquet")
    assert [row["prediction"] for row in score(regression, tmp_path / "new.parquet", form="jsonl").rows()] == [10, 20]


def test_a_list_of_json_has_no_null(score: Score, data: Data, regression: Path) -> None:
    rows = data('{"size": [1], "code": "a", "count": null}', '{"size": [null, 2], "code": "b"}', name="new.jsonl")
    with pytest.raises(DataError, match=r"line 2: column 'size': expected a number, found \[None, 2\]"):
        score(regression, rows)


@pytest.mark.parametrize("kind", ["parquet", "tfrecord"])
def test_memory_does_not_grow_with_a_piece(
    score: Score, tmp_path: Path, regression: Path, monkeypatch: Any, kind: str
) -> None:
    """A TFRecord file is one, and so is a row group of a Parquet file."""
    texts = [secrets.token_hex(20_000) for _ in range(400)]  # of which gzip makes half
    size = sum(map(len, texts))
    path = tmp_path / f"new.{kind}"
    if kind == "parquet":
        monkeypatch.setattr("penstock.components.scoring.inputs.parquet._BATCH", 20)
        table = pa.table({"size": np.arange(len(texts)), "code": texts})
        pq.write_table(table, path, write_batch_size=20, use_dictionary=False)  # pages of few rows
        of_file = ParquetInput.open([File(path, "new.parquet")])
        del table
        before = pa.total_allocated_bytes()
        parts = of_file.read(of_file.pieces[0], Reading((), ("code",), "csv"))
        next(parts)
        assert pa.total_allocated_bytes() - before < size / 2
        parts.close()
    else:
        monkeypatch.setattr(records, "_BATCH_BYTES", 1 << 20)
        records.write(path, examples(*({"size": float(row), "code": text} for row, text in enumerate(texts))))
    del texts
    tracemalloc.start()
    try:
        assert score(regression, path).path.stat().st_size > size
        assert tracemalloc.get_traced_memory()[1] < 3 * size / 4
    finally:
        tracemalloc.stop()
