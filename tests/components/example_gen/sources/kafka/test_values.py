"""What values become, format by format, and where those go that cannot be read."""

import base64
import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from penstock.components.engines import open_engine
from penstock.components.example_gen import configs, executor
from penstock.components.example_gen.inputs import resolving
from penstock.components.example_gen.sources.kafka.source import KafkaSource
from penstock.components.example_gen.sources.source import Request
from penstock.core.errors import ConfigError, DataError
from penstock.core.examples import records
from tests.components.example_gen.sources.kafka.conftest import Topic
from tests.servers.object_stores import ObjectStore

MakeTopic = Callable[..., Topic]


def test_json_keeps_what_is_written(make_topic: MakeTopic) -> None:
    topic = make_topic()
    topic.send(
        [
            {"id": 1, "fare": 2, "at": "2026-01-01T00:00:00Z", "city": {"name": "Köln", "at": ["2026-01-01"]}},
            {"id": 2**62, "fare": 2.5, "at": "later", "tags": [1, 2]},
            b'{\n "id": 3,\n "paid": true, "at": null\n}',
            {},
        ]
    )
    assert topic.run() == [
        {
            "id": [1],
            "fare": [2.0],
            "at": [b"2026-01-01T00:00:00Z"],
            "city.name": ["Köln".encode()],
            "city.at": [b"2026-01-01"],
            "tags": None,
            "paid": None,
        },
        {
            "id": [2**62],
            "fare": [2.5],
            "at": [b"later"],
            "city.name": None,
            "city.at": None,
            "tags": [1, 2],
            "paid": None,
        },
        {"id": [3], "fare": None, "at": None, "city.name": None, "city.at": None, "tags": None, "paid": [1]},
        dict.fromkeys(("id", "fare", "at", "city.name", "city.at", "tags", "paid")),
    ]
    assert topic.run(columns=["fare", "id"])[0] == {"fare": [2.0], "id": [1]}


def test_a_column_of_json_has_the_types_of_all_messages(make_topic: MakeTopic) -> None:
    topic = make_topic(records_per_shard=10)
    topic.send([{"x": number} for number in range(30)])
    topic.send([{"x": 0.5}])
    rows = topic.run()
    assert [row["x"] for row in rows] == [[float(number)] for number in range(30)] + [[0.5]]
    topic.send([{"x": 1}, {"x": "one"}])
    place = rf"topic {topic.name}, partition 0, offset 32: Column\(/x\) changed from number to string"
    with pytest.raises(DataError, match=place):
        topic.run()


def test_what_messages_have_beside_their_values(make_topic: MakeTopic) -> None:
    topic = make_topic(2, metadata=["headers", "key", "timestamp", "partition", "offset"])
    topic.send([{"x": 1}, None], partition=1, key=b"\xff", timestamp=1577836800123, headers=[("a", b"1"), ("b", None)])
    topic.send([{"x": 2}], partition=1)
    first, second = topic.run()
    assert first == {
        "x": [1],
        "kafka_key": [b"\xff"],
        "kafka_timestamp": [b"2020-01-01 00:00:00.123Z"],
        "kafka_partition": [1],
        "kafka_offset": [0],
        "kafka_headers.key": [b"a", b"b"],
        "kafka_headers.value": [b"1", b""],
    }
    assert (second["kafka_key"], second["kafka_offset"], second["kafka_headers.key"]) == (None, [2], [])
    topic.send([{"x": 1, "kafka_key": 2}])
    with pytest.raises(DataError, match="values have a column 'kafka_key' too"):
        topic.run()


def test_the_same_rows_again_and_elsewhere(make_topic: MakeTopic, tmp_path: Path) -> None:
    topic = make_topic(2, records_per_shard=40, metadata=["key"])
    for partition in range(2):
        topic.send([{"x": number, "y": [f"{number % 7}"]} for number in range(100)], partition=partition, key="k")
    resolved = topic.resolve()
    options = json.dumps(json.loads(topic.input_base())["kafka"])
    splits, _ = configs.resolved_splits(resolved.resolved_input)
    with open_engine("local:1") as engine:
        request = Request(topic.input_base(), splits, options, "x", tmp_path, engine)
        with KafkaSource.open(request) as opened, KafkaSource.open(request) as again:
            assert again.shards == opened.shards
            assert [len(shard.pieces) for shard in opened.shards] == [1] * 6
            source, shards = pickle.loads(pickle.dumps((opened.source, opened.shards)))
            rows = [
                [block.columns.to_pylist() for shard in of for piece in shard.pieces for block in reader.read(piece)]
                for reader, of in ((opened.source, opened.shards), (source, shards))
            ]
    assert rows[0] == rows[1]
    assert [row["x"] for block in rows[0] for row in block] == [[number] for _ in range(2) for number in range(100)]
    files = []
    for engine_name in ("local:1", "local:2"):
        root = tmp_path / engine_name
        executor.run(
            examples=str(root),
            input_base=topic.input_base(),
            resolved_input=resolved.resolved_input,
            engine=engine_name,
        )
        files.append({path.name: path.read_bytes() for path in sorted(root.rglob("*.gz"))})
    assert files[0] == files[1]


def test_topics_as_splits(make_topic: MakeTopic) -> None:
    topics = {"train": make_topic(), "eval": make_topic()}
    for number, topic in enumerate(topics.values()):
        topic.send([{"x": number}, {"x": number + 2}])
    base = json.dumps({"splits": {name: json.loads(topic.input_base()) for name, topic in topics.items()}})
    folder = topics["train"].folder
    for _ in range(2):
        resolved = resolving.resolve(input_base=base, state=str(folder / "sources"))
        assert json.loads(resolved.resolved_input)["spans"] == "train window 1; eval window 1"
        result = executor.run(
            examples=str(folder / "examples"), input_base=base, resolved_input=resolved.resolved_input, engine="local:1"
        )
        assert json.loads(result.metadata["examples"]["num_examples"]) == {"train": 2, "eval": 2}
    for name, topic in topics.items():
        state = json.loads((folder / "sources" / name / "kafka" / topic.name / "kafka_state.json").read_bytes())
        assert [window["is_done"] for window in state["windows"]] == [True]


def test_csv_has_numbers_where_all_cells_are(make_topic: MakeTopic) -> None:
    csv = {"column_names": ["id", "fare", "zip", "note"], "text_columns": ["zip"], "delimiter": ";"}
    topic = make_topic(value_format="csv", csv=csv, max_bad_messages=2)
    topic.send([b'1;2;01234;"a;\n""b"""\r\n', b"2;;50667;", b"3;1.5;x;nan", b"4;too;few", b'5;1;2;"\xff'])
    assert topic.run() == [
        {"id": [1], "fare": [2.0], "zip": [b"01234"], "note": [b'a;\n"b"']},
        {"id": [2], "fare": None, "zip": [b"50667"], "note": None},
        {"id": [3], "fare": [1.5], "zip": [b"x"], "note": [b"nan"]},
    ]
    with pytest.raises(
        DataError, match=r"offset 3: the value cannot be read as csv: expected one row of 4 cells, found"
    ):
        topic.run(max_bad_messages=0)
    with pytest.raises(DataError, match="there is no column 'fair'; did you mean 'fare'"):
        topic.run(columns=["fair"])


def test_tf_examples_stay_as_they_are(make_topic: MakeTopic) -> None:
    topic = make_topic(value_format="tf_example", max_bad_messages=1)
    rows = [{"x": [1, 2], "y": [b"a"]}, {"x": [3], "y": [b"b"]}]
    examples = records.encode(pa.RecordBatch.from_pylist(rows))
    topic.send([examples[0], b"\x0a\xff", examples[1]])
    assert topic.run() == rows


def test_bad_messages_go_into_quarantine(make_topic: MakeTopic, caplog: pytest.LogCaptureFixture) -> None:
    topic = make_topic(records_per_shard=3, metadata=["offset"])
    topic.send([{"x": 0}, b"\xff\x00", {"x": 2}, {"x": 3}, b"[1]", {"x": 5}, b"", {"x": 7}], key=b"k")
    with pytest.raises(
        DataError, match=rf"topic {topic.name}, partition 0, offset \d: the value cannot be read as json"
    ):
        topic.run()
    with pytest.raises(DataError, match=r"so are others, more than 2 in all; they are in .*: mend what produces them"):
        topic.run(max_bad_messages=2)
    assert not (topic.folder / "examples").exists() or not list((topic.folder / "examples").rglob("*.gz"))
    rows = topic.run(max_bad_messages=3)
    assert [(row["x"], row["kafka_offset"]) for row in rows] == [([number], [number]) for number in (0, 2, 3, 5, 7)]
    folder = topic.state.parent / "quarantine"
    assert f"3 messages of window 1 cannot be read: they are in {folder}" in caplog.text
    lines = [json.loads(line) for path in sorted(folder.rglob("*.jsonl")) for line in path.open()]
    assert [(line["offset"], base64.b64decode(line["value_base64"])) for line in lines] == [
        (1, b"\xff\x00"),
        (4, b"[1]"),
        (6, b""),
    ]
    assert {base64.b64decode(line["key_base64"]) for line in lines} == {b"k"}
    assert lines[1]["error"] == "it is no JSON object"


def test_no_window_is_made_of_bad_messages_alone(make_topic: MakeTopic) -> None:
    topic = make_topic(max_bad_messages=2)
    topic.send([{"x": 0}])
    assert topic.run() == [{"x": [0]}]
    topic.send([b"no", b"no"])
    assert topic.resolve().span == 1
    topic.send([{"x": 1}])
    assert topic.run() == [{"x": [1]}]
    topic.send([b"no"] * 3)
    assert topic.resolve().span == 3
    with pytest.raises(DataError, match="more than 2 in all"):
        topic.run()


@pytest.mark.parametrize("running_store", ["s3"], indirect=True)
def test_a_quarantine_of_ones_own_in_an_object_store(make_topic: MakeTopic, object_store: ObjectStore) -> None:
    s3 = object_store.uri()
    topic = make_topic(max_bad_messages=1, quarantine=f"{s3}/quarantine")
    topic.send([{"x": 0}, b"no"])
    assert topic.resolve(state="").span == 1
    assert topic.run(state=f"{s3}/sources") == [{"x": [0]}]
    from penstock.core.files import object_stores

    with object_stores.open_store(s3) as store:
        names = list(store.files(f"{s3}/quarantine"))
        assert names == ["window-000001/partition-0-offset-000000000000.jsonl"]
        content = json.loads(store.read(f"{s3}/quarantine/{names[0]}"))
    assert content["offset"] == 1
    topic.send([{"x": 1}])
    assert topic.run(state=f"{s3}/sources") == [{"x": [1]}]


def test_options_that_do_not_fit_are_refused(make_topic: MakeTopic) -> None:
    topic = make_topic()
    for options, message in [
        ({"value_format": "csv"}, r"kafka\.csv\.column_names: it is missing"),
        ({"value_format": "avro"}, "expected either schema_registry or schema_file for avro values"),
        ({"config": {"sasl.password": "hunter2hunter2"}}, r"kafka\.config\.sasl\.password: expected no secret"),
        ({"config": {"group.id": "x"}}, r"kafka\.config\.group\.id: expected none"),
        ({"config": {"no.such": "x"}}, "the client refuses its options: No such configuration property"),
        ({"sasl_password_env": "NO_SUCH_VARIABLE"}, "the environment variable NO_SUCH_VARIABLE is not set"),
        ({"metadata": ["kye"]}, "expected key, timestamp, partition, offset, headers, received 'kye'"),
        ({"window": "day", "max_records": 1}, r"kafka\.max_records: expected none with kafka\.window"),
        ({"start": "soon"}, "kafka.start: expected earliest, latest, a time such as"),
    ]:
        with pytest.raises(ConfigError, match=message):
            topic.resolve(**options)
