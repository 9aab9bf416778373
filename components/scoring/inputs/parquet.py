"""Rows of Parquet files, whose columns have types of their own."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from penstock.components.example_gen.sources.pieces import FilePiece
from penstock.components.scoring import features as features_
from penstock.components.scoring.features import TYPES, Feature
from penstock.components.scoring.inputs.rows import File, Input, Problem, Reading, Rows
from penstock.core import csv_format
from penstock.core.errors import DataError
from penstock.core.text import printable

_BATCH = 8192
_BUFFER = 1 << 20  # bytes of a column that are read at once; a row group may be larger than memory


@dataclass(frozen=True)
class ParquetInput(Input):
    """Parquet files with the same columns."""

    unit: ClassVar[str] = "row"

    @classmethod
    def open(cls, files: Sequence[File]) -> "ParquetInput":
        """Reads the files' metadata; a DataError for what is no Parquet file, or has other columns than the first."""
        names: tuple[str, ...] = ()
        pieces: list[FilePiece] = []
        for file in files:
            metadata = _metadata(file)
            columns = tuple(metadata.schema.to_arrow_schema().names)
            names = names or columns
            if odd := sorted(set(columns) ^ set(names)):
                raise DataError(f"{file.name}: expected the columns of {files[0].name}, they differ in {odd[0]!r}")
            for index in range(metadata.num_row_groups):
                group = metadata.row_group(index)
                pieces.append(FilePiece(file.path, file.name, index, index + 1, group.total_byte_size))
        return cls(names, pieces)

    def read(self, piece: FilePiece, reading: Reading) -> Iterator[Rows]:
        wanted = list(dict.fromkeys([*reading.written(self.names), *(one.name for one in reading.features)]))
        with pq.ParquetFile(piece.path, buffer_size=_BUFFER) as file:
            for batch in file.iter_batches(_BATCH, range(piece.start, piece.end), columns=wanted, use_threads=False):
                try:
                    rows = _rows(batch, reading, reading.written(self.names))
                except DataError as error:
                    error.message = f"{piece.name}: {error.message}"
                    raise
                yield rows


def _metadata(file: File) -> pq.FileMetaData:
    try:
        return pq.read_metadata(file.path)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{file.name}: expected a whole Parquet file: {error}") from None


def _rows(batch: pa.RecordBatch, reading: Reading, shown: Sequence[str]) -> Rows:
    columns, reasons = {}, dict[int, str]()
    for feature in reading.features:
        columns[feature.name] = lists(batch.column(feature.name), feature, reasons)
    examples, keep = features_.encode(columns, reading.features, reasons, batch.num_rows)
    if reasons or reading.format == "jsonl":
        _require_texts(batch)
    problems = [
        Problem(row, reason, str(batch.slice(row, 1).to_pylist()[0])) for row, reason in sorted(reasons.items())
    ]
    kept = pa.RecordBatch.from_arrays([batch.column(name).filter(keep) for name in shown], list(shown))
    return Rows(kept, examples, problems, batch.num_rows)


def _require_texts(batch: pa.RecordBatch) -> None:
    """Raises a DataError for a column of text that is no UTF-8: nothing can be told of its values."""
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            column.validate(full=True)
        except pa.ArrowInvalid as error:
            raise DataError(f"column {name!r}: expected a column of {column.type}: {error}") from None


def lists(column: pa.Array, feature: Feature, reasons: dict[int, str]) -> pa.Array:
    """Returns a column as lists of the feature's type; adds to `reasons` why rows have no such values.

    Numbers written as text are numbers, whole numbers are text where the model reads text; 3.0 is a whole number. A
    list has a value in each place. Raises a DataError for a column of a type that has no such values.
    """
    if pa.types.is_fixed_size_list(column.type):
        column = column.cast(pa.large_list(column.type.value_type))
    is_list = pa.types.is_list(column.type) or pa.types.is_large_list(column.type)
    if is_list:
        elements, lengths = column.flatten(), pc.fill_null(pc.list_value_length(column), 0)
    else:
        elements, lengths = column.drop_null(), column.is_valid()
    counts = lengths.cast(pa.int64()).to_numpy(zero_copy_only=False)
    try:
        values, bad = _values(elements, feature)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        received = f"found a column of {column.type}: {error}"
        raise DataError(f"column {feature.name!r}: expected a {feature.kind} in each row, {received}") from None
    if is_list:
        bad = bad | pc.is_null(elements).to_numpy(zero_copy_only=False)
    if bad.any():
        rows: np.ndarray = np.repeat(np.arange(len(column)), counts)
        for place in np.flatnonzero(bad).tolist():
            received = printable.value(elements[place].as_py())
            reason = f"column {feature.name!r}: expected a {feature.kind}, found {received}"
            reasons.setdefault(int(rows[place]), reason)
    offsets: np.ndarray = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return pa.LargeListArray.from_arrays(pa.array(offsets), values)


def _values(elements: pa.Array, feature: Feature) -> tuple[pa.Array, np.ndarray]:
    """Returns values of the feature's type, and which of them there are none for; there stands any value."""
    if pa.types.is_dictionary(elements.type):
        elements = elements.dictionary_decode()
    kind, target = elements.type, TYPES[feature.kind]
    none: np.ndarray = np.zeros(len(elements), bool)
    if pa.types.is_null(kind):
        return pa.array([None] * len(elements), target), ~none
    if feature.kind == "text":
        if pa.types.is_floating(kind) or pa.types.is_boolean(kind):
            return pa.array([b""] * len(elements), target), ~none
        if not _is_bytes(kind):
            elements = elements.cast(pa.string())
        return pc.fill_null(elements.cast(pa.large_binary()), b""), none | pc.is_null(elements).to_numpy(False)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or _is_bytes(kind):
        texts = elements.cast(pa.large_binary()).cast(pa.large_string()).to_pylist()  # which makes sure of UTF-8
        numbers = [csv_format.number(text or "") for text in texts]
        doubles: np.ndarray = np.array([np.nan if number is None else number for number in numbers], float)
        none |= [number is None for number in numbers]
    elif pa.types.is_temporal(kind):
        return pa.array([0] * len(elements), target), ~none
    elif feature.kind == "whole number" and (pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
        if kind == pa.uint64():  # cast as they are, those beyond 64 bits with a sign would be negative
            none |= pc.greater(elements, pa.scalar(2**63 - 1, kind)).fill_null(False).to_numpy(zero_copy_only=False)
        return elements.cast(pa.int64(), safe=False), none
    else:
        doubles = elements.cast(pa.float64()).to_numpy(zero_copy_only=False)
    if feature.kind == "number":
        with np.errstate(over="ignore"):
            return pa.array(doubles.astype(np.float32)), none
    none |= ~np.isfinite(doubles) | (np.floor(doubles) != doubles) | (np.abs(doubles) >= 2.0**63)
    return pa.array(np.where(none, 0, doubles).astype(np.int64)), none


def _is_bytes(kind: pa.DataType) -> bool:
    return kind in (pa.binary(), pa.large_binary())
