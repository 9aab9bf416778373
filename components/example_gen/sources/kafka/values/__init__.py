"""What the values of messages become: a module for each format."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from penstock.components.example_gen.sources.kafka.quarantine import Bad


class Decoded(NamedTuple):
    """The messages whose values could be read, their rows in the same order, and the others."""

    messages: Sequence[Any]
    rows: pa.RecordBatch
    bad: list[Bad]


class Decoder(ABC):
    """Reads values. It is made for each piece, in the process that reads it."""

    @abstractmethod
    def decode(self, messages: Sequence[Any]) -> Decoded:
        """Returns what the values of messages are; a DataError for what concerns more than one message."""


class TypedDecoder(Decoder):
    """Reads values with a schema."""

    @property
    @abstractmethod
    def names(self) -> list[str]:
        """The names of all columns that values have, those that are not wanted too."""

    @property
    @abstractmethod
    def schema(self) -> pa.Schema:
        """The columns that are wanted; a DataError for a type that is no column."""


class Unreadable(Exception):
    """A value that is not what its format wants; the text says why."""


def sifted[Row](messages: Sequence[Any], read: Callable[[bytes], Row]) -> tuple[list[Any], list[Row], list[Bad]]:
    """Reads values one by one. Returns the messages that could be read, what they are, and the others."""
    good, rows, bad = [], [], []
    for message in messages:
        try:
            rows.append(read(message.value()))
            good.append(message)
        except Unreadable as error:
            bad.append(Bad(message, str(error)))
    return good, rows, bad


def where(messages: Sequence[Any], row: int | None = None) -> str:
    """Returns the place of messages, or of the one that is a row of them."""
    first, last = messages[0 if row is None else row], messages[-1 if row is None else row]
    begin, end = first.offset(), last.offset()
    offsets = f"offset {begin}" if begin == end else f"offsets {begin} to {end}"
    return f"topic {first.topic()}, partition {first.partition()}, {offsets}"
