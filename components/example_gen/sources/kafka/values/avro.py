"""Values of Avro: behind a registry's header, which names the schema that each was written with, or of one schema."""

import io
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import pyarrow as pa

from penstock.components.example_gen.sources.kafka.registry import Registry, Schema, framed
from penstock.components.example_gen.sources.kafka.values import Decoded, TypedDecoder, Unreadable, avro_types, sifted
from penstock.core.errors import ConfigError, DataError
from penstock.core.services.retries import NotFound


class AvroDecoder(TypedDecoder):
    """Reads values as one schema: the registry's of that id, else the text of a file with a schema (.avsc).

    What other schemas wrote is resolved to it by Avro's rules: new fields have their defaults, old ones are left out.
    """

    def __init__(self, registry: Registry | None, schema_id: int, text: str, columns: Sequence[str] = ()) -> None:
        self.registry, self.schema_id, self.text, self.wanted = registry, schema_id, text, columns
        self._writers: dict[int, Any] = {}

    @cached_property
    def _reader(self) -> tuple[Any, Mapping[str, Any]]:
        """The schema that values are read as, and the types that it names."""
        if self.registry is None:
            return _parsed(self.text, {})
        return self._of(self.registry.schema(self.schema_id))

    @cached_property
    def schema(self) -> pa.Schema:
        reader, named = self._reader
        if self.wanted and isinstance(reader, dict):
            fields = {field["name"]: field for field in reader.get("fields", ())}
            reader = reader | {"fields": [fields[name] for name in self.wanted if name in fields]}
        return avro_types.columns(reader, named)

    @property
    def names(self) -> list[str]:
        return [field["name"] for field in self._reader[0].get("fields", ())]

    def decode(self, messages: Sequence[Any]) -> Decoded:
        good, records, bad = sifted(messages, self._record)
        columns = []
        for field in self.schema:
            values = [record[field.name] for record in records]
            if convert := avro_types.as_arrow(field.type):
                values = [convert(value) for value in values]
            columns.append(pa.array(values, field.type))
        return Decoded(good, pa.RecordBatch.from_arrays(columns, schema=self.schema), bad)

    def _record(self, value: bytes) -> dict[str, Any]:
        fastavro = library()
        payload, reader = value, self._reader[0]
        writer = reader
        if self.registry is not None:
            schema_id, payload = framed(value)
            writer = self._writer(schema_id)
        data = io.BytesIO(payload)
        try:
            record = fastavro.schemaless_reader(data, writer, None if writer is reader else reader)
        except Exception as error:  # of damaged bytes fastavro raises whatever its reading meets
            raise Unreadable(f"it is no Avro of its schema ({type(error).__name__}: {error})") from None
        if data.tell() != len(payload):
            raise Unreadable(f"it is no Avro of its schema: {len(payload) - data.tell()} bytes are left over")
        return dict(record)

    def _writer(self, schema_id: int) -> Any:
        if schema_id == self.schema_id:
            return self._reader[0]
        if schema_id not in self._writers:
            assert self.registry
            try:
                self._writers[schema_id] = self._of(self.registry.schema(schema_id))[0]
            except NotFound:
                raise Unreadable(f"the registry has no schema {schema_id}") from None
        return self._writers[schema_id]

    def _of(self, schema: Schema) -> tuple[Any, Mapping[str, Any]]:
        assert self.registry
        if schema.kind != "AVRO":
            raise DataError(f"{self.registry.host}: schema {schema.id}: expected Avro, found {schema.kind}")
        named: dict[str, Any] = {}
        self._name_references(schema, named)
        return _parsed(schema.text, named)

    def _name_references(self, schema: Schema, named: dict[str, Any]) -> None:
        assert self.registry
        for reference in schema.references:
            found = self.registry.referenced(reference)
            self._name_references(found, named)
            _parsed(found.text, named)


def library() -> Any:
    try:
        import fastavro
    except ImportError:
        raise ConfigError("kafka: what reads Avro is not installed: pip install 'penstock[kafka]'") from None
    return fastavro


def _parsed(text: str, named: dict[str, Any]) -> tuple[Any, Mapping[str, Any]]:
    """Returns a schema as fastavro wants it, and the types by their names, to which those of this one are added."""
    try:
        return library().parse_schema(avro_types.stored(json.loads(text)), named), named
    except Exception as error:
        raise DataError(f"the Avro schema cannot be read ({type(error).__name__}: {error})") from None
