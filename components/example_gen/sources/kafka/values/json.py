"""Values of JSON, an object each: those of a batch are joined to lines that Arrow reads at once."""

import json
import re
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.json as pj

from penstock.components.example_gen.sources.kafka.registry import framed
from penstock.components.example_gen.sources.kafka.values import Decoded, Decoder, Unreadable, sifted, where
from penstock.core.errors import DataError

_ROW = re.compile(r" in row (\d+)")


class JsonDecoder(Decoder):
    """Text stays as it is written, times too. `is_framed` is whether a registry's header is before each object."""

    def __init__(self, is_framed: bool) -> None:
        self.is_framed = is_framed
        self._texts: dict[str, pa.DataType] = {}  # columns in which Arrow would take text for times

    def decode(self, messages: Sequence[Any]) -> Decoded:
        values = [message.value() for message in messages]
        if not self.is_framed and all(value[:1] == b"{" for value in values):
            try:
                rows = self._read(values)
            except pa.ArrowInvalid:
                rows = None
            if rows is not None and rows.num_rows == len(values):
                return Decoded(messages, rows, [])
        good, texts, bad = sifted(messages, self._text)
        if not good:
            return Decoded([], pa.RecordBatch.from_pylist([]), bad)
        try:
            return Decoded(good, self._read(texts), bad)
        except pa.ArrowInvalid as error:
            row = _ROW.search(str(error))
            place = where(good, int(row[1]) if row and int(row[1]) < len(good) else None)
            reason = str(error).removeprefix("JSON parse error: ")
            raise DataError(
                f"{place}: {reason}: expected values of one type in each column: write them alike, or leave the column "
                "out of kafka.columns"
            ) from None

    def _text(self, value: bytes) -> bytes:
        """Returns a value in one line; raises Unreadable for what is no object."""
        try:
            parsed = json.loads(framed(value).payload if self.is_framed else value)
        except (ValueError, RecursionError) as error:
            raise Unreadable(f"it is no JSON ({error})") from None
        if not isinstance(parsed, dict):
            raise Unreadable("it is no JSON object")
        return json.dumps(parsed).encode()

    def _read(self, values: Sequence[bytes]) -> pa.RecordBatch:
        lines = b"\n".join(values)
        try:
            table = self._table(lines, self._texts)
        except pa.ArrowInvalid:
            if not self._texts:
                raise
            table = self._table(lines, {})  # a column has another type than in the batch before
        times = {field.name: as_text for field in table.schema if (as_text := _without_times(field.type)) != field.type}
        if times:
            self._texts |= times
            table = self._table(lines, times)
        batches = table.combine_chunks().to_batches()
        return batches[0] if batches else pa.RecordBatch.from_pylist([{}] * table.num_rows)

    def _table(self, lines: bytes, texts: dict[str, pa.DataType]) -> pa.Table:
        return pj.read_json(
            pa.BufferReader(lines),
            pj.ReadOptions(use_threads=False, block_size=len(lines) + 1),
            pj.ParseOptions(explicit_schema=pa.schema(list(texts.items())) if texts else None, newlines_in_values=True),
        )


def _without_times(arrow: pa.DataType) -> pa.DataType:
    """Returns a type with text where Arrow has found times."""
    if pa.types.is_timestamp(arrow):
        return pa.string()
    if pa.types.is_struct(arrow):
        return pa.struct([(field.name, _without_times(field.type)) for field in arrow])
    if pa.types.is_list(arrow):
        return pa.list_(_without_times(arrow.value_type))
    return arrow
