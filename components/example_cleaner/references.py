"""Files that values are looked up in: their distinct values, beside the shards."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from penstock.core import packages
from penstock.core.cleaning.rules import Reference, Rule
from penstock.core.errors import DataError
from penstock.core.files import atomic, object_stores
from penstock.core.suggestions import did_you_mean


def fetch(rules: Sequence[Rule], scratch: Path) -> Mapping[int, Path]:
    """Writes the values of each rule's file to one in `scratch`; returns these by the rules' places.

    Raises a DataError if a file cannot be read, or has no such column or no value in it.
    """
    return {
        index: _write(rule, scratch / f"reference-{index:03d}.arrow")
        for index, rule in enumerate(rules)
        if isinstance(rule, Reference)
    }


def values(path: Path) -> frozenset[bytes]:
    """Returns the values of a file that `fetch` has written."""
    return frozenset(_read(path))


def learned(rules: Sequence[Rule], files: Mapping[int, Path]) -> dict[int, dict[str, list[str]]]:
    """Returns the values that servers look up, sorted, by the rules' places and columns."""
    return {
        index: {rules[index].columns[0]: [value.decode() for value in _read(path)]}
        for index, path in files.items()
        if rules[index].needs_learned
    }


def _read(path: Path) -> list[bytes]:
    with pa.OSFile(str(path)) as file, pa.ipc.open_file(file) as reader:
        found: list[bytes] = reader.get_batch(0).column(0).to_pylist()
    return found


def _write(rule: Reference, target: Path) -> Path:
    file = str(packages.resolve(rule.file)) if packages.is_inside(rule.file) else rule.file
    with object_stores.reading(file) as path:
        found = _values(rule, path)
    with atomic.replacing(target) as temporary, pa.OSFile(str(temporary), "wb") as sink:
        batch = pa.RecordBatch.from_arrays([found], ["value"])
        with pa.ipc.new_file(sink, batch.schema) as writer:
            writer.write_batch(batch)
    return target


def _values(rule: Reference, path: Path) -> pa.Array:
    key = rule.key_column
    where = f"rule {rule.name!r}: {rule.file}"
    try:
        if path.suffix == ".parquet":
            names = pyarrow.parquet.read_schema(path).names
            table = pyarrow.parquet.read_table(path, columns=[key]) if key in names else None
        else:
            options = pyarrow.csv.ConvertOptions(include_columns=[key], column_types={key: pa.string()})
            with pyarrow.csv.open_csv(path) as reader:
                names = reader.schema.names
            table = pyarrow.csv.read_csv(path, convert_options=options) if key in names else None
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{where}: expected a CSV or a Parquet file: {error}") from None
    if table is None:
        raise DataError(f"{where} has no column {key!r}; {did_you_mean(key, names)}")
    try:
        found = pc.drop_null(pc.unique(table[key].combine_chunks().cast(pa.large_string()))).cast(pa.large_binary())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        kind = table.schema.field(key).type
        raise DataError(f"{where}: the column {key!r} is of type {kind}: expected text or whole numbers") from None
    if not len(found):
        raise DataError(f"{where}: the column {key!r} has no value: expected at least one")
    return found.take(pc.array_sort_indices(found))
