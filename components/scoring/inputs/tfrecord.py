"""Rows of TFRecord files of tf.Examples, which the model gets as they are."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from tensorflow_metadata.proto.v0 import schema_pb2

from penstock.components.example_gen.sources.pieces import FilePiece
from penstock.components.scoring import features as features_
from penstock.components.scoring.features import Feature
from penstock.components.scoring.inputs.rows import File, Input, Problem, Reading, Rows
from penstock.core.errors import DataError
from penstock.core.examples import records

_TYPES = {"number": schema_pb2.FLOAT, "whole number": schema_pb2.INT, "text": schema_pb2.BYTES}
_FIRST = 100  # records that are looked at
_ERRORS = (RuntimeError, ValueError)  # of what does not decode


@dataclass(frozen=True)
class TFRecordInput(Input):
    """TFRecord files. `names` are the features that the first records have."""

    unit: ClassVar[str] = "record"

    @classmethod
    def open(cls, files: Sequence[File]) -> "TFRecordInput":
        """Looks at the first records; a DataError for a file that is none of tf.Examples."""
        pieces, has_more = [], False
        names: list[str] = []
        for file in files:
            size = file.path.stat().st_size
            pieces.append(FilePiece(file.path, file.name, 0, size, size))
            first = next(records.read(file.path, _FIRST), [])
            has_more = has_more or len(first) == _FIRST
            names += _names(first, file.name)
        return cls(tuple(dict.fromkeys(names)), pieces, has_more_names=has_more)

    def read(self, piece: FilePiece, reading: Reading) -> Iterator[Rows]:
        for serialized in records.read(piece.path):
            keep, problems = _checked(serialized, reading.features)
            kept = [record for record, is_kept in zip(serialized, keep.tolist(), strict=True) if is_kept]
            try:
                shown = _shown(kept, reading.written(self.names))
            except _ERRORS as error:
                raise DataError(f"{piece.name}: expected tf.Examples with the same features: {error}") from None
            yield Rows(shown, kept, problems, len(serialized))


def _names(serialized: list[bytes], file: str) -> list[str]:
    """Returns the features that records have; those that are no tf.Examples are passed over, unless all are."""
    names: dict[str, None] = {}
    errors = []
    for record in serialized:
        try:
            names.update(dict.fromkeys(records.decode([record]).schema.names))
        except _ERRORS as error:
            errors.append(error)
    if errors and len(errors) == len(serialized):
        raise DataError(f"{file}: expected serialized tf.Examples: {errors[0]}")
    return list(names)


def _checked(serialized: list[bytes], features: Sequence[Feature]) -> tuple[np.ndarray, list[Problem]]:
    """Returns which records have the features that the model reads, and why others do not."""
    schema = schema_pb2.Schema()
    for feature in features:
        schema.feature.add(name=feature.name, type=_TYPES[feature.kind])
    wanted = schema if features else None
    reasons: dict[int, str] = {}
    try:
        _check(serialized, wanted, features, reasons, range(len(serialized)))
    except _ERRORS:
        for row, record in enumerate(serialized):
            try:
                _check([record], wanted, features, reasons, [row])
            except _ERRORS as error:
                reasons[row] = f"expected a tf.Example with the features that the model reads: {error}"
    keep: np.ndarray = np.array([row not in reasons for row in range(len(serialized))], bool)
    return keep, [Problem(row, reason, "") for row, reason in sorted(reasons.items())]


def _check(
    serialized: list[bytes],
    schema: schema_pb2.Schema | None,
    features: Sequence[Feature],
    reasons: dict[int, str],
    rows: Sequence[int],
) -> None:
    """Adds to `reasons`, by the numbers in `rows`, what `features.check` does; raises what `records.decode` does."""
    columns = records.decode(serialized, schema)
    wrong: dict[int, str] = {}
    for feature in features:
        features_.check(feature, columns.column(columns.schema.names.index(feature.name)), wrong)
    reasons.update({rows[row]: reason for row, reason in wrong.items()})


def _shown(serialized: list[bytes], names: Sequence[str]) -> pa.RecordBatch:
    """Returns features as columns: of one value where no row has more, else lists."""
    columns = records.decode(serialized) if serialized else pa.RecordBatch.from_pydict({})
    arrays = []
    for name in names:
        if name not in columns.schema.names:
            arrays.append(pa.nulls(len(serialized), pa.string()))
            continue
        column = columns.column(columns.schema.names.index(name))
        arrays.append(_values(column))
    return pa.RecordBatch.from_arrays(arrays, list(names))


def _values(column: pa.Array) -> pa.Array:
    if pa.types.is_null(column.type):
        return pa.nulls(len(column), pa.string())
    lengths = pc.fill_null(pc.list_value_length(column), 0)
    values = column.flatten()
    if pa.types.is_large_binary(values.type):
        values = pa.array([value.decode(errors="replace") for value in values.to_pylist()], pa.string())
    offsets: np.ndarray = np.concatenate([[0], np.cumsum(lengths.to_numpy(zero_copy_only=False))]).astype(np.int64)
    lists = features_.without_empty(pa.LargeListArray.from_arrays(pa.array(offsets), values))
    return lists if (pc.max(lengths).as_py() or 0) > 1 else pc.list_element(lists, 0)
