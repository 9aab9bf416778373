"""Confluent's own serializers and client of a registry write what is read here, and take the stand-in for a registry.

They are the extra `schemaregistry` of confluent-kafka; without it these tests are skipped.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from tests.components.example_gen.sources.kafka import protoc
from tests.components.example_gen.sources.kafka.conftest import Topic
from tests.servers.schema_registry import SchemaRegistry

pytest.importorskip(
    "confluent_kafka.schema_registry", reason="needs confluent-kafka[schemaregistry]", exc_type=ImportError
)

from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

AVRO = '{"type": "record", "name": "T", "fields": [{"name": "id", "type": "long"}, {"name": "to", "type": "string"}]}'
JSON = '{"title": "T", "type": "object", "properties": {"id": {"type": "integer"}, "to": {"type": "string"}}}'
PROTO = """
syntax = "proto3";
import "google/protobuf/timestamp.proto";
message Other { int32 x = 1; }
message Trip {
  map<string, int32> codes = 1; google.protobuf.Timestamp at = 2; message Leg { int64 id = 1; string to = 2; }
}
"""


@pytest.fixture
def registry() -> Iterator[SchemaRegistry]:
    with SchemaRegistry() as server:
        yield server


def _legs(folder: Path) -> Any:
    (folder / "trip.proto").write_text(PROTO)
    described = protoc.descriptors(folder / "trip.proto", folder / "set")
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(described.read_bytes()).file:
        pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("Trip.Leg"))


@pytest.mark.parametrize("kind", ["avro", "json", "protobuf"])
def test_what_confluents_serializers_write_is_read(
    kind: str, make_topic: Callable[..., Topic], registry: SchemaRegistry, tmp_path: Path
) -> None:
    client = SchemaRegistryClient({"url": registry.url})
    row: Any = {"id": 7, "to": "Bonn"}
    if kind == "avro":
        serializer: Any = AvroSerializer(client, AVRO)
    elif kind == "json":
        serializer = JSONSerializer(JSON, client)
    else:
        leg = _legs(tmp_path)
        serializer, row = ProtobufSerializer(leg, client, {"use.deprecated.format": False}), leg(**row)
    more = {"message_type": "Trip.Leg"} if kind == "protobuf" else {}
    topic = make_topic(value_format=kind, schema_registry={"url": registry.url}, **more)
    topic.send([serializer(row, SerializationContext(topic.name, MessageField.VALUE))])
    assert topic.run() == [{"id": [7], "to": [b"Bonn"]}]
