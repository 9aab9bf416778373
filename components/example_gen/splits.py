"""Which output split a row belongs to: TFX's own assignment, so that a pipeline that moves here keeps its splits.

The bucket is the SHA-256 of the serialized Example (or of one feature of it) modulo the buckets' sum. It depends on
nothing but the row: not on its place, the file it stands in, or the rows around it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import pyarrow as pa

from penstock.components.example_gen.configs import OutputSplits
from penstock.core.errors import DataError
from penstock.core.examples import encoder
from penstock.core.suggestions import did_you_mean


@dataclass(frozen=True)
class Splitter:
    """Assigns rows to `splits.names` by hash."""

    splits: OutputSplits

    def assign(self, columns: pa.RecordBatch, canonical: Sequence[bytes], where: str) -> np.ndarray:
        """Returns each row's index into `splits.names`.

        Args:
          columns: the rows as list columns.
          canonical: the rows as Examples in protobuf's deterministic form.
          where: what to name in an error, the file.

        Raises a DataError if the partition feature does not exist, is no integer and no bytes, or has no kind.
        """
        ends = np.cumsum(self.splits.buckets)
        name = self.splits.partition_feature_name
        if not name:
            return _split(canonical, ends)
        column = self._partition_column(columns, where)
        encoded = encoder.encode_feature(column).dictionary_encode()
        distinct: list[bytes] = encoded.dictionary.to_pylist()
        if b"" in distinct:
            raise DataError(f"{where}: partition feature {name!r}: expected in every row, found a row without it")
        rows: np.ndarray = _split(distinct, ends)[encoded.indices.to_numpy()]
        return rows

    def _partition_column(self, columns: pa.RecordBatch, where: str) -> pa.Array:
        name = self.splits.partition_feature_name
        if name not in columns.schema.names:
            hint = did_you_mean(name, columns.schema.names, "the columns are")
            raise DataError(f"{where}: partition feature {name!r} does not exist; {hint}")
        column = columns.column(name)
        if not pa.types.is_null(column.type) and pa.types.is_floating(column.type.value_type):
            raise DataError(f"{where}: partition feature {name!r}: expected integers or bytes, found floats")
        return column


def _split(keys: Sequence[bytes], ends: np.ndarray) -> np.ndarray:
    """Returns the index of the first of `ends` above each key's bucket."""
    indices: np.ndarray = np.digitize(_buckets(keys, int(ends[-1])), ends)
    return indices


def _buckets(keys: Sequence[bytes], count: int) -> np.ndarray:
    """Returns each key's SHA-256, as a big-endian number, modulo `count` (less than 2**32)."""
    words: np.ndarray = np.frombuffer(b"".join([sha256(key).digest() for key in keys]), ">u4").reshape(-1, 8)
    rest: np.ndarray = np.zeros(len(words), np.uint64)
    for place in range(8):
        rest = ((rest << np.uint64(32)) | words[:, place].astype(np.uint64)) % np.uint64(count)
    return rest.astype(np.int64)
