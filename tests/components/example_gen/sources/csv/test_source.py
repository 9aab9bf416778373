"""CSV to examples: the format's corners, splits, and bytes that depend on the data only."""

import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from penstock.components.example_gen.inputs.spans import resolve
from penstock.components.example_gen.sources import pieces
from penstock.components.example_gen.sources.csv import source as csv_source
from penstock.core.errors import DataError
from tests.servers.object_stores import ObjectStore

Folder = Callable[[dict[str, str | bytes]], Path]
Generate = Callable[..., Any]
ALL = '{"split_config": {"splits": [{"name": "all", "hash_buckets": 1}]}}'


def by_hash(**buckets: int) -> str:
    return json.dumps(
        {"split_config": {"splits": [{"name": name, "hash_buckets": count} for name, count in buckets.items()]}}
    )


def test_taxi_trips_keep_their_number_and_their_empty_cells(generate: Generate, taxi_csv: Path) -> None:
    generated = generate(taxi_csv, label="tips")
    assert json.loads(generated.metadata["num_examples"]) == {"train": 10036, "eval": 4966}  # TFX's own counts
    assert generated.metadata["split_names"] == '["train", "eval"]'
    assert generated.metadata["payload_format"] == "FORMAT_TF_EXAMPLE"
    assert generated.metadata["file_format"] == "tfrecords_gzip"
    assert generated.metadata["input_fingerprint"].startswith("split:single_split,num_files:1,total_bytes:1922812,")
    rows = generated.rows()
    with open(taxi_csv, newline="") as file:
        trips = list(csv.DictReader(file))
    for name in ("company", "pickup_census_tract", "trip_seconds"):
        empty = sum(not trip[name] for trip in trips)
        assert sum(row[name] == [] for row in rows) == empty > 0
    assert {type(row["fare"][0]) for row in rows if row["fare"]} == {float}


def test_tensorflow_reads_the_files(generate: Generate, penguins_csv: Path) -> None:
    generated = generate(penguins_csv)
    paths = [str(path) for path in generated.examples.files("train")]
    spec = {"species": tf.io.FixedLenFeature([], tf.string), "body_mass_g": tf.io.VarLenFeature(tf.string)}
    dataset = tf.data.TFRecordDataset(paths, "GZIP").map(lambda record: tf.io.parse_single_example(record, spec))
    assert {row["species"].numpy() for row in dataset} == {b"Adelie", b"Chinstrap", b"Gentoo"}


@pytest.mark.parametrize("engine", ["local:2", "local:4"])
def test_the_bytes_do_not_depend_on_the_workers(
    generate: Generate, taxi_csv: Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    monkeypatch.setattr(pieces, "_SMALLEST", 200_000)
    one = generate(taxi_csv).content()
    assert len(one) > 10
    assert generate(taxi_csv, engine=engine).content() == one


def test_a_rows_split_is_its_own(generate: Generate, taxi_head: Callable[[int], Path], folder: Folder) -> None:
    lines = (taxi_head(900) / "data.csv").read_text().splitlines(keepends=True)
    header, rows = lines[0], lines[1:]
    small = generate(folder({"a.csv": header + "".join(rows[:300])}))
    grown = generate(folder({"a.csv": header + "".join(rows[600:]), "b.csv": header + "".join(reversed(rows[:600]))}))
    for split in ("train", "eval"):
        assert set(small.records(split)) < set(grown.records(split))
    assert not set(grown.records("train")) & set(grown.records("eval"))


def test_a_partition_feature_keeps_its_rows_together(generate: Generate, folder: Folder) -> None:
    text = "user,x\n" + "".join(f"u{row % 40},{row}\n" for row in range(400))
    config = by_hash(train=2, eval=1)[:-2] + ', "partition_feature_name": "user"}}'
    generated = generate(folder({"a.csv": text}), output_config=config)
    users = {split: {row["user"][0] for row in generated.rows(split)} for split in ("train", "eval")}
    assert users["train"]
    assert users["eval"]
    assert not users["train"] & users["eval"]
    assert len(users["train"] | users["eval"]) == 40


def test_buckets_in_three_splits(generate: Generate, taxi_head: Callable[[int], Path]) -> None:
    generated = generate(taxi_head(3000), output_config=by_hash(train=60, test=10, eval=30))
    counts = json.loads(generated.metadata["num_examples"])
    assert list(counts) == ["train", "test", "eval"]
    assert counts["train"] == pytest.approx(1800, abs=120)
    assert counts["test"] == pytest.approx(300, abs=70)
    halves = generate(taxi_head(3000), output_config=by_hash(train=60, test1=5, test2=5, eval=30))
    assert set(halves.records("train")) == set(generated.records("train"))
    assert set(halves.records("test1")) | set(halves.records("test2")) == set(generated.records("test"))


def test_input_splits_stay_and_share_their_types(generate: Generate, folder: Folder) -> None:
    root = folder({"train/a.csv": "x,y\n1,a\n2,b\n", "eval/a.csv": "x,y\n1.5,a\n"})
    config = {"splits": [{"name": "train", "pattern": "train/*"}, {"name": "eval", "pattern": "eval/*"}]}
    generated = generate(root, json.dumps(config))
    assert generated.rows("train") == [{"x": [1.0], "y": [b"a"]}, {"x": [2.0], "y": [b"b"]}]
    assert generated.rows("eval") == [{"x": [1.5], "y": [b"a"]}]


def test_several_spans_are_one_split(generate: Generate, folder: Folder) -> None:
    root = folder({f"span-{span}/a.csv": f"x,y\n{span},a\n" for span in range(1, 5)})
    generated = generate(
        root,
        '{"splits": [{"name": "all", "pattern": "span-{SPAN}/*"}]}',
        '{"rolling_range": {"num_spans": 3}}',
        output_config=ALL,
    )
    assert [row["x"] for row in generated.rows()] == [[2], [3], [4]]
    assert generated.metadata["span"] == 4


CORNERS = 'id,text\r\n1,"a, ""b""\r\nc"\r\n\r\n2,é\r\n3,"x"y"z"\r\n4,5" pipe\r\n5,\r\n'
EXPECTED = [
    {"id": [1], "text": [b'a, "b"\r\nc']},
    {"id": [2], "text": ["é".encode()]},
    {"id": [3], "text": [b'xy"z"']},
    {"id": [4], "text": [b'5" pipe']},
    {"id": [5], "text": []},
]


@pytest.mark.parametrize(
    ("content", "options"),
    [
        (CORNERS.encode(), {}),
        (b"\xef\xbb\xbf" + CORNERS.encode(), {}),
        (CORNERS.removesuffix("\r\n").encode(), {}),
        (gzip.compress(CORNERS.encode()), {}),
        (gzip.compress(CORNERS[:30].encode()) + gzip.compress(CORNERS[30:].encode()), {}),
        (CORNERS.encode("latin-1"), {"encoding": "latin-1"}),
        (gzip.compress(CORNERS.encode("cp1252")), {"encoding": "cp1252"}),
        (CORNERS.encode("utf-16"), {"encoding": "utf-16"}),
        (CORNERS.replace(",", "\t").replace("a\t", "a,").encode(), {"delimiter": "\t"}),
        (CORNERS.replace('"', "'").replace("''b''", '"b"').replace("xy", "xy").encode(), {"quote_char": "'"}),
        (CORNERS.partition("\r\n")[2].encode(), {"column_names": ["id", "text"]}),
        (CORNERS.replace("5,", "5,NA").encode(), {"null_values": ["NA"]}),
    ],
    ids=[
        "plain",
        "mark",
        "unended",
        "gzip",
        "members",
        "latin-1",
        "gzip-cp1252",
        "utf-16",
        "tabs",
        "quote",
        "headerless",
        "nulls",
    ],
)
def test_the_formats_corners(
    generate: Generate, folder: Folder, monkeypatch: pytest.MonkeyPatch, content: bytes, options: dict[str, object]
) -> None:
    expected = EXPECTED
    if options.get("quote_char"):
        expected = [
            {key: [v.replace(b'"', b"'") if isinstance(v, bytes) else v for v in values] for key, values in row.items()}
            for row in EXPECTED
        ]
        expected[0]["text"] = [b'a, "b"\r\nc']
    for smallest in (1 << 20, 1):  # one shard; a shard for every row
        monkeypatch.setattr(pieces, "_SMALLEST", smallest)
        monkeypatch.setattr(pieces, "_SHARDS", 1 if smallest > 1 else 1000)
        generated = generate(folder({"a.csv": content}), output_config=ALL, options=json.dumps(options))
        assert generated.rows() == expected
        assert len(generated.content()) == (1 if smallest > 1 else 6)  # the empty line is one too


def test_types_are_found_in_all_rows(generate: Generate, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "_SMALLEST", 1000)
    text = "a,b,c,d\n" + "1,1,1,\n" * 5000 + "1,2.5,x,\n"
    row = generate(folder({"a.csv": text}), output_config=ALL, engine="local:2").rows()
    assert row[0] == {"a": [1], "b": [1.0], "c": [b"1"], "d": None}
    assert row[-1] == {"a": [1], "b": [2.5], "c": [b"x"], "d": None}


def test_types_are_found_in_the_middle_too(
    generate: Generate, folder: Folder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr(pieces, "_SMALLEST", 1000)
    same = "1,1,1,\n" * 2000
    rows = generate(folder({"a.csv": "a,b,c,d\n" + same + "1,2.5,x,7\n" + same}), output_config=ALL).rows()
    assert rows[0] == rows[-1] == {"a": [1], "b": [1.0], "c": [b"1"], "d": []}
    assert rows[2000] == {"a": [1], "b": [2.5], "c": [b"x"], "d": [7]}
    assert "every row is looked at first" in caplog.text


def test_a_single_column_and_blank_lines(generate: Generate, folder: Folder) -> None:
    generated = generate(folder({"a.csv": "\nx\n".lstrip() + '1\n\n""\n2\n'}), output_config=ALL)
    assert generated.rows() == [{"x": [1]}, {"x": []}, {"x": [2]}]


def test_small_files_share_shards(generate: Generate, folder: Folder) -> None:
    root = folder({f"{index:03d}.csv": f"x,y\n{index},a\n" for index in range(100)})
    generated = generate(root, output_config=ALL)
    assert [row["x"][0] for row in generated.rows()] == list(range(100))
    assert list(generated.content()) == ["Split-all/data_tfrecord-00000-of-00001.gz"]


def test_a_run_replaces_what_an_earlier_one_left(tmp_path: Path, folder: Folder) -> None:
    from penstock.components.example_gen import executor

    root, out = folder({"a.csv": "x\n" + "1\n" * 10}), tmp_path / "out"
    stale = out / "Split-all" / "data_tfrecord-00000-of-00002.gz"
    stale.parent.mkdir(parents=True)
    stale.write_bytes(b"half")
    found = resolve(input_base=str(root))
    executor.run(examples=str(out), input_base=str(root), output_config=ALL, engine="local:1", **found._asdict())
    assert [path.name for path in stale.parent.iterdir()] == ["data_tfrecord-00000-of-00001.gz"]
    assert [path.name for path in out.iterdir()] == ["Split-all"]


def test_rows_without_a_label_are_counted(
    generate: Generate, folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "told"
    monkeypatch.setenv("PENSTOCK_PROGRESS", str(told))
    rows = "".join(f"{number},{('0.5', '1.5', 'nan', '')[number % 4]}\n" for number in range(400))
    generate(folder({"a.csv": "x,y\n" + rows}), label="y")
    assert '{"counts": {"rows": 400, "files": 1, "without a label": 200}}' in told.read_text().splitlines()
    rows = "".join(f"{number},{number % 2}\n" for number in range(100))
    generate(folder({"a.csv": "x,y\n" + rows}), label="y")
    assert told.read_text().splitlines()[-1] == '{"counts": {"rows": 100, "files": 1}}'


def test_nan_is_no_second_value_of_a_label(generate: Generate, folder: Folder) -> None:
    rows = "".join(f"{number},{('1.5', 'nan')[number % 2]}\n" for number in range(400))
    with pytest.raises(DataError, match=r"label 'y': every row but those without one has the value 1\.5"):
        generate(folder({"a.csv": "x,y\n" + rows}), label="y")


def test_files_in_an_object_store_become_the_same_examples(
    generate: Generate, taxi_csv: Path, folder: Folder, object_store: ObjectStore
) -> None:
    """Spans of real trips, plain and gzip, read by workers: the bytes are those of the same files in a folder."""
    header, *rows = taxi_csv.read_bytes().splitlines(keepends=True)
    files: dict[str, str | bytes] = {
        "span-1/trips.csv": header + rows[0],
        "span-2/a.csv": header + b"".join(rows[:4000]),
        "span-2/b.csv.gz": gzip.compress(header + b"".join(rows[4000:5000])),
    }
    pattern = json.dumps({"splits": [{"name": "all", "pattern": "span-{SPAN}/*"}]})
    local = generate(folder(files), pattern, output_config=by_hash(train=2, eval=1), engine="local:2")
    uri = object_store.write(files, "data")
    there = generate(uri, pattern, output_config=by_hash(train=2, eval=1), engine="local:2")
    assert there.content() == local.content()
    assert (there.metadata["span"], there.metadata["num_examples"]) == (2, local.metadata["num_examples"])
    object_store.write({"span-3/bad.csv": b"a,b\n1,2\n1,2,3\n"}, "data")
    with pytest.raises(DataError, match=rf"{uri}/span-3/bad.csv, line 3: expected 2 cells"):
        generate(uri, pattern)


def test_infinite_numbers_are_told(generate: Generate, folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    rows = "".join(f"{row}.5,{row},{row % 2}.5\n" for row in range(60))
    root = folder({"a.csv": "x,y,label\n" + rows + "inf,1e999,0.5\n-Infinity,1,inf\n1e39,nan,1.5\n"})
    generate(root, label="label")
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    ends = "the model without code takes such for the column's least or greatest number; "
    cells = "data.csv.null_values makes such cells of a CSV missing"
    assert told == [
        "column 'label': 1 number is infinite (inf, or beyond 32-bit floats): the model without code leaves such rows "
        f"out; {cells}",
        f"column 'x': 3 numbers are infinite (inf, or beyond 32-bit floats): {ends}{cells}",
        f"column 'y': 1 number is infinite (inf, or beyond 32-bit floats): {ends}{cells}",
    ]
    caplog.clear()
    generate(root, label="label", options='{"null_values": ["inf", "-Infinity", "1e39", "1e999"]}')
    assert "infinite" not in caplog.text


def test_a_decimal_comma_is_told_and_read(generate: Generate, folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    rows = "".join(f"{row},5;1.{row:03};red\n" for row in range(60))
    root = folder({"a.csv": "x;y;c\n" + rows})
    generated = generate(root, options='{"delimiter": ";"}')
    assert {type(value) for row in generated.rows() for value in row["x"]} == {bytes}
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "numbers that are read as text: x ('0,5'): data.csv.decimal_point: \",\" reads them as numbers"
    ]
    caplog.clear()
    generated = generate(root, options='{"delimiter": ";", "decimal_point": ","}')
    assert sorted(row["x"][0] for row in generated.rows()) == [row + 0.5 for row in range(60)]
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "numbers that are read as text: y ('1.000'): without their separators of thousands they are numbers; if those "
        'are decimal points, data.csv.decimal_point is "."'
    ]


def test_of_many_columns_the_first_are_warned_of(
    generate: Generate, folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    names = [f"c{number:02}" for number in range(30)]
    rows = "".join(f"{row};{row}.5;" + ";".join(["0,5", "1e999"] * 30) + "\n" for row in range(40))
    header = ";".join(["id", "y", *(name + kind for name in names for kind in "ti")])
    generate(folder({"a.csv": f"{header}\n{rows}7;1e999" + ";" * 60}), label="y", options='{"delimiter": ";"}')
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert told[0].startswith("numbers that are read as text: c00t ('0,5'), c01t ('0,5'), ")
    assert "c19t ('0,5') and 10 more: data.csv.decimal_point" in told[0]
    assert told[1] == "31 columns have infinite numbers: of the first 20 it is told"
    assert [message.partition(":")[0] for message in told[2:]] == [
        "column 'y'",
        *(f"column '{name}i'" for name in names[:19]),
    ]


def test_a_table_of_many_columns_is_cut_into_fewer_parts(
    generate: Generate, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A column of a part costs the same whether it has one row or a hundred: 100,000 take hours in small parts."""
    monkeypatch.setattr(pieces, "_SMALLEST", 1000)
    names = ",".join(f"c{number}" for number in range(40))
    root = folder({"a.csv": f"{names}\n" + "".join(f"{row}{',7' * 39}\n" for row in range(500))})
    assert len(generate(root).examples.files("train")) == 16
    monkeypatch.setattr(csv_source, "_MANY_COLUMNS", 39)
    assert len(generate(root).examples.files("train")) == 6


def test_a_long_read_says_how_far_it_is(
    generate: Generate, folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "_SMALLEST", 1000)
    monkeypatch.setenv("PENSTOCK_PROGRESS", str(tmp_path / "told"))
    generate(folder({"a.csv": "x,y\n" + "".join(f"{row},{'7' * 20}\n" for row in range(100))}))
    facts = map(json.loads, (tmp_path / "told").read_text().splitlines())
    said = [fact["said"] for fact in facts if "said" in fact]
    assert said == ["looking at the data", "reading 3 parts", "2 of 3 parts read", "3 of 3 parts read"]


def test_the_line_that_names_the_delimiter_for_excel_is_no_row(generate: Generate, folder: Folder) -> None:
    rows = "x;y\r\n1;a\r\n2;b\r\n"
    for start, encoding in (("", "utf-8"), ("\ufeff", "utf-8"), ("", "utf-16")):
        root = folder({"a.csv": f"{start}sep=;\r\n{rows}".encode(encoding)})
        options = json.dumps({"delimiter": ";", "encoding": encoding})
        assert generate(root, options=options, output_config=by_hash(all=1)).rows() == [
            {"x": [1], "y": [b"a"]},
            {"x": [2], "y": [b"b"]},
        ]
    with pytest.raises(DataError, match=r"its first line names ';' as the delimiter, expected ',': set delimiter"):
        generate(folder({"a.csv": f"sep=;\r\n{rows}"}))
    root = folder({"a.csv": f"sep=;\r\n{rows}3\r\n"})
    with pytest.raises(DataError, match=r"a\.csv, line 5: expected 2 cells as in the header, found 1: 3"):
        generate(root, options='{"delimiter": ";"}')
