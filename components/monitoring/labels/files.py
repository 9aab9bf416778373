"""What is in files of labels: a key and a label in each row. What cannot be read is counted, with its reason."""

import contextlib
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penstock.components.engines import Engine
from penstock.components.example_gen.sources.csv.options import CsvOptions
from penstock.components.monitoring.labels.source import REQUEST_ID, ROW, LabelSource
from penstock.components.monitoring.windows.account import Reasons
from penstock.components.scoring.features import TYPES, Feature, Kind
from penstock.components.scoring.inputs import csv, files, parquet
from penstock.components.scoring.inputs.csv import CsvInput
from penstock.components.scoring.inputs.parquet import ParquetInput
from penstock.components.scoring.inputs.rows import File, Reading
from penstock.core.errors import ConfigError, DataError
from penstock.core.files import atomic
from penstock.core.suggestions import did_you_mean

LABEL = "label"
_KINDS: dict[pa.DataType, Kind] = {kind: name for name, kind in TYPES.items()}
_UNREADABLE = "a file that cannot be read"
_OTHER_KIND = "a file that is neither CSV nor Parquet"
_BAD_ROW = "a row that cannot be read"
_NO_KEY = "a label without a key"
_NO_VALUE = "a key without a label"


@dataclass(frozen=True)
class LabelFiles:
    """The files that there are now, on this machine. `fingerprint` changes with their names and contents."""

    listed: Sequence[File]
    fingerprint: str


@contextlib.contextmanager
def opened(place: str, engine: Engine) -> Iterator[LabelFiles]:
    """Gives the files; none if nothing is there yet, as labels take their time."""
    with contextlib.ExitStack() as stack:
        try:
            listed = list(files.listed(place, stack, engine))
        except DataError:
            listed = []
        lines = (f"{file.name}\0{_digest(file)}\n" for file in listed)
        yield LabelFiles(listed, hashlib.sha256("".join(lines).encode()).hexdigest())


def _digest(file: File) -> str:
    """Returns the digest of a file; "" of one that cannot be read, which `read` counts."""
    try:
        return atomic.digest([file.path], file.path.parent)
    except OSError:
        return ""


def read(
    there: Sequence[File],
    source: LabelSource,
    types: Mapping[str, pa.DataType],
    scratch: Path,
    engine: Engine,
    reasons: Reasons,
) -> Iterator[pa.Table]:
    """Yields tables with the columns of the key and LABEL, a value in each row.

    types: Of the key's columns and of LABEL: float32, int64 or large_binary. REQUEST_ID needs no ROW in the files.

    Raises a ConfigError if no file has the columns.
    """
    options, usable, odd = CsvOptions.from_json(source.csv), 0, ""
    for number, file in enumerate(there):
        folder = scratch / str(number)
        folder.mkdir()
        try:
            opened_file = _open(file, options, folder, engine)
            if opened_file is None:
                reasons.add("files", _OTHER_KIND, file.name)
                continue
            names = {name: source.column if name == LABEL else name for name in types}
            if missing := [column for column in names.values() if column not in opened_file.names]:
                reasons.add("files", f"a file without the column {missing[0]!r}", file.name)
                odd = odd or f"{file.name}: there is no column {missing[0]!r}; " + did_you_mean(
                    missing[0], opened_file.names, "it has"
                )
                continue
            usable += 1
            features = {name: Feature(column, _KINDS[types[name]], required=False) for name, column in names.items()}
            yield from _tables(opened_file, file, features, options, reasons)
        except DataError as error:
            reasons.add("files", _UNREADABLE, error.message)
        except OSError as error:
            reasons.add("files", _UNREADABLE, f"{file.name}: {error.strerror or error}")
    if odd and not usable:
        raise ConfigError(f"labels: {odd}")


def key_columns(there: Sequence[File], source: LabelSource, scratch: Path, engine: Engine) -> tuple[str, ...]:
    """Returns the columns of the key: with REQUEST_ID alone also ROW, if the first file that can be read has it."""
    if source.key != (REQUEST_ID,):
        return source.key
    options = CsvOptions.from_json(source.csv)
    for number, file in enumerate(there):
        folder = scratch / f"columns-{number}"
        folder.mkdir()
        with contextlib.suppress(DataError, OSError):
            if opened_file := _open(file, options, folder, engine):
                return (REQUEST_ID, ROW) if ROW in opened_file.names else source.key
    return source.key


def _open(file: File, options: CsvOptions, scratch: Path, engine: Engine) -> CsvInput | ParquetInput | None:
    kind = files.kind_of(file)
    if kind == "csv":
        return CsvInput.open([file], options, "", scratch, engine)
    return ParquetInput.open([file]) if kind == "parquet" else None


def _tables(
    rows_of: CsvInput | ParquetInput, file: File, features: Mapping[str, Feature], options: CsvOptions, reasons: Reasons
) -> Iterator[pa.Table]:
    columns = tuple(dict.fromkeys(feature.name for feature in features.values()))
    reading = Reading((), columns, "csv" if isinstance(rows_of, CsvInput) else "parquet")
    for piece in rows_of.pieces:
        for rows in rows_of.read(piece, reading):
            for problem in rows.problems:
                reasons.add("labels", _BAD_ROW, f"{file.name}: {problem.reason}")
            yield _values(rows.shown, file, features, options if isinstance(rows_of, CsvInput) else None, reasons)


def _values(
    shown: pa.RecordBatch,
    file: File,
    features: Mapping[str, Feature],
    options: CsvOptions | None,
    reasons: Reasons,
) -> pa.Table:
    """Returns the rows of which each column has a value of its type."""
    bad: dict[int, str] = {}
    arrays = {}
    for name, feature in features.items():
        column = shown.column(shown.schema.get_field_index(feature.name))
        if options is None:
            lists = parquet.lists(column, feature, bad)
        else:
            lists, why = csv.lists(column, feature, options)
            bad = why | bad
        arrays[name] = first_values(lists)
    kept: np.ndarray = np.ones(shown.num_rows, bool)
    kept[list(bad)] = False
    for reason in bad.values():
        reasons.add("labels", _BAD_ROW, f"{file.name}: {reason}")
    for name, array in arrays.items():
        absent = kept & array.is_null().to_numpy(zero_copy_only=False)
        reasons.add("labels", _NO_VALUE if name == LABEL else _NO_KEY, file.name, int(absent.sum()))
        kept &= ~absent
    return pa.table(arrays).filter(pa.array(kept))


def first_values(lists: pa.Array) -> pa.Array:
    """Returns the first value of each list; null of a list without one."""
    lengths: np.ndarray = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    return lists.flatten().take(pa.array(np.cumsum(lengths) - lengths, mask=lengths == 0))
