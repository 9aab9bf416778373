"""Every mistake in the data is one sentence with the file and, where there is one, the line; nothing is left behind."""

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from penstock.components.example_gen.sources import pieces
from penstock.components.example_gen.sources.csv import cuts
from penstock.core.errors import ConfigError, DataError

Folder = Callable[[dict[str, str | bytes]], Path]
Generate = Callable[..., Any]
ROWS = "x,y\n" + "".join(f"{row},{'ab'[row % 2]}\n" for row in range(30))
LATIN = "x,y\n1,a\n2,é\n".encode("latin-1")


def fails(generate: Generate, root: Path, message: str, error: type[Exception] = DataError, **parameters: Any) -> None:
    with pytest.raises(error, match=message) as caught:
        generate(root, **parameters)
    assert "\n" not in str(caught.value)
    outputs = list(root.parent.glob("examples-*"))
    assert outputs
    assert [path for output in outputs for path in output.rglob("*")] == []


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a.csv": ""}, "a.csv: the file is empty"),
        ({"a.csv": gzip.compress(b"")}, "a.csv: the file is empty"),
        ({"a.csv": ROWS, "b.csv": ""}, "b.csv: the file is empty"),
        ({"a.csv": "x,y\n"}, "a.csv: there is a header and no row"),
        ({"a.csv": "x,y"}, "a.csv: there is a header and no row"),
        ({"a.csv": "x,y\n\n\n"}, "the data holds no row: expected at least one"),
        ({"a.csv": "\nx,y\n1,2\n"}, "a.csv, line 1: expected the names of the columns, found an empty line"),
        ({"a.csv": ROWS, "b.csv": "y,x\n1,2\n"}, "b.csv, line 1: expected the header of .*a.csv, .* in another order"),
        ({"a.csv": ROWS, "b.csv": "x,yy\n1,2\n"}, r"found another: no 'y' and 'yy' \(for 'y'\?\)$"),
        ({"a.csv": ROWS, "b.csv": "x,y,z\n1,2,3\n"}, "found another: 'z', 2 columns there and 3 here"),
        ({"a.csv": "x,x\n1,2\n"}, "a.csv, line 1: expected different names, found 'x' for columns 1 and 2"),
        ({"a.csv": "x,\n1,2\n"}, "a.csv, line 1: expected a name for every column, found none for column 2 of 2"),
        ({"a.csv": ROWS + "7\n"}, "a.csv, line 32: expected 2 cells as in the header, found 1: 7"),
        ({"a.csv": 'x,y\n1,"a\nb"\n\n1,2,3\n'}, "a.csv, line 5: expected 2 cells as in the header, found 3: 1,2,3"),
        ({"a.csv": 'x,y\n"a\nb"\n'}, "a.csv, line 2: expected 2 cells as in the header, found 1: a b$"),
        ({"a.csv": 'x,y\n1,a\n2,"b\n3,c\n'}, "a.csv, line 3: the quoted cell that begins here does not end"),
        ({"a.csv": LATIN}, r"a.csv, line 3: expected UTF-8, found .* set encoding \(data.csv.encoding\), for"),
        ({"a.csv": "x,é\n1,2\n".encode("latin-1")}, "a.csv, line 1: expected UTF-8"),
        (
            {"a.csv": ROWS.encode("utf-16")},
            r"a.csv: expected UTF-8, found utf-16: set encoding \(data.csv.encoding\) to 'utf-16'",
        ),
        ({"a.csv": gzip.compress(ROWS.encode("utf-16"))}, "a.csv: expected UTF-8, found utf-16"),
        ({"a.csv": ROWS + "1,a\0b\n"}, "a.csv, line 32: expected text, found a NUL byte"),
        ({"a.csv": "x,y\0\n1,2\n"}, "a.csv, line 1: expected text, found a NUL byte"),
        ({"a.csv": "x,y\r1,2\r"}, "a.csv: expected lines that end with a line feed"),
        ({"a.csv": b"PK\x03\x04rest"}, "a.csv: expected CSV text, found a zip archive"),
        ({"a.csv": gzip.compress(ROWS.encode())[:-12]}, "a.csv: the gzip data ends early"),
        ({"a.csv": b"\x1f\x8b" + b"no gzip at all"}, "a.csv: the gzip data is damaged"),
        ({"a.csv": "x,y\n1,2\n"}, "split '(train|eval)' got none of the 1 rows"),
    ],
)
@pytest.mark.parametrize("smallest", [1, 1 << 20])
def test_csv(
    generate: Generate,
    folder: Folder,
    monkeypatch: pytest.MonkeyPatch,
    files: dict[str, str | bytes],
    message: str,
    smallest: int,
) -> None:
    monkeypatch.setattr(pieces, "_SMALLEST", smallest)
    fails(generate, folder(files), message)


@pytest.mark.parametrize("start", ["", "x,y\n1,2\n"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("options", ["", '{"encoding": "latin-1"}'])
def test_what_has_no_lines_is_not_read_to_its_end(
    generate: Generate, folder: Folder, monkeypatch: pytest.MonkeyPatch, start: str, packed: bool, options: str
) -> None:
    monkeypatch.setattr(cuts, "LONGEST_RECORD", 100_000)
    monkeypatch.setattr(cuts, "_BLOCK", 10_000)
    monkeypatch.setattr(pieces, "_SMALLEST", 10_000)
    content = (start + "a" * 300_000).encode()
    told = "a.csv(, line [12])?: expected rows that end with a line feed, found one of more than 64 MiB: is this CSV"
    fails(generate, folder({"a.csv": gzip.compress(content) if packed else content}), told, options=options)
    fine = "x,y\n" + "".join(f'{row},"{"a" * 40_000}"\n' for row in range(20))
    assert generate(folder({"a.csv": gzip.compress(fine.encode()) if packed else fine}), options=options).rows()


def test_an_empty_file_is_one_without_rows_where_files_have_no_header(generate: Generate, folder: Folder) -> None:
    names = json.dumps({"column_names": ["x", "y"]})
    files: dict[str, str | bytes] = {"a.csv": ROWS.partition("\n")[2]}
    expected = generate(folder(files), options=names).content()
    empty: dict[str, str | bytes] = {"0.csv": "", "b.csv": gzip.compress(b"")}
    assert generate(folder(files | empty), options=names).content() == expected
    with pytest.raises(DataError, match=r"0.csv: the file is empty: expected at least one row"):
        generate(folder(empty), options=names)


def test_a_mistake_far_into_a_file_of_many_shards_has_its_line(
    generate: Generate, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "_SMALLEST", 10_000)
    lines = ["x,y", *(f'{row},"a\nb"' for row in range(20_000)), "1,2,3"]
    fails(generate, folder({"a.csv": "\n".join(lines)}), "a.csv, line 40002: expected 2 cells", engine="local:2")


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_files_of_another_format_name_its_setting(generate: Generate, folder: Folder, encoding: str) -> None:
    written = generate(folder({"a.csv": ROWS})).examples.files("train")[0].read_bytes()
    table = io.BytesIO()
    pq.write_table(pa.table({"x": [1, 2]}), table)
    for content, kind in [(written, "TFRecord"), (gzip.decompress(written), "TFRecord"), (table.getvalue(), "Parquet")]:
        root = folder({"data_tfrecord-00000-of-00001": content})
        with pytest.raises(DataError, match=f"00001 is a {kind} file, no CSV: set data.format: {kind.lower()}"):
            generate(root, options=json.dumps({"encoding": encoding}))


def test_another_delimiter_is_guessed(generate: Generate, folder: Folder) -> None:
    root = folder({"a.csv": "x;label\n1;a\n2;b\n"})
    fails(generate, root, r"a.csv \(one column: is the delimiter, data.csv.delimiter, ';'\?\): label", label="label")


def test_a_wrong_encoding_has_its_line(generate: Generate, folder: Folder) -> None:
    root = folder({"a.csv": b"x,y\n1,a\n2,\x81\n"})
    fails(
        generate,
        root,
        r"a.csv, line 3: expected cp1252, found the bytes b'\\x81\\n'",
        options='{"encoding": "cp1252"}',
    )


@pytest.mark.parametrize(
    ("rows", "label", "message"),
    [
        ("1,a\n2,b\n", "lable", "a.csv: label 'lable' does not exist; the columns are x, label"),
        ("1,a\n2,b\n", "labels", r"label 'labels' does not exist; did you mean 'label'\?"),
        ("1,a\n2,a\n", "label", "label 'label': every row has the value 'a': there is nothing to learn"),
        ("1,\n2,\n", "label", "label 'label': no row has a value"),
        ("1,1.0\n2,1\n", "label", "every row has the value 1.0"),
        ("1,1000000001.5\n2,1000000002\n", "label", "if its numbers do differ, it is beyond the 32 bits"),
    ],
)
def test_labels(generate: Generate, folder: Folder, rows: str, label: str, message: str) -> None:
    many = "".join(rows.splitlines(keepends=True)[0].replace("1,", f"{row},", 1) for row in range(40))
    body = rows + many + "".join(rows.splitlines(keepends=True)[1].replace("2,", f"{row},", 1) for row in range(40))
    message = message.replace("the columns are x, label", r"(did you mean 'label'\?|the columns are x, label)")
    fails(generate, folder({"a.csv": "x,label\n" + body}), message, label=label)


def test_a_label_of_numbers_may_lack_values_in_a_split(generate: Generate, folder: Folder) -> None:
    text = "x,label\n" + "".join(f"{row},{row}.5\n" for row in range(40))
    assert generate(folder({"a.csv": text}), label="label").metadata["num_examples"]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"options": '{"delimeter": ";"}'},
            r"csv_options \(data.csv\): unknown key 'delimeter'; did you mean 'delimiter'\?",
        ),
        ({"options": '{"delimiter": ";;"}'}, "delimiter: expected one ASCII character, received ';;'"),
        ({"options": '{"delimiter": "\\""}'}, "delimiter: expected another than quote_char, both are"),
        ({"options": '{"decimal_point": ";"}'}, "decimal_point: expected '.' or ',', received ';'"),
        ({"options": '{"encoding": "utf-9"}'}, r"unknown encoding 'utf-9'; did you mean 'utf-\S*'\?"),
        ({"options": '{"encoding": "base64"}'}, "expected a text encoding, received 'base64'"),
        ({"options": '{"null_values": "NA"}'}, "null_values: expected a list of strings, received 'NA'"),
        ({"output_config": '{"split_confg": {}}'}, r"did you mean 'split_config'\?"),
        ({"output_config": '{"split_config": {"splits": [{"name": "a b", "hash_buckets": 1}]}}'}, "received 'a b'"),
        (
            {"output_config": '{"split_config": {"splits": [{"name": "a", "hash_buckets": "99999999999999999999"}]}}'},
            "hash_buckets: expected a whole number, 1 or more, received '99999999999999999999'",
        ),
        (
            {"output_config": '{"split_config": {"splits": [{"name": "a", "hash_buckets": 3000000000}]}}'},
            "splits: expected at most 2,147,483,647 hash_buckets in all, received 3,000,000,000",
        ),
        (
            {"output_config": '{"split_config": {"splits": [{"name": "a"}]}}'},
            "hash_buckets: expected a whole number, 1 or more, received None",
        ),
        ({"engine": "lokal"}, "engine: expected local"),
        (
            {"source": "excel"},
            "source: expected avro, csv, json, orc, parquet, tfrecord, .*splits, .* received 'excel'",
        ),
    ],
)
def test_parameters(generate: Generate, folder: Folder, parameters: dict[str, str], message: str) -> None:
    fails(generate, folder({"a.csv": ROWS}), message, ConfigError, **parameters)


def test_output_splits_need_one_input_split(generate: Generate, folder: Folder) -> None:
    root = folder({"train.csv": ROWS, "eval.csv": ROWS})
    inputs = {"splits": [{"name": "train", "pattern": "train*"}, {"name": "eval", "pattern": "eval*"}]}
    output = '{"split_config": {"splits": [{"name": "all", "hash_buckets": 1}]}}'
    fails(
        generate,
        root,
        "the input comes in 2 of its own",
        ConfigError,
        input_config=json.dumps(inputs),
        output_config=output,
    )


ADVICE = "stay in one split, so few values leave splits without: partition by a feature with more values, or by none"


def test_a_partition_feature_of_few_values_is_named(generate: Generate, folder: Folder) -> None:
    rows = "x,one,y\n" + "".join(f"{row // 10},k,{row // 10 % 2}\n" for row in range(30))
    config = json.dumps({"split_config": {"partition_feature_name": "one"}})
    found = f"split '(train|eval)' got none of the 30 rows: rows with the same 'one' {ADVICE}"
    fails(generate, folder({"a.csv": rows}), found, output_config=config)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("z", "partition feature 'z' does not exist"),
        ("xs", r"partition feature 'xs' does not exist; did you mean 'x'\?"),
        ("f", "partition feature 'f': expected integers or bytes, found floats"),
        ("n", "partition feature 'n': expected in every row, found a row without it"),
    ],
)
def test_partition_features(generate: Generate, folder: Folder, name: str, message: str) -> None:
    config = json.dumps({"split_config": {"partition_feature_name": name}})
    fails(generate, folder({"a.csv": "x,f,n\n1,1.5,\n2,2.5,\n"}), message, output_config=config)
