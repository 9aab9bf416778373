"""Values with a schema: Avro and Protobuf, from a registry or a file, as their own libraries write them."""

import base64
import io
import json
import struct
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import fastavro
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from penstock.core.errors import ConfigError, DataError, ServerError
from penstock.core.services.retries import Unanswered
from tests.components.example_gen.sources.kafka import protoc
from tests.components.example_gen.sources.kafka.conftest import Topic
from tests.servers.loopback import Cut, Status
from tests.servers.schema_registry import SchemaRegistry

MakeTopic = Callable[..., Topic]

AVRO = {
    "type": "record",
    "name": "Trip",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "fare", "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}]},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "day", "type": {"type": "int", "logicalType": "date"}},
        {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["SHORT", "LONG"]}},
        {"name": "stops", "type": {"type": "array", "items": {"type": "record", "name": "Stop", "fields": [
            {"name": "place", "type": "string"}]}}},
        {"name": "codes", "type": {"type": "map", "values": "int"}},
        {"name": "uid", "type": {"type": "string", "logicalType": "uuid"}},
        {"name": "raw", "type": "bytes"},
    ],
}  # fmt: skip


def _trip(number: int) -> dict[str, Any]:
    return {
        "id": number,
        "fare": Decimal("12.50") if number else None,
        "at": datetime(2026, 1, 31, 12, tzinfo=UTC),
        "day": date(2026, 1, 31),
        "kind": "LONG",
        "stops": [{"place": "a"}, {"place": "b"}],
        "codes": {"x": 1, "y": 2},
        "uid": "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
        "raw": b"\x00\xff",
    }


def _avro(schema: Any, row: dict[str, Any], schema_id: int | None = None) -> bytes:
    data = io.BytesIO()
    fastavro.schemaless_writer(data, fastavro.parse_schema(schema), row)
    return (b"" if schema_id is None else struct.pack(">bI", 0, schema_id)) + data.getvalue()


EXPECTED = {
    "id": [1],
    "fare": [12.5],
    "at": [b"2026-01-31 12:00:00.000Z"],
    "day": [b"2026-01-31"],
    "kind": [b"LONG"],
    "stops.place": [b"a", b"b"],
    "codes.key": [b"x", b"y"],
    "codes.value": [1, 2],
    "uid": [b"6ba7b810-9dad-11d1-80b4-00c04fd430c8"],
    "raw": [b"\x00\xff"],
}


def test_avro_of_a_file_with_a_schema(make_topic: MakeTopic, tmp_path: Path) -> None:
    path = tmp_path / "trip.avsc"
    path.write_text(json.dumps(AVRO))
    topic = make_topic(value_format="avro", schema_file=str(path), max_bad_messages=2)
    whole = _avro(AVRO, _trip(1))
    topic.send([whole, whole[:-3], whole + b"x"])
    assert topic.run() == [EXPECTED]
    before = topic.resolve()
    path.write_text(json.dumps({**AVRO, "doc": "changed"}))
    assert topic.resolve().fingerprint != before.fingerprint
    with pytest.raises(DataError, match=r"there is no column 'fair'; did you mean 'fare'"):
        topic.run(columns=["fair"])


@pytest.fixture
def registry() -> Iterator[SchemaRegistry]:
    with SchemaRegistry() as server:
        yield server


def _url(registry: SchemaRegistry) -> dict[str, Any]:
    return {"url": registry.url}


def test_avro_of_a_registry_is_read_as_the_newest_schema(make_topic: MakeTopic, registry: SchemaRegistry) -> None:
    topic = make_topic(value_format="avro", schema_registry=_url(registry), max_bad_messages=3)
    old = {**AVRO, "fields": AVRO["fields"][:-1]}
    new = {**AVRO, "fields": [*AVRO["fields"][1:], {"name": "tip", "type": "double", "default": 0.5}]}
    subject = f"{topic.name}-value"
    old_id, new_id = registry.register(subject, old), registry.register(subject, new)
    del (old_row := _trip(1))["raw"]
    del (new_row := _trip(0) | {"tip": 1.5})["id"]
    topic.send([_avro(old, old_row, old_id)])
    with pytest.raises(DataError, match="the value cannot be read as avro: it is no Avro of its schema"):
        topic.run(max_bad_messages=0)  # what the newest one has and the old one lacks has no default
    new["fields"][-2] = {"name": "raw", "type": "bytes", "default": "none"}
    third_id = registry.register(subject, new)
    topic.send(
        [
            _avro(new, new_row, third_id),
            b"\x01" + _avro(new, new_row, third_id)[1:],
            b"\x00\x00",
            b"\x00\x00\x00\x00\x63",
        ]
    )
    rows = topic.run(state=str(topic.folder / "other"))
    keys = [name for name in EXPECTED if name != "id"]
    assert rows[0] == {
        **{name: EXPECTED[name] for name in keys if name != "raw"},
        "raw": [b"none"],
        "tip": [0.5],
    }
    assert rows[1] == {**{name: EXPECTED[name] for name in keys}, "fare": None, "tip": [1.5]}
    errors = [json.loads(line)["error"] for path in topic.folder.rglob("*.jsonl") for line in path.open()]
    assert "expected a registry's header, whose first byte is 0, found 1" in errors
    assert "expected a registry's header of 5 bytes, found 2 in all" in errors
    assert "the registry has no schema 99" in errors
    assert new_id != third_id


def test_a_window_is_read_again_as_the_schema_that_it_had(make_topic: MakeTopic, registry: SchemaRegistry) -> None:
    def schema(*names: str) -> dict[str, Any]:
        return {"type": "record", "name": "T", "fields": [{"name": one, "type": "int", "default": 7} for one in names]}

    topic = make_topic(value_format="avro", schema_registry=_url(registry), schema_subject="shared")
    first = registry.register("shared", schema("a"))
    topic.send([_avro(schema("a"), {"a": 1}, first)])
    before = topic.resolve()
    second = registry.register("shared", schema("a", "b"))
    assert topic.resolve() == before
    assert topic.generate(before) == [{"a": [1]}]
    topic.send([_avro(schema("a", "b"), {"a": 2, "b": 3}, second)])
    assert topic.run() == [{"a": [2], "b": [3]}]
    both = topic.run(json.dumps({"rolling_range": {"num_spans": 2}}))
    assert sorted(both, key=lambda row: row["a"]) == [{"a": [1], "b": [7]}, {"a": [2], "b": [3]}]
    with pytest.raises(DataError, match="label 'c' does not exist"):
        _labelled(topic, "c")


def _labelled(topic: Topic, label: str) -> None:
    from penstock.components.example_gen import executor

    executor.run(
        examples=str(topic.folder / "labelled"),
        input_base=topic.input_base(),
        resolved_input=topic.resolve().resolved_input,
        label=label,
    )


def test_schemas_that_name_others(make_topic: MakeTopic, registry: SchemaRegistry) -> None:
    topic = make_topic(value_format="avro", schema_registry=_url(registry))
    place = {"type": "record", "name": "geo.Place", "fields": [{"name": "city", "type": "string"}]}
    registry.register("places", place)
    trip = {"type": "record", "name": "Trip", "fields": [{"name": "to", "type": "geo.Place"}]}
    reference = {"name": "geo.Place", "subject": "places", "version": 1}
    schema_id = registry.register(f"{topic.name}-value", trip, references=[reference])
    whole = {**trip, "fields": [{"name": "to", "type": place}]}
    topic.send([_avro(whole, {"to": {"city": "Bonn"}}, schema_id)])
    assert topic.run() == [{"to.city": [b"Bonn"]}]


def test_avro_types_that_are_no_columns(make_topic: MakeTopic, registry: SchemaRegistry) -> None:
    topic = make_topic(value_format="avro", schema_registry=_url(registry))
    itself = {"name": "next", "type": ["null", "Node"]}
    node = {
        "type": "record",
        "name": "Node",
        "fields": [itself, {"name": "u", "type": ["string", "int"]}, {"name": "n", "type": ["int", "double"]}],
    }
    topic.send([_avro(node, {"next": None, "u": 1, "n": 2.5}, registry.register(f"{topic.name}-value", node))])
    with pytest.raises(DataError, match=r"column next\.next: Node contains itself: name the other columns in kafka"):
        topic.run()
    with pytest.raises(DataError, match="column u: expected one type, or none, found a union of string, int"):
        topic.run(columns=["u"])
    assert topic.run(columns=["n"]) == [{"n": [2.5]}]


def test_json_behind_a_registrys_header(make_topic: MakeTopic, registry: SchemaRegistry) -> None:
    topic = make_topic(schema_registry=_url(registry), max_bad_messages=1)
    topic.send([struct.pack(">bI", 0, 5) + b'{"x": 1}', b'{"x": 2}'])
    assert topic.run() == [{"x": [1]}]


def test_a_registry_that_wants_a_sign_in_or_fails(make_topic: MakeTopic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGISTRY_PASSWORD", "secret-word")
    signed = "Basic " + base64.b64encode(b"me:secret-word").decode()
    schema = {"type": "record", "name": "T", "fields": [{"name": "a", "type": "int"}]}
    with SchemaRegistry(authorization=signed) as registry:
        topic = make_topic(value_format="avro")
        who = {"user": "me", "password_env": "REGISTRY_PASSWORD"}
        topic.send([_avro(schema, {"a": 1}, 1)])
        with pytest.raises(ServerError, match=r"wants a sign-in \(401\): set kafka.schema_registry.user"):
            topic.resolve(schema_registry=_url(registry))
        with pytest.raises(DataError, match=f"there is no subject '{topic.name}-value' in the registry"):
            topic.resolve(schema_registry=_url(registry) | who)
        registry.register(f"{topic.name}-value", schema)
        monkeypatch.setattr("penstock.core.services.retries.PAUSE", 0.01)
        latest = f"/subjects/{topic.name}-value/versions/latest"
        registry.fail("GET", latest, Status(503), Cut(after=False))
        assert topic.run(schema_registry=_url(registry) | who) == [{"a": [1]}]
        registry.fail("GET", "/schemas/ids/1", *[Status(500)] * 3)
        with pytest.raises(Unanswered, match=r"failed \(500\)"):
            topic.run(schema_registry=_url(registry) | who)
        assert "secret-word" not in topic.state.read_text()


PROTO = """
syntax = "proto3";
package trips;
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
enum Kind { SHORT = 0; LONG = 1; }
message Stop { string place = 1; optional int32 minutes = 2; repeated string tags = 3; }
message Trip {
  int64 id = 1; optional double fare = 2; google.protobuf.Timestamp at = 3; Kind kind = 4;
  repeated Stop stops = 5; map<string, int32> codes = 6; bytes raw = 7; Stop end = 8;
  google.protobuf.BoolValue paid = 9; uint64 big = 10; repeated float speeds = 11;
  oneof who { string name = 12; int32 number = 13; }
  message Inner { int32 x = 1; }
}
"""


@pytest.fixture(scope="module")
def descriptors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What protoc makes of PROTO."""
    folder = tmp_path_factory.mktemp("proto")
    (folder / "trips.proto").write_text(PROTO)
    return protoc.descriptors(folder / "trips.proto", folder / "trips.desc")


def _messages(descriptors: Path) -> tuple[bytes, bytes, str]:
    """Returns two trips, and the descriptor of their file as a registry has it."""
    pool = descriptor_pool.DescriptorPool()
    files = descriptor_pb2.FileDescriptorSet.FromString(descriptors.read_bytes()).file
    for file in files:
        pool.Add(file)
    trip = message_factory.GetMessageClass(pool.FindMessageTypeByName("trips.Trip"))
    full = trip(id=2**40, fare=1.5, kind=1, codes={"b": 2}, raw=b"\xff", big=7, speeds=[0.5, 1.5], number=0)
    full.at.FromNanoseconds(1577836800_000000001)
    full.paid.value = True
    full.end.place = "home"
    full.stops.add(place="a", minutes=0, tags=["x", "y"])
    full.stops.add(place="b", minutes=3)
    serialized = next(file for file in files if file.name == "trips.proto").SerializeToString()
    return full.SerializeToString(), trip(id=1).SerializeToString(), base64.b64encode(serialized).decode()


FULL = {
    "id": [2**40],
    "fare": [1.5],
    "at": [b"2020-01-01 00:00:00.000000001Z"],
    "kind": [b"LONG"],
    "stops.place": [b"a", b"b"],
    "stops.minutes": [0, 3],
    "codes.key": [b"b"],
    "codes.value": [2],
    "raw": [b"\xff"],
    "end.place": [b"home"],
    "end.minutes": None,
    "end.tags": [],
    "paid": [1],
    "big": [7],
    "speeds": [0.5, 1.5],
    "name": None,
    "number": [0],
}
COLUMNS = ["id", "fare", "at", "kind", "codes", "raw", "end", "paid", "big", "speeds", "name", "number"]


def test_protobuf_of_a_file_of_descriptors(make_topic: MakeTopic, descriptors: Path) -> None:
    full, empty, _ = _messages(descriptors)
    options = {"value_format": "protobuf", "schema_file": str(descriptors), "message_type": "trips.Trip"}
    topic = make_topic(**options, columns=COLUMNS, max_bad_messages=1)
    topic.send([full, empty, full[:-1]])
    rows = topic.run()
    expected = {name: value for name, value in FULL.items() if not name.startswith("stops")}
    assert rows[0] == expected
    assert {name: value for name, value in rows[1].items() if value} == {
        "id": [1],
        "kind": [b"SHORT"],
        "raw": [b""],
        "big": [0],
    }
    with pytest.raises(ConfigError, match=r"there is no message 'trips\.Tripp'; did you mean 'trips\.Trip'"):
        topic.run(message_type="trips.Tripp")
    descriptors.with_name("no.desc").write_bytes(b"text")
    with pytest.raises(ConfigError, match="expected a file of descriptors, as protoc"):
        topic.run(schema_file=str(descriptors.with_name("no.desc")))


def test_protobuf_of_a_registry(make_topic: MakeTopic, descriptors: Path, registry: SchemaRegistry) -> None:
    full, _, schema = _messages(descriptors)
    topic = make_topic(
        value_format="protobuf", schema_registry=_url(registry), message_type="trips.Trip", columns=["id", "stops"]
    )
    topic.options["max_bad_messages"] = 4
    header = struct.pack(">bI", 0, registry.register(f"{topic.name}-value", schema, "PROTOBUF"))
    inner = b"\x04\x02\x00"  # two indexes, 1 and 0
    topic.send(
        [
            header + b"\x02\x02" + full,
            header + b"\x00" + full,
            header + inner + b"",
            header + b"\x02\x80",
            header + b"\x02\x12",
        ]
    )
    [row] = topic.run(columns=["id", "end"])
    assert (row["id"], row["end.place"]) == ([2**40], [b"home"])
    errors = [json.loads(line)["error"] for path in topic.folder.rglob("*.jsonl") for line in path.open()]
    assert errors[0] == "it is a trips.Stop, expected trips.Trip (kafka.message_type)"
    assert errors[1] == "it is a trips.Trip.Inner, expected trips.Trip (kafka.message_type)"
    assert errors[2:] == ["the place of its Protobuf message is damaged", "schema 1 has no message at [9]"]


def test_a_registry_that_has_protobuf_as_text_alone(make_topic: MakeTopic, descriptors: Path) -> None:
    full, _, schema = _messages(descriptors)
    with SchemaRegistry(serializes=False) as registry:
        topic = make_topic(value_format="protobuf", schema_registry=_url(registry))
        header = struct.pack(">bI", 0, registry.register(f"{topic.name}-value", schema, "PROTOBUF"))
        topic.send([header + b"\x02\x02" + full])
        with pytest.raises(ConfigError, match=r"has Protobuf schemas as text alone: name a file of descriptors"):
            topic.run()
