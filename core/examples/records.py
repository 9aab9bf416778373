"""tf.Examples as Arrow record batches of list columns, as in TFXIO, and in gzip TFRecord files.

Nothing here imports TensorFlow. The same records give the same bytes.

    write(path, encode(batch))
    for batch in read_batches([path]):
        print(batch.num_rows)
"""

import contextlib
import itertools
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import google_crc32c
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from tfx_bsl.cc.tfx_bsl_extension import coders  # type: ignore[import-untyped]
from zlib_ng import zlib_ng  # the format and the calls of zlib, in half of its time

from penstock.core.errors import DataError, SchemaError
from penstock.core.examples import decoder as example_decoder
from penstock.core.examples import encoder, payloads, sequences
from penstock.core.examples.payloads import PayloadFormat
from penstock.core.files import atomic, compression
from penstock.core.files.data_files import DataFile

if TYPE_CHECKING:  # ExampleGen needs no schema, and importing it takes a tenth of a second
    from tensorflow_metadata.proto.v0 import schema_pb2

BATCH_SIZE = 8192
_READ_BYTES = 1 << 20
_INFLATED_BYTES = 16 << 20  # at a time: a megabyte of gzip may be a gigabyte
_BATCH_BYTES = 32 << 20
_LONGEST_RECORD = 1 << 31  # bytes: protobuf reads no longer message
_LEVEL = 2  # of zlib-ng: files as small as with zlib's level 1
# The tags of tf.train.Feature's lists by the type in a schema: schema_pb2's BYTES, INT and FLOAT.
_LISTS = {1: example_decoder.BYTES_LIST, 2: example_decoder.INT64_LIST, 3: example_decoder.FLOAT_LIST}
_STRUCT = 4  # schema_pb2's
_SAID_BY = f"of these, the artifact's metadata has {payloads.PROPERTY} {payloads.TF_SEQUENCE_EXAMPLE}"
_LENGTH = struct.Struct("<Q")
_CHECKSUM = struct.Struct("<I")


def encode(batch: pa.RecordBatch, skip_nulls: bool = False) -> list[bytes]:
    """Returns each row of a record batch as a serialized tf.Example; encoder.py describes columns, nulls and errors."""
    rows: list[bytes] = encoder.encode(batch, skip_nulls).to_numpy(zero_copy_only=False).tolist()
    return rows  # a third of the time that to_pylist takes


def decode(
    examples: Sequence[bytes],
    schema: "schema_pb2.Schema | None" = None,
    payload_format: PayloadFormat = payloads.TF_EXAMPLE,
) -> pa.RecordBatch:
    """Returns serialized records as list columns: those of the schema, else all that occur, sorted by name.

    Of tf.SequenceExamples these are the columns of the context, and `##SEQUENCE##`, structs of lists of lists.

    Raises tfx_bsl's RuntimeError or ValueError if the records are no such messages, or do not fit the schema or one
    another. Raises HasFeatureLists, a ValueError, for a tf.SequenceExample among tf.Examples.
    """
    return _Decoder(schema, payload_format).decode(list(examples))


class HasFeatureLists(ValueError):
    """The record `index` of those to decode is a tf.SequenceExample, where tf.Examples were expected."""

    def __init__(self, index: int):
        super().__init__(f"a record has feature_lists, so it is a tf.SequenceExample; {_SAID_BY}")
        self.index = index


def refuse_structs(schema: "schema_pb2.Schema") -> None:
    """Raises a SchemaError if the schema has a feature that only tf.SequenceExamples have."""
    for feature in schema.feature:
        if feature.type == _STRUCT:
            raise SchemaError(f"schema: {feature.name!r} is a struct, which tf.SequenceExamples have; {_SAID_BY}")


class _Decoder:
    """Decodes by columns where it can (decoder.py), else with tfx_bsl's C++; the result is the same."""

    def __init__(self, schema: "schema_pb2.Schema | None", payload_format: PayloadFormat):
        serialized = [] if schema is None else [schema.SerializeToString()]
        self._sequences = payload_format == payloads.TF_SEQUENCE_EXAMPLE
        if self._sequences:
            self._cpp = coders.SequenceExamplesToRecordBatchDecoder(sequences.COLUMN, *serialized)
        else:
            if schema is not None:
                refuse_structs(schema)
            self._cpp = coders.ExamplesToRecordBatchDecoder(*serialized)
        self._kinds: dict[str, int] | None = None
        self._by_columns = schema is None and not self._sequences
        if schema is not None and schema.feature and not self._sequences:
            kinds = {feature.name: _LISTS.get(feature.type, 0) for feature in schema.feature}
            self._kinds, self._by_columns = kinds, 0 not in kinds.values()

    def decode(self, examples: list[bytes]) -> pa.RecordBatch:
        batch = example_decoder.decode(examples, self._kinds) if self._by_columns else None
        if batch is not None:
            return batch
        index = None if self._sequences else sequences.first_with_feature_lists(examples)
        if index is not None:
            raise HasFeatureLists(index)
        return self._cpp.DecodeBatch(examples)


def write(path: Path, records: Iterable[bytes]) -> None:
    """Writes a gzip TFRecord file, whole or not at all."""
    with writer(path) as append:
        iterator = iter(records)
        while batch := list(itertools.islice(iterator, BATCH_SIZE)):
            append(batch)


@contextlib.contextmanager
def writer(path: Path) -> Iterator[Callable[[Sequence[bytes]], None]]:
    """Yields a function that appends records to a gzip TFRecord file; the file appears once the body succeeds."""
    with atomic.replacing(path) as temporary, open(temporary, "wb") as file:
        compressor = zlib_ng.compressobj(level=_LEVEL, wbits=31)  # gzip without a time stamp
        headers = _Headers()

        def append(records: Sequence[bytes]) -> None:
            checksums = np.fromiter(map(google_crc32c.value, records), np.uint64, len(records))
            parts: list[bytes] = [b""] * (3 * len(records))
            parts[0::3] = map(headers.__getitem__, map(len, records))
            parts[1::3] = records
            parts[2::3] = _mask(checksums).astype("<u4").view("V4").tolist()  # four bytes each
            file.write(compressor.compress(b"".join(parts)))

        yield append
        file.write(compressor.flush())


class _Headers(dict[int, bytes]):
    """The bytes before a record, by its length: the length and the checksum of that."""

    def __missing__(self, length: int) -> bytes:
        packed = _LENGTH.pack(length)
        self[length] = header = packed + _CHECKSUM.pack(_mask(google_crc32c.value(packed)))
        return header


def begins(start: bytes) -> bool:
    """Whether a file that begins with `start` is a TFRecord file: its length field has its checksum."""
    return len(start) >= 12 and start[:12] == _Headers()[_LENGTH.unpack_from(start)[0]]


def read(path: DataFile, batch_size: int = BATCH_SIZE) -> Iterator[list[bytes]]:
    """Yields the records of a TFRecord file, compressed or plain, in lists of up to `batch_size`, about 32 MiB.

    Every checksum is compared. If the file is damaged or ends early, a DataError names the file and the record, after
    what can be read before it (but for the list with a record that does not match its checksum).
    """
    headers = _Headers()
    batch: list[bytes] = []
    stored: list[bytes] = []  # the records' checksums
    count, size = 0, 0
    waiting: list[bytes] = []  # what was read of a record that is not whole yet, which needs so many bytes
    waiting_bytes, needed = 0, 0
    damage: DataError | None = None
    try:
        for chunk in decompressed(path):
            waiting.append(chunk)
            waiting_bytes += len(chunk)
            if waiting_bytes < needed:
                continue
            buffer = b"".join(waiting)
            start, end, needed = 0, len(buffer), 0
            while end - start >= 12:
                (length,) = _LENGTH.unpack_from(buffer, start)
                is_whole = buffer[start : start + 12] == headers[length]
                if not is_whole or length >= _LONGEST_RECORD:
                    raise DataError(f"{path}: record {count + 1} {_wrong_length(length, is_whole, is_first=not count)}")
                content, start_of_next = start + 12, start + length + 16
                if end < start_of_next:
                    needed = start_of_next - start
                    break
                batch.append(buffer[content : start_of_next - 4])
                stored.append(buffer[start_of_next - 4 : start_of_next])
                count += 1
                size += length
                start = start_of_next
                if len(batch) == batch_size or size >= _BATCH_BYTES:
                    _check(path, batch, stored, count)
                    yield batch
                    batch, stored, size = [], [], 0
            waiting, waiting_bytes = [buffer[start:]], end - start
        if waiting_bytes:
            raise DataError(f"{path}: the file ends in the middle of record {count + 1}")
    except DataError as error:
        damage = error
    if batch:
        _check(path, batch, stored, count)
        yield batch
    if damage:
        raise damage


def _wrong_length(length: int, is_whole: bool, is_first: bool) -> str:
    """Says what is wrong with the length field of a record."""
    if is_whole:
        return f"has {length:,} bytes: expected less than 2 GiB"
    return "is damaged (its length does not match its checksum)" + (", or this is no TFRecord file" if is_first else "")


def _check(path: DataFile, records: list[bytes], stored: list[bytes], count: int) -> None:
    """Compares the checksums of the last of `count` records."""
    computed = _mask(np.fromiter(map(google_crc32c.value, records), np.uint64, len(records))).astype("<u4")
    damaged = np.flatnonzero(computed != np.frombuffer(b"".join(stored), "<u4"))
    if len(damaged):
        number = count - len(records) + int(damaged[0]) + 1
        raise DataError(f"{path}: record {number} is damaged (it does not match its checksum)")


def any_record(files: Iterable[Path], payload_format: PayloadFormat) -> bool:
    """Whether the files hold a record; a DataError if the first is a tf.SequenceExample and should be a tf.Example."""
    for path in files:
        for first in read(path, batch_size=1):
            if payload_format == payloads.TF_EXAMPLE and sequences.first_with_feature_lists(first) is not None:
                raise DataError(f"{path}: expected tf.Examples: {HasFeatureLists(0)}")
            return True
    return False


def read_batches(
    files: Iterable[Path],
    schema: "schema_pb2.Schema | None" = None,
    batch_size: int = BATCH_SIZE,
    select: Callable[[int], npt.NDArray[np.int64]] | None = None,
    payload_format: PayloadFormat = payloads.TF_EXAMPLE,
) -> Iterator[pa.RecordBatch]:
    """Yields the records of TFRecord files as record batches, as `decode` returns them, in the order of the files.

    `select` takes the number of records of a batch and returns the sorted indices of those to decode; a batch of which
    it selects none is skipped. Raises a DataError that names the file, and the feature whose type differs from the
    schema's or changes.
    """
    decoder = _Decoder(schema, payload_format)
    for path in files:
        for records in read(path, batch_size):
            selected = records if select is None else [records[index] for index in select(len(records))]
            if not selected:
                continue
            try:
                yield decoder.decode(selected)
            except (RuntimeError, ValueError) as error:
                fitting = " that fit the schema" if schema is not None else ""
                reason = str(error).partition(": ")[2] or str(error)
                message = payloads.MESSAGES[payload_format]
                raise DataError(f"{path}: expected serialized {message}s{fitting}: {reason}") from None


def decompressed(path: DataFile) -> Iterator[bytes]:
    """Yields the content of a file, compressed or plain, in pieces; a DataError for what is damaged or cut off."""
    with path.open("rb") as file:
        chunk = file.read(_READ_BYTES)
        how = compression.kind(chunk)
        if not how:
            while chunk:
                yield chunk
                chunk = file.read(_READ_BYTES)
            return
        if how == "gzip":
            yield from _inflated(path, chunk, file)
            return
    with compression.opened(path) as content:
        while chunk := content.read(_READ_BYTES):
            yield chunk


def _inflated(path: DataFile, chunk: bytes, file: BinaryIO) -> Iterator[bytes]:
    inflate = zlib_ng.decompressobj(wbits=31)
    while chunk:
        try:
            yield inflate.decompress(chunk, _INFLATED_BYTES)
        except zlib_ng.error as error:  # type: ignore[misc]  # its stubs do not declare it as an exception
            raise DataError(f"{path}: the gzip data is damaged: {error}") from None
        chunk = inflate.unconsumed_tail or inflate.unused_data or file.read(_READ_BYTES)
        if inflate.eof and chunk:  # several gzip members make one file
            inflate = zlib_ng.decompressobj(wbits=31)
    if not inflate.eof:
        raise DataError(f"{path}: the gzip data ends early: the file was cut off")


def _mask[Checksum: (int, npt.NDArray[np.uint64])](checksum: Checksum) -> Checksum:
    """Returns TFRecord's masked form of CRC-32C checksums, made for checksums of data that itself holds checksums."""
    return (((checksum >> 15) | (checksum << 17)) + 0xA282EAD8) & 0xFFFFFFFF
