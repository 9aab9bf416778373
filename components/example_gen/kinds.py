"""The kind of a feature's values, which is the same in all records: integers, floats or bytes."""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from penstock.core.errors import DataError


@dataclass(frozen=True)
class Seen:
    """What the values of a feature are in one record, and where that is."""

    kind: str
    file: str
    record: int


class FeatureKinds(dict[str, Seen]):
    """The kind of each feature, as the first record that has a list of it says."""

    def add(self, columns: pa.RecordBatch, file: str, record: int) -> None:
        """Adds rows, the first of which is record number `record` of a file; a DataError if a kind is another one."""
        for name, column in zip(columns.schema.names, columns.columns, strict=True):
            if pa.types.is_null(column.type):
                continue
            kind = _kind(column.type.value_type)
            if name not in self or self[name].kind != kind:
                row = pc.index(column.is_valid(), True).as_py()  # an empty list is of a kind, too
                if row >= 0:
                    self._add(name, Seen(kind, file, record + row))

    def merge(self, other: "FeatureKinds") -> None:
        """Adds the kinds of later records; a DataError if one is another."""
        for name, seen in other.items():
            self._add(name, seen)

    def _add(self, name: str, seen: Seen) -> None:
        first = self.setdefault(name, seen)
        if first.kind != seen.kind:
            where = f"record {first.record}" + (f" of {first.file}" if first.file != seen.file else "")
            raise DataError(
                f"{seen.file}, record {seen.record}: feature {name!r}: expected {first.kind}, as in {where}, found "
                f"{seen.kind}: write the feature with one type in all records"
            )


def _kind(values: pa.DataType) -> str:
    if pa.types.is_integer(values):
        return "integers"
    return "floats" if pa.types.is_floating(values) else "bytes"
