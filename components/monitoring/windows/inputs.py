"""The inputs of requests as the features of the schema: serialized tf.Examples, or a tensor for each feature."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from tensorflow_metadata.proto.v0 import schema_pb2

from penstock.components.monitoring.windows import columns
from penstock.components.monitoring.windows.account import Account
from penstock.components.monitoring.windows.payloads.instances import Instances
from penstock.core.examples import payloads, records, sequences

_SERVING = "SERVING"  # the schema's environment of what a model is asked about
_LIVE = (schema_pb2.UNKNOWN_STAGE, schema_pb2.BETA, schema_pb2.PRODUCTION)
_NO_EXAMPLE = "an input that is no tf.Example"
_SEQUENCE = "an input that is a tf.SequenceExample: its context is measured, and its feature_lists are not"

type _Kept = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Features:
    """The features that requests may have, with their Arrow types, and those that are no news in them, as the label.

    `instances` is how they are read from bodies that were kept as they came.
    """

    types: Mapping[str, pa.DataType]
    ignored: frozenset[str]
    instances: Instances

    @classmethod
    def of(cls, schema: schema_pb2.Schema, label: str = "", instances: str = "") -> "Features":
        """Returns those of a schema, without the label and what only training data has.

        `instances` are settings in JSON; a ConfigError if they do not fit the schema.
        """
        asked, ignored = dict[str, pa.DataType](), {label}
        for feature in schema.feature:
            absent = _SERVING in feature.not_in_environment or feature.lifecycle_stage not in _LIVE
            if feature.name == label or absent or feature.type not in columns.TYPES:
                ignored.add(feature.name)
            else:
                asked[feature.name] = columns.TYPES[feature.type]
        return cls(asked, frozenset(ignored), Instances.of(instances, [*asked], frozenset(ignored)))

    def decode(self, inputs: Mapping[str, pa.Array], rows: int, account: Account, where: str) -> "Decoded":
        """Returns the features of so many rows, from the inputs by their names."""
        if len(inputs) == 1:
            ((name, column),) = inputs.items()
            if name not in self.types and _is_text(column.type):
                return self._of_examples(column, account, where)
        every: _Kept = np.ones(rows, bool)
        return Decoded(self._conformed(inputs, rows, account, where), every)

    def _of_examples(self, column: pa.Array, account: Account, where: str) -> "Decoded":
        serialized = column.to_numpy(zero_copy_only=False)
        kept = np.array([isinstance(one, bytes) for one in serialized], bool)
        parts: list[pa.RecordBatch] = []
        waiting = [np.flatnonzero(kept)]
        while waiting:  # the rows in order; those that cannot be decoded together are halved
            indices = waiting.pop()
            if not len(indices):
                continue
            try:
                batch = _decoded(serialized[indices].tolist(), account, where)
            except (RuntimeError, ValueError) as error:
                if len(indices) > 1:
                    middle = len(indices) // 2
                    waiting += [indices[middle:], indices[:middle]]
                    continue
                kept[indices] = False
                account.left_out.add("rows", _NO_EXAMPLE, f"{where}: {error}")
                continue
            found = dict(zip(batch.schema.names, batch.columns, strict=True))
            parts.append(self._conformed(found, len(indices), account, where))
        return Decoded(self._joined(parts), kept)

    def _conformed(self, found: Mapping[str, pa.Array], rows: int, account: Account, where: str) -> pa.RecordBatch:
        """Returns the schema's columns, in its order; counts what it does not know, and values that do not fit."""
        for name, column in found.items():
            if name not in self.types and name not in self.ignored:
                account.unknown[name] += rows - column.null_count
        arrays = []
        for name, kind in self.types.items():
            column = found.get(name)
            if column is None or pa.types.is_null(column.type):
                arrays.append(pa.nulls(rows, pa.large_list(kind)))
            elif column.type.equals(pa.large_list(kind)):
                arrays.append(column)
            else:
                lists = columns.to_lists(column, kind)
                reason = f"feature {name!r}: expected {lists.expected}"
                account.left_out.add("values", reason, f"{where}: found {column.type}", lists.unfit)
                arrays.append(lists.column)
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    @property
    def schema(self) -> pa.Schema:
        """The columns of decoded features."""
        return pa.schema([(name, pa.large_list(kind)) for name, kind in self.types.items()])

    def _joined(self, parts: list[pa.RecordBatch]) -> pa.RecordBatch:
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return pa.RecordBatch.from_pylist([], self.schema)
        arrays = [pa.concat_arrays([part.column(name) for part in parts]) for name in self.types]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)


@dataclass(frozen=True)
class Decoded:
    """Features of the rows that could be decoded, and which of all rows these are."""

    features: pa.RecordBatch
    kept: _Kept


def _decoded(serialized: Sequence[bytes], account: Account, where: str) -> pa.RecordBatch:
    """Returns the features of tf.Examples, and of the context of tf.SequenceExamples, which are counted."""
    try:
        return records.decode(serialized)
    except records.HasFeatureLists:
        batch = records.decode(serialized, payload_format=payloads.TF_SEQUENCE_EXAMPLE)
        lists = [one.is_valid().to_numpy(zero_copy_only=False) for one in batch.column(sequences.COLUMN).flatten()]
        account.odd.add("rows", _SEQUENCE, where, int(np.any(lists, axis=0).sum()))  # others may be tf.Examples
        return batch.drop_columns([sequences.COLUMN])


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))
