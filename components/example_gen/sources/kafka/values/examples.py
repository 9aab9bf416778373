"""Values that are tf.Examples."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from penstock.components.example_gen.sources.kafka.values import Decoded, Decoder, Unreadable, sifted
from penstock.core.examples import records


class ExampleDecoder(Decoder):
    def decode(self, messages: Sequence[Any]) -> Decoded:
        try:
            return Decoded(messages, _columns([message.value() for message in messages]), [])
        except (RuntimeError, ValueError):
            good, _, bad = sifted(messages, _checked)
        return Decoded(good, _columns([message.value() for message in good]), bad)


def _columns(examples: list[bytes]) -> pa.RecordBatch:
    return records.decode(examples) if examples else pa.RecordBatch.from_pylist([])


def _checked(value: bytes) -> None:
    try:
        records.decode([value])
    except (RuntimeError, ValueError) as error:
        raise Unreadable(f"it is no tf.Example ({error})") from None
