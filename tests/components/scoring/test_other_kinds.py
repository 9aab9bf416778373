"""Parquet, JSON lines and TFRecord files scored, and what is written as each of them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

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
    """One without a schema beside it, whose graph parses the examples in a way of its own."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def lengths(serialized: tf.Tensor) -> Any:
        return {"length": tf.strings.length(serialized)}

    folder = tmp_path / "own"
    tf.saved_model.save(tf.Module(), str(folder), signatures={"serving_default": lengths})
    assert not SavedModel(folder).schema.exists()
    with pytest.raises(ModelError, match="neither the model nor a schema beside it names the columns"):
        score(folder, data("size", "1"))
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
