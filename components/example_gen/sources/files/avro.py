"""Avro files: ranges of blocks as shards. fastavro decodes the records, Arrow makes columns of them."""

import bz2
import io
import itertools
import json
import lzma
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from penstock.components.example_gen.sources.files import avro_types, separators
from penstock.components.example_gen.sources.files.tables import Table, TableFiles
from penstock.components.example_gen.sources.pieces import FilePiece
from penstock.core.errors import DataError, UserError
from penstock.core.examples import records
from penstock.core.files import data_files, documents
from penstock.core.files.data_files import DataFile

_MAGIC = b"Obj\x01"
_SYNC = 16  # bytes of the marker behind the header and behind each block
_HEADER = 64 << 10  # bytes that most headers fit in
_LONGEST_HEADER = 16 << 20


@dataclass(frozen=True)
class _Header:
    """What an Avro file says of itself: how its blocks are compressed, its schema, and where its blocks begin."""

    codec: str
    schema: Any
    sync: bytes
    end: int


@dataclass(frozen=True)
class AvroSource(TableFiles):
    """Reads Avro files, of any of Avro's codecs."""

    format_name: ClassVar[str] = "Avro"

    @classmethod
    def table(cls, file: DataFile) -> Table:
        header = _header(file)
        pieces = separators.pieces(file, str(file), header.end)
        return Table(avro_types.schema(header.schema, str(file)), tuple(pieces))

    def rows_of(self, piece: FilePiece) -> Iterator[pa.RecordBatch]:
        """Yields the rows of the blocks that begin in a piece."""
        header = _header(piece.path)
        schema = avro_types.schema(header.schema, piece.name)
        schema = pa.schema([schema.field(name) for name in self.columns])
        try:
            rows = _rows(header, separators.content(piece, header.sync, header.end))
            while some := list(itertools.islice(rows, records.BATCH_SIZE)):
                columns = [pa.array([row[name] for row in some], schema.field(name).type) for name in self.columns]
                yield pa.RecordBatch.from_arrays(columns, schema=schema)
        except (ValueError, TypeError, EOFError, IndexError, KeyError, zlib.error, lzma.LZMAError, OSError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"{piece.name}: the Avro data is damaged: {error}") from None


def _header(file: DataFile) -> _Header:
    start = data_files.content(file, 0, _HEADER)
    if not start.startswith(_MAGIC):
        raise DataError(f"{file}: expected an Avro file, found other data")
    header = _read_header(start)
    if header is None:
        header = _read_header(data_files.content(file, 0, _LONGEST_HEADER))
    if header is None:
        raise DataError(f"{file}: expected a whole Avro file, found a header that does not end, or is damaged")
    if header.codec not in _CODECS:
        raise DataError(f"{file}: expected a codec of {', '.join(_CODECS)}, found {header.codec!r}")
    return header


def _read_header(start: bytes) -> _Header | None:
    """Returns the header that a file begins with; None if it goes on, or is none."""
    stream = io.BytesIO(start)
    try:
        values = _fastavro().schemaless_reader(stream, _HEADER_SCHEMA, None)
        meta = values["meta"]
        schema = documents.parse_json(meta["avro.schema"].decode())
    except (EOFError, ValueError, KeyError, IndexError, UnicodeDecodeError, OverflowError, MemoryError):
        return None
    return _Header(meta.get("avro.codec", b"null").decode(), schema, values["sync"], stream.tell())


def _rows(header: _Header, blocks: bytes) -> Iterator[Mapping[str, Any]]:
    """Yields the records of compressed blocks: fastavro reads them as a file of its own, without compression."""
    fastavro = _fastavro()
    plain = io.BytesIO()
    meta = {"avro.schema": json.dumps(header.schema).encode(), "avro.codec": b"null"}
    fastavro.schemaless_writer(plain, _HEADER_SCHEMA, {"magic": _MAGIC, "meta": meta, "sync": header.sync})
    decompress = _CODECS[header.codec]
    stream = io.BytesIO(blocks)
    while stream.tell() < len(blocks):
        count, size = (fastavro.schemaless_reader(stream, "long", None) for _ in range(2))
        content = stream.read(size)
        if len(content) < size or stream.read(_SYNC) != header.sync:
            raise ValueError("a block does not end where it should")
        content = decompress(content)
        for number in (count, len(content)):
            fastavro.schemaless_writer(plain, "long", number)
        plain.write(content + header.sync)
    plain.seek(0)
    return iter(fastavro.reader(plain))


def _fastavro() -> Any:
    try:
        import fastavro
    except ImportError:
        raise UserError("to read Avro files takes fastavro: pip install 'penstock[avro]'") from None
    return fastavro


def _snappy(content: bytes) -> bytes:
    """Raw Snappy, which begins with the content's length, and a checksum behind it."""
    length, shift = 0, 0
    for byte in content:
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    plain = pa.Codec("snappy").decompress(content[:-4], length, asbytes=True)
    if zlib.crc32(plain) != int.from_bytes(content[-4:], "big"):
        raise ValueError("a block does not match its checksum")
    return bytes(plain)


def _zstandard(content: bytes) -> bytes:
    with pa.CompressedInputStream(pa.BufferReader(content), "zstd") as stream:
        return bytes(stream.read())


_CODECS: Mapping[str, Callable[[bytes], bytes]] = {
    "null": bytes,
    "deflate": lambda content: zlib.decompress(content, -zlib.MAX_WBITS),
    "bzip2": bz2.decompress,
    "xz": lzma.decompress,
    "snappy": _snappy,
    "zstandard": _zstandard,
}
_HEADER_SCHEMA = {
    "type": "record",
    "name": "org.apache.avro.file.Header",
    "fields": [
        {"name": "magic", "type": {"type": "fixed", "name": "magic", "size": 4}},
        {"name": "meta", "type": {"type": "map", "values": "bytes"}},
        {"name": "sync", "type": {"type": "fixed", "name": "sync", "size": _SYNC}},
    ],
}
