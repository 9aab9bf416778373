"""Reads the pieces of a window, in the workers: decoded messages, and what is known of them beside their values."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from penstock.components.example_gen.sources.kafka import messages
from penstock.components.example_gen.sources.kafka.messages import OffsetsPiece
from penstock.components.example_gen.sources.kafka.options import KafkaOptions
from penstock.components.example_gen.sources.kafka.quarantine import Account, Quarantine
from penstock.components.example_gen.sources.kafka.registry import Registry
from penstock.components.example_gen.sources.kafka.values import Decoded, Decoder, TypedDecoder
from penstock.core.errors import DataError

_HEADERS = pa.map_(pa.string(), pa.binary())


@dataclass(frozen=True)
class Reader:
    """How values are read. Picklable; connections are made in the process that reads.

    Args:
        options: The topic's.
        schema_id: The schema of the registry that values are read as, 0 without one.
        schema: The content of the file with the schema, where there is no registry.
        quarantine: Where values go that cannot be read; None for nowhere.
    """

    options: KafkaOptions
    schema_id: int = 0
    schema: bytes = b""
    quarantine: Quarantine | None = None

    def typed_decoder(self) -> TypedDecoder | None:
        """Returns a decoder of values with a schema, None of others."""
        options, registry = self.options, registry_of(self.options)
        if options.value_format == "avro":
            from penstock.components.example_gen.sources.kafka.values.avro import AvroDecoder

            return AvroDecoder(registry, self.schema_id, self.schema.decode(), options.columns)
        if options.value_format == "protobuf":
            from penstock.components.example_gen.sources.kafka.values.protobuf import ProtobufDecoder

            return ProtobufDecoder(registry, self.schema_id, self.schema, options.message_type, options.columns)
        return None

    def decoder(self) -> Decoder:
        """Returns a decoder of the values."""
        if typed := self.typed_decoder():
            return typed
        options = self.options
        if options.value_format == "csv":
            from penstock.components.example_gen.sources.kafka.values.csv import CsvDecoder

            assert options.csv
            return CsvDecoder(options.csv)
        if options.value_format == "tf_example":
            from penstock.components.example_gen.sources.kafka.values.examples import ExampleDecoder

            return ExampleDecoder()
        from penstock.components.example_gen.sources.kafka.values.json import JsonDecoder

        return JsonDecoder(is_framed=options.schema_registry is not None)

    def decoded(self, piece: OffsetsPiece) -> Iterator[Decoded]:
        """Yields what a piece has: the same whenever and wherever it is read."""
        decoder, account = self.decoder(), Account(self.options, self.quarantine, piece)
        for batch in messages.batches(self.options, piece):
            decoded = decoder.decode(batch)
            if decoded.bad:
                account.add(decoded.bad)
            if decoded.messages:
                yield decoded
        account.close()

    def has_row(self, offsets: Mapping[int, tuple[int, int]]) -> bool:
        """Whether offsets, by partition, hold a value that can be read; or more bad ones than may be, which is told by
        the run that reads them."""
        bad, decoder = 0, None
        for batch in messages.valued(self.options, offsets):
            if bad >= self.options.max_bad_messages:
                return True
            try:
                decoder = decoder or self.decoder()
                decoded = decoder.decode(batch)
            except DataError:
                return True
            bad += len(decoded.bad)
            if decoded.messages or bad > self.options.max_bad_messages:
                return True
        return False

    def batches(self, piece: OffsetsPiece) -> Iterator[pa.RecordBatch]:
        """Yields the columns of a piece: those of the values that are wanted, then those of the messages."""
        for decoded in self.decoded(piece):
            yield self._columns(decoded, piece)

    def first(self, piece: OffsetsPiece) -> pa.RecordBatch:
        """Returns the columns of the first messages of a piece; of bad ones nothing is told yet."""
        batch = next(messages.batches(self.options, piece), [])
        return self._columns(self.decoder().decode(batch), piece)

    def _columns(self, decoded: Decoded, piece: OffsetsPiece) -> pa.RecordBatch:
        names, rows = self.options.columns or decoded.rows.schema.names, decoded.rows
        there = {name: rows.column(name) if name in rows.schema.names else pa.nulls(rows.num_rows) for name in names}
        for kind in self.options.metadata:
            name = f"kafka_{kind}"
            if name in there:
                raise DataError(f"{piece.name}: values have a column {name!r} too: leave it out with kafka.columns")
            there[name] = _metadata(kind, decoded.messages)
        return pa.RecordBatch.from_arrays(list(there.values()), list(there))


def registry_of(options: KafkaOptions) -> Registry | None:
    """Returns the registry of schemas, None without one."""
    return Registry(options.schema_registry, options.timeout) if options.schema_registry else None


def _metadata(kind: str, of: Sequence[Any]) -> pa.Array:
    """Returns what messages have beside their values. A header without a value is an empty one."""
    if kind == "key":
        return pa.array([message.key() for message in of], pa.binary())
    if kind == "timestamp":  # of a message without one, -1
        moments = [message.timestamp()[1] for message in of]
        return pa.array([moment if moment >= 0 else None for moment in moments], pa.timestamp("ms", "UTC"))
    if kind == "headers":
        headers = [[(name, value or b"") for name, value in message.headers() or ()] for message in of]
        return pa.array(headers, _HEADERS)
    return pa.array([getattr(message, kind)() for message in of], pa.int64())
