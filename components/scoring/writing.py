"""Rows with their predictions as CSV, JSON lines or Parquet.

Workers encode what they have scored, and the calling process writes it: `encode` is a function of a batch alone.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from penstock.components.scoring.inputs.json_lines import JSON
from penstock.components.scoring.inputs.rows import Format, Style
from penstock.core.errors import DataError

type Encoded = bytes | pa.RecordBatch


def encode(batch: pa.RecordBatch, form: Format, style: Style) -> Encoded:
    """Returns what is written of a batch."""
    if form == "csv":
        return csv_lines(batch, style)
    return json_lines(batch) if form == "jsonl" else batch


@contextmanager
def writer(path: Path, form: Format, header: Sequence[str], style: Style) -> Iterator[Callable[[Encoded], None]]:
    """Yields a function that writes what `encode` returns; CSV begins with the header.

    A Parquet file without rows has the header's columns, of no type.
    """
    if form != "parquet":
        with open(path, "wb") as file:
            if form == "csv":
                cells = pa.RecordBatch.from_arrays([pa.array([name]) for name in header], list(header))
                file.write(csv_lines(cells, style))
            yield functools.partial(_append, file)
        return
    parquet: list[pq.ParquetWriter] = []

    def append(encoded: Encoded) -> None:
        assert isinstance(encoded, pa.RecordBatch)
        if not parquet:
            parquet.append(pq.ParquetWriter(path, encoded.schema))
        parquet[0].write_batch(_like(encoded, parquet[0].schema))

    try:
        yield append
        if not parquet:
            parquet.append(pq.ParquetWriter(path, pa.schema([(name, pa.null()) for name in header])))
    finally:
        for one in parquet:
            one.close()


def _append(file: BinaryIO, encoded: Encoded) -> None:
    assert isinstance(encoded, bytes)
    file.write(encoded)


def _like(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Returns a batch in the columns of the first one."""
    if batch.schema.equals(schema):
        return batch
    arrays = []
    for field in schema:
        column = batch.column(field.name)
        try:
            arrays.append(column.cast(field.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            raise DataError(
                f"column {field.name!r} is of {field.type} in the first rows, and later of {column.type}: Parquet has "
                "one type for a column: write JSON lines or CSV"
            ) from None
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def csv_lines(batch: pa.RecordBatch, style: Style) -> bytes:
    """Returns rows as lines of CSV; cells are quoted where they need it."""
    if not batch.num_rows:
        return b""
    columns = [_quoted(_texts(column, style), style) for column in batch.columns]
    delimiter, end, nothing = (pa.scalar(text, pa.large_string()) for text in (style.delimiter, "\n", ""))
    lines = pc.binary_join_element_wise(*columns, delimiter, null_handling="replace", null_replacement="")
    ended = pc.binary_join_element_wise(lines, nothing, end)
    return _content(ended)


def _content(texts: pa.Array) -> bytes:
    """Returns the bytes of all texts of an array, one after the other."""
    _, offsets, data = texts.buffers()
    width = 8 if pa.types.is_large_string(texts.type) else 4
    last = int.from_bytes(memoryview(offsets)[width * len(texts) : width * (len(texts) + 1)], "little")
    return bytes(memoryview(data)[:last])


def _texts(column: pa.Array, style: Style) -> pa.Array:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.dictionary_decode(), column.type.value_type
    if pa.types.is_nested(kind):
        texts = [
            None if value is None else orjson.dumps(value, default=_plain).decode() for value in column.to_pylist()
        ]
        return pa.array(texts, pa.large_string())
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return pa.array([value and value.decode(errors="replace") for value in column.to_pylist()], pa.large_string())
    texts = column.cast(pa.large_string())
    if pa.types.is_floating(kind) and style.decimal_point != ".":
        return pc.replace_substring(texts, ".", style.decimal_point)
    return texts


def _quoted(texts: pa.Array, style: Style) -> pa.Array:
    quote = style.quote_char
    needs = pc.match_substring_regex(texts, f"[{_escaped(style.delimiter + quote)}\r\n]")
    if not pc.any(needs).as_py():
        return texts
    doubled = pc.replace_substring(texts, quote, quote + quote)
    ends = pa.scalar(quote, texts.type)
    return pc.if_else(needs, pc.binary_join_element_wise(ends, doubled, ends, pa.scalar("", texts.type)), texts)


def _escaped(characters: str) -> str:
    return "".join(f"\\{character}" if character in "\\]^-[" else character for character in characters)


def json_lines(batch: pa.RecordBatch) -> bytes:
    """Returns rows as JSON lines. What comes from JSON is written as it was, where a value is missing nothing is."""
    names = [orjson.dumps(field.name) for field in batch.schema]
    texts = [
        _json_texts(column, bool(field.metadata and field.metadata.get(b"penstock") == JSON[b"penstock"]))
        for field, column in zip(batch.schema, batch.columns, strict=True)
    ]
    lines = []
    for row in zip(*texts, strict=True):
        items = b",".join(name + b":" + text for name, text in zip(names, row, strict=True) if text is not None)
        lines.append(b"{" + items + b"}\n")
    return b"".join(lines)


def _json_texts(column: pa.Array, is_json: bool) -> list[bytes | None]:
    values = column.to_pylist()
    if is_json:
        return [None if text is None else text.encode() for text in values]
    if pa.types.is_float32(column.type):  # with the digits that the number has, and no more
        return [
            b"null" if text is None or text in ("nan", "inf", "-inf") else text.encode() for text in _shortest(column)
        ]
    return [orjson.dumps(value, default=_plain) for value in values]


def _shortest(column: pa.Array) -> list[str | None]:
    texts: list[str | None] = column.cast(pa.string()).to_pylist()
    return texts


def _plain(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
