"""Decodes serialized tf.Examples into record batches of list columns, column by column.

tfx_bsl's C++ decoder parses every Example into a map of messages, which takes most of the time of statistics. But
usually all Examples of a batch have the same features in the same order, as encoder.py writes them. Then each step of
parsing can be one array operation over all rows. Every tag, length and name is compared. If anything differs, `decode`
returns None, and the caller uses the C++ decoder, whose result is the same.

The wire format: protobuf's encoding of tensorflow/core/example/{example,feature}.proto, with numbers packed.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

_LENGTH_DELIMITED_1, _LENGTH_DELIMITED_2 = 0x0A, 0x12  # the tags of field 1 and field 2
BYTES_LIST, FLOAT_LIST, INT64_LIST = 0x0A, 0x12, 0x1A  # the tags of Feature's lists
_TYPES = {BYTES_LIST: pa.large_binary(), FLOAT_LIST: pa.float32(), INT64_LIST: pa.int64()}
_PADDING = 16  # bytes after the last Example, which may be read and are never used
type _Ints = npt.NDArray[np.int64]


class _Unexpected(Exception):
    """The Examples do not all have the expected layout."""


def decode(examples: Sequence[bytes], kinds: Mapping[str, int] | None = None) -> pa.RecordBatch | None:
    """Returns the Examples as columns of large lists of int64, float32 or binary, or None if this decoder cannot.

    It cannot if the Examples do not have the same features in the same order, or lack one of `kinds`. A row's list is
    null if its feature has no kind.

    `kinds` holds the names of the columns to decode and the tags of their lists (BYTES_LIST, …); the result has these
    columns in this order. Without it, there is a column for every feature, sorted by name. It is of Arrow's null type
    if the feature has no kind in any row.
    """
    try:
        return _Batch(examples).columns(kinds) if examples else None
    except (_Unexpected, UnicodeDecodeError):
        return None


def are_examples(records: Sequence[bytes]) -> bool:
    """Whether every record consists of a tf.Example's one field and of nothing else; its content is not looked at."""
    if records:
        batch = _Batch(records)
        try:
            batch.delimited(batch.starts, batch.ends, _LENGTH_DELIMITED_1)
        except _Unexpected:
            return False
    return True


class _Batch:
    """The bytes of all Examples of a batch, and the positions where each begins and ends.

    Arguments called `at`, `starts` and `ends` are such positions, one for each row.
    """

    def __init__(self, examples: Sequence[bytes]):
        lengths = np.fromiter(map(len, examples), np.int64, len(examples))
        self.ends = np.cumsum(lengths)
        self.starts = self.ends - lengths
        self.buffer = pa.py_buffer(b"".join([*examples, bytes(_PADDING)]))
        self.data = np.frombuffer(self.buffer, np.uint8)

    def columns(self, kinds: Mapping[str, int] | None) -> pa.RecordBatch:
        columns: dict[str, pa.Array] = {}
        at = self.delimited(self.starts, self.ends, _LENGTH_DELIMITED_1)
        while at[0] != self.ends[0]:
            name = self.name(int(at[0]))
            at, entry_ends = self.message(at, _LENGTH_DELIMITED_1)
            if (entry_ends > self.ends).any():
                raise _Unexpected
            key = bytes([_LENGTH_DELIMITED_1, len(name)]) + name
            at = self.delimited(self.constant(at, key), entry_ends, _LENGTH_DELIMITED_2)
            text = name.decode()
            if text in columns:
                raise _Unexpected
            if kinds is None or text in kinds:
                columns[text] = self.feature(at, entry_ends, None if kinds is None else kinds[text])
            at = entry_ends
        if (at != self.ends).any():
            raise _Unexpected
        if kinds is not None and len(kinds) != len(columns):
            raise _Unexpected
        names = sorted(columns, key=str.encode) if kinds is None else list(kinds)
        return pa.RecordBatch.from_arrays([columns[name] for name in names], names)

    def name(self, entry: int) -> bytes:
        """Returns the feature's name in the first Example's entry."""
        single = np.array([entry])
        key, _ = self.message(single, _LENGTH_DELIMITED_1)
        start, end = self.message(key, _LENGTH_DELIMITED_1)
        if end[0] - start[0] > 127 or end[0] > self.ends[0]:
            raise _Unexpected
        return bytes(self.data[start[0] : end[0]])

    def feature(self, at: _Ints, ends: _Ints, kind: int | None) -> pa.Array:
        """Returns one column: the Feature messages between `at` and `ends`."""
        rows = np.flatnonzero(at != ends)
        if kind is None and len(rows):
            kind = int(self.data[at[rows[0]]])
        if not len(rows):
            return pa.nulls(len(at), pa.null() if kind is None else pa.large_list(_TYPES[kind]))
        if kind not in _TYPES:
            raise _Unexpected
        begin, end = self.delimited(at[rows], ends[rows], kind), ends[rows]
        filled = np.flatnonzero(begin != end)
        counts, values = 0, pa.array([], _TYPES[kind])
        if len(filled):
            counts, values = self.values(begin[filled], end[filled], kind)
        lengths: _Ints = np.zeros(len(at), np.int64)
        lengths[rows[filled]] = counts
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        null: npt.NDArray[np.bool_] = np.ones(len(at) + 1, bool)
        null[rows] = null[-1] = False
        return pa.LargeListArray.from_arrays(pa.array(offsets, mask=null if null.any() else None), values)

    def values(self, at: _Ints, ends: _Ints, kind: int) -> tuple[_Ints, pa.Array]:
        """Returns the number of values of each row, which is at least one, and the values of all rows."""
        if kind == BYTES_LIST:
            order, counts, (starts, stops) = _in_rows(len(at), self.strings(at, ends))
            return counts, self.slices(starts[order], stops[order])
        at = self.delimited(at, ends, _LENGTH_DELIMITED_1)
        if kind == FLOAT_LIST:
            if ((ends - at) % 4).any():
                raise _Unexpected
            counts = (ends - at) // 4
            values = np.frombuffer(self.joined(at, ends), "<f4", int(counts.sum()))
            return counts, pa.array(values, pa.float32())
        order, counts, (numbers,) = _in_rows(len(at), self.integers(at, ends))
        return counts, pa.array(numbers[order], pa.int64())

    def strings(self, at: _Ints, ends: _Ints) -> Iterator[tuple[_Ints, tuple[_Ints, ...]]]:
        """Yields rows and where their first string begins and ends, then the same of second strings, and so on."""
        rows = np.arange(len(at))
        while len(rows):
            starts, stops = self.message(at, _LENGTH_DELIMITED_1)
            if (stops > ends).any():
                raise _Unexpected
            yield rows, (starts, stops)
            rows, at, ends = _unfinished(rows, stops, ends)

    def integers(self, at: _Ints, ends: _Ints) -> Iterator[tuple[_Ints, tuple[_Ints, ...]]]:
        """Yields rows and their first number, then the rows that have a second number and that, and so on."""
        rows = np.arange(len(at))
        while len(rows):
            numbers, stops = self.varints(at)
            if (stops > ends).any():
                raise _Unexpected
            yield rows, (numbers,)
            rows, at, ends = _unfinished(rows, stops, ends)

    def delimited(self, at: _Ints, ends: _Ints, tag: int) -> _Ints:
        """Returns where the content of a length-delimited field begins; the field must end at `ends`."""
        begins, stops = self.message(at, tag)
        if (stops != ends).any():
            raise _Unexpected
        return begins

    def message(self, at: _Ints, tag: int) -> tuple[_Ints, _Ints]:
        """Returns where the content of a length-delimited field begins and ends."""
        if (self.data[at] != tag).any():
            raise _Unexpected
        lengths, begins = self.varints(at + 1)
        if lengths.min() < 0 or lengths.max() > len(self.data):
            raise _Unexpected
        ends = begins + lengths
        if ends.max() > self.ends[-1]:
            raise _Unexpected
        return begins, ends

    def constant(self, at: _Ints, expected: bytes) -> _Ints:
        """Returns where `expected` ends; these bytes must be at `at` in every row."""
        end = at + len(expected)
        if end.max() > self.ends[-1]:
            raise _Unexpected
        if self.joined(at, end) != expected * len(at):
            raise _Unexpected
        return end

    def varints(self, at: _Ints) -> tuple[_Ints, _Ints]:
        """Returns the base-128 numbers at `at`, and where they end."""
        low = self.data[at]
        numbers, ends = low.astype(np.int64), at + 1
        rows = np.flatnonzero(low > 127)
        if not len(rows):
            return numbers, ends
        numbers[rows] &= 127
        for place in range(1, 10):
            digits = self.data[np.minimum(ends[rows], len(self.data) - 1)]
            numbers[rows] |= (digits & 127).astype(np.int64) << (7 * place)
            ends[rows] += 1
            rows = rows[digits > 127]
            if not len(rows):
                return numbers, ends
        raise _Unexpected

    def joined(self, starts: _Ints, ends: _Ints) -> bytes:
        """Returns the bytes between each start and end, joined."""
        buffer = self.slices(starts, ends).buffers()[2]
        return b"" if buffer is None else bytes(buffer.slice(0, int((ends - starts).sum())))

    def slices(self, starts: _Ints, ends: _Ints) -> pa.LargeBinaryArray:
        """Returns the bytes between each start and end, an element for each; starts must ascend."""
        bounds: _Ints = np.empty(2 * len(starts) + 1, np.int64)
        bounds[0:-1:2], bounds[1::2], bounds[-1] = starts, ends, len(self.data)
        parts = pa.LargeBinaryArray.from_buffers(
            pa.large_binary(), 2 * len(starts), [None, pa.py_buffer(bounds), self.buffer]
        )
        return parts.take(pa.array(np.arange(0, 2 * len(starts), 2)))


def _unfinished(rows: _Ints, at: _Ints, ends: _Ints) -> tuple[_Ints, _Ints, _Ints]:
    more = np.flatnonzero(at != ends)
    return rows[more], at[more], ends[more]


def _in_rows(
    size: int, rounds: Iterator[tuple[_Ints, tuple[_Ints, ...]]]
) -> tuple[_Ints | slice, _Ints, tuple[_Ints, ...]]:
    """Joins rounds of values (the first value of each row, the second, …).

    Returns the order that sorts the joined values by row, the number of values of each row, and the joined values.
    """
    (first_rows, first_parts), *others = rounds
    if not others:
        return slice(None), np.ones(size, np.int64), first_parts
    rows = np.concatenate([first_rows, *(rows for rows, _ in others)])
    parts = tuple(np.concatenate(part) for part in zip(first_parts, *(parts for _, parts in others), strict=True))
    return np.argsort(rows, kind="stable"), np.bincount(rows, minlength=size), parts
