"""Values of CSV, a row each, of columns that are named: numbers where all rows of a column have numbers."""

import csv
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv

from penstock.components.example_gen.sources.kafka.options import CsvOptions
from penstock.components.example_gen.sources.kafka.quarantine import Bad
from penstock.components.example_gen.sources.kafka.values import Decoded, Decoder, Unreadable, sifted


class CsvDecoder(Decoder):
    """Only the empty cell is missing, as in files of CSV."""

    def __init__(self, options: CsvOptions) -> None:
        self.options = options

    def decode(self, messages: Sequence[Any]) -> Decoded:
        try:
            rows = self._read([message.value() for message in messages])
        except pa.ArrowInvalid:
            rows = None
        bad: list[Bad] = []
        if rows is None or rows.num_rows != len(messages):
            messages, values, bad = sifted(messages, self._checked)
            rows = self._read(values) if values else pa.RecordBatch.from_pylist([])
        typed = {name: self._typed(name, column) for name, column in zip(rows.schema.names, rows.columns, strict=True)}
        return Decoded(messages, pa.RecordBatch.from_arrays(list(typed.values()), list(typed)), bad)

    def _read(self, values: Sequence[bytes]) -> pa.RecordBatch:
        names = self.options.column_names
        table = pv.read_csv(
            pa.BufferReader(b"\n".join(value.rstrip(b"\r\n") for value in values)),
            pv.ReadOptions(use_threads=False, column_names=names, block_size=max(1 << 20, sum(map(len, values)) * 2)),
            pv.ParseOptions(delimiter=self.options.delimiter, newlines_in_values=True, ignore_empty_lines=False),
            pv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), null_values=[""], strings_can_be_null=True
            ),
        )
        return table.combine_chunks().to_batches()[0]

    def _checked(self, value: bytes) -> bytes:
        """Returns a value that is one row; raises Unreadable for any other."""
        try:
            rows = list(
                csv.reader(value.decode().splitlines(keepends=True), delimiter=self.options.delimiter, strict=True)
            )
        except (UnicodeDecodeError, csv.Error) as error:
            raise Unreadable(f"it is no row of CSV ({error})") from None
        cells, columns = sum(map(len, rows)), len(self.options.column_names)
        if len(rows) != 1 or cells != columns:
            raise Unreadable(f"expected one row of {columns} cells, found {len(rows)} of {cells}")
        return value

    def _typed(self, name: str, column: pa.Array) -> pa.Array:
        if name in self.options.text_columns:
            return column
        if column.null_count == len(column):
            return pa.nulls(len(column))
        for arrow in (pa.int64(), pa.float64()):
            try:
                return pc.cast(column, arrow)
            except pa.ArrowInvalid:
                continue
        return column
