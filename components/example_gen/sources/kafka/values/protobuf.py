"""Values of Protobuf: behind a registry's header, or messages of one type out of a file of descriptors.

Protobuf's library reads no .proto text. So the registry is asked for file descriptors, which Confluent's has
(?format=serialized); a registry that has text alone needs a file that `protoc --include_imports --descriptor_set_out`
writes.
"""

import base64
import contextlib
import importlib
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

import pyarrow as pa
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor
from google.protobuf.message import DecodeError, Message

from penstock.components.example_gen.sources.kafka.registry import Registry, Schema, framed, is_base64, message_indexes
from penstock.components.example_gen.sources.kafka.values import Decoded, TypedDecoder, Unreadable, sifted
from penstock.core.errors import ConfigError, DataError
from penstock.core.services.retries import NotFound
from penstock.core.suggestions import did_you_mean

_TYPES = {
    FieldDescriptor.CPPTYPE_INT32: pa.int32(),
    FieldDescriptor.CPPTYPE_INT64: pa.int64(),
    FieldDescriptor.CPPTYPE_UINT32: pa.uint32(),
    FieldDescriptor.CPPTYPE_UINT64: pa.uint64(),
    FieldDescriptor.CPPTYPE_DOUBLE: pa.float64(),
    FieldDescriptor.CPPTYPE_FLOAT: pa.float32(),
    FieldDescriptor.CPPTYPE_BOOL: pa.bool_(),
    FieldDescriptor.CPPTYPE_ENUM: pa.string(),
}
_TIMESTAMP = "google.protobuf.Timestamp"
_SCALARS = ("Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes")
_WRAPPED = tuple(f"google.protobuf.{name}Value" for name in _SCALARS)


class ProtobufDecoder(TypedDecoder):
    """Reads values as one message: the registry's of that id, else that of a file of descriptors.

    A message that an older or a newer schema wrote is read by the numbers of its fields, as Protobuf is meant.
    """

    def __init__(
        self, registry: Registry | None, schema_id: int, descriptors: bytes, message: str, columns: Sequence[str] = ()
    ) -> None:
        self.registry, self.schema_id, self.descriptors = registry, schema_id, descriptors
        self.message, self.wanted = message, columns
        self._known: set[tuple[int, ...]] = set()

    @cached_property
    def _descriptor(self) -> Descriptor:
        pool = descriptor_pool.DescriptorPool()
        if self.registry is None:
            return _of_set(pool, self.descriptors, self.message)
        file = pool.FindFileByName(
            self._added(pool, self.registry.schema(self.schema_id, serialized=True), "values.proto")
        )
        if self.message:
            return _named(pool, self.message, _messages(file.message_types_by_name.values()))
        return next(iter(file.message_types_by_name.values()))

    @cached_property
    def _fields(self) -> list[FieldDescriptor]:
        fields = list(self._descriptor.fields)
        return [field for field in fields if field.name in self.wanted] if self.wanted else fields

    @cached_property
    def schema(self) -> pa.Schema:
        return pa.schema([(field.name, _type(field, (self._descriptor.full_name,))) for field in self._fields])

    @property
    def names(self) -> list[str]:
        return [field.name for field in self._descriptor.fields]

    def decode(self, messages: Sequence[Any]) -> Decoded:
        good, parsed, bad = sifted(messages, self._message)
        columns = [pa.array(_values(field, parsed), self.schema.field(field.name).type) for field in self._fields]
        return Decoded(good, pa.RecordBatch.from_arrays(columns, schema=self.schema), bad)

    @cached_property
    def _class(self) -> type[Message]:
        found: type[Message] = message_factory.GetMessageClass(self._descriptor)
        return found

    def _message(self, value: bytes) -> Message:
        payload = value
        if self.registry is not None:
            schema_id, payload = framed(value)
            indexes, payload = message_indexes(payload)
            self._check_message(schema_id, indexes)
        try:
            return self._class.FromString(payload)
        except DecodeError as error:
            raise Unreadable(f"it is no {self._descriptor.full_name} of Protobuf ({error})") from None

    def _check_message(self, schema_id: int, indexes: list[int]) -> None:
        """Raises Unreadable for a value that is another message of its schema than the one that is read."""
        key = (schema_id, *indexes)
        if key in self._known:
            return
        assert self.registry
        try:
            pool = descriptor_pool.DescriptorPool()
            file = pool.FindFileByName(
                self._added(pool, self.registry.schema(schema_id, serialized=True), "values.proto")
            )
        except NotFound:
            raise Unreadable(f"the registry has no schema {schema_id}") from None
        found = _at(file, indexes)
        if not found:
            raise Unreadable(f"schema {schema_id} has no message at {indexes}")
        if self._descriptor.full_name not in found:
            raise Unreadable(f"it is a {found[0]}, expected {self._descriptor.full_name} (kafka.message_type)")
        self._known.add(key)

    def _added(self, pool: descriptor_pool.DescriptorPool, schema: Schema, name: str) -> str:
        """Adds a schema's file and those that it imports to a pool. Returns its name there."""
        assert self.registry
        if schema.kind != "PROTOBUF":
            raise DataError(f"{self.registry.host}: schema {schema.id}: expected Protobuf, found {schema.kind}")
        if not is_base64(schema.text):
            raise ConfigError(
                f"{self.registry.host} has Protobuf schemas as text alone: name a file of descriptors with "
                "kafka.schema_file (protoc --include_imports --descriptor_set_out) in place of kafka.schema_registry"
            )
        for reference in schema.references:
            self._added(pool, self.registry.referenced(reference, serialized=True), str(reference["name"]))
        file = descriptor_pb2.FileDescriptorProto.FromString(base64.b64decode(schema.text))
        file.name = name
        try:
            _add_known(pool, file)
            pool.Add(file)
        except TypeError as error:
            raise DataError(f"{self.registry.host}: Protobuf schema {schema.id} cannot be read: {error}") from None
        return name


def _at(file: FileDescriptor, indexes: Sequence[int]) -> list[str]:
    """Returns the names of messages that indexes may mean: some clients count the entries of maps, as protoc makes a
    message of each, and others do not."""
    found = []
    for counts_maps in (False, True):
        messages: Sequence[Descriptor] = list(file.message_types_by_name.values())
        with contextlib.suppress(IndexError):
            for index in indexes:
                message = messages[index]
                nested = message.nested_types
                messages = [one for one in nested if counts_maps or not one.GetOptions().map_entry]
            found.append(message.full_name)
    return found


def _of_set(pool: descriptor_pool.DescriptorPool, content: bytes, message: str) -> Descriptor:
    try:
        files = descriptor_pb2.FileDescriptorSet.FromString(content).file
        for file in files:
            pool.Add(file)
        tops = [message for file in files for message in pool.FindFileByName(file.name).message_types_by_name.values()]
    except (DecodeError, TypeError, KeyError) as error:
        raise ConfigError(
            f"kafka.schema_file: expected a file of descriptors, as protoc --include_imports --descriptor_set_out "
            f"writes it: {error}"
        ) from None
    return _named(pool, message, _messages(tops))


def _named(pool: descriptor_pool.DescriptorPool, message: str, known: Iterator[str]) -> Descriptor:
    try:
        return pool.FindMessageTypeByName(message)
    except KeyError:
        hint = did_you_mean(message, list(known))
        raise ConfigError(f"kafka.message_type: there is no message {message!r}; {hint}") from None


def _messages(descriptors: Any) -> Iterator[str]:
    for descriptor in descriptors:
        yield descriptor.full_name
        yield from _messages(descriptor.nested_types)


def _add_known(pool: descriptor_pool.DescriptorPool, file: descriptor_pb2.FileDescriptorProto) -> None:
    """Adds those of Google's own files that a file imports: a registry does not list them."""
    for name in file.dependency:
        if name.startswith("google/"):
            with contextlib.suppress(ImportError):
                module = importlib.import_module(name.removesuffix(".proto").replace("/", ".") + "_pb2")
                proto = descriptor_pb2.FileDescriptorProto()
                module.DESCRIPTOR.CopyToProto(proto)
                _add_known(pool, proto)
                pool.Add(proto)


def _type(field: FieldDescriptor, within: tuple[str, ...]) -> pa.DataType:
    inner = _of_value(field, within)
    if pa.types.is_map(inner) or not field.is_repeated:
        return inner
    return pa.list_(inner)


def _of_value(field: FieldDescriptor, within: tuple[str, ...]) -> pa.DataType:
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return pa.binary() if field.type == FieldDescriptor.TYPE_BYTES else pa.string()
    if field.cpp_type != FieldDescriptor.CPPTYPE_MESSAGE:
        return _TYPES[field.cpp_type]
    message = field.message_type
    if message.full_name == _TIMESTAMP:
        return pa.timestamp("ns", "UTC")
    if message.full_name in _WRAPPED:
        return _of_value(message.fields[0], within)
    if message.full_name in within:
        raise DataError(
            f"Protobuf: field {field.full_name}: {message.full_name} contains itself: name the other columns in "
            "kafka.columns"
        )
    types = [(part.name, _type(part, (*within, message.full_name))) for part in message.fields]
    if message.GetOptions().map_entry:
        return pa.map_(types[0][1], types[1][1])
    return pa.struct(types)


def _values(field: FieldDescriptor, messages: Sequence[Message | None]) -> list[Any]:
    """Returns a field of messages, None where it has no presence, as Arrow takes it."""
    name, convert = field.name, _converted(field)
    if field.is_repeated:
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            value = _converted(field.message_type.fields[1])
            return [
                message and [(key, value(item) if value else item) for key, item in getattr(message, name).items()]
                for message in messages
            ]
        return [
            None if message is None else [convert(item) if convert else item for item in getattr(message, name)]
            for message in messages
        ]
    if field.has_presence:
        found = [
            None if message is None or not message.HasField(name) else getattr(message, name) for message in messages
        ]
        return [None if value is None else convert(value) for value in found] if convert else found
    found = [None if message is None else getattr(message, name) for message in messages]
    return [None if value is None else convert(value) for value in found] if convert else found


def _converted(field: FieldDescriptor) -> Callable[[Any], Any] | None:
    """Returns what makes of a field's value that which Arrow takes; None where it is that."""
    if field.cpp_type == FieldDescriptor.CPPTYPE_ENUM:
        names = {number: value.name for number, value in field.enum_type.values_by_number.items()}
        return lambda number: names.get(number, str(number))
    if field.cpp_type != FieldDescriptor.CPPTYPE_MESSAGE:
        return None
    message = field.message_type
    if message.full_name == _TIMESTAMP:
        return lambda value: value.ToNanoseconds()
    if message.full_name in _WRAPPED:
        return lambda value: value.value
    return lambda value: {part.name: _values(part, [value])[0] for part in message.fields}
