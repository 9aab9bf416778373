"""The types of CSV columns: those of TFX's CsvExampleGen, found in all rows and not in the first ones.

A column is INT if Python's int() takes every cell and 64 bits hold it, FLOAT if float() takes the others, else BYTES;
an integer too long for 64 bits makes it BYTES. The empty cell is missing and tells nothing. Whatever else a tool may
take for a missing value ("NA", "null", "nan") is a cell like any other, unless `Missing` says otherwise. Arrow decides
where it agrees with Python (digits, decimals); Python decides on the distinct values among the rest (spaces,
underscores, "+5", "0x1F").
"""

import enum
import re
from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penstock.components.example_gen.sources.csv.missing import ONLY_EMPTY, Missing
from penstock.components.example_gen.sources.source import TypesGrew
from penstock.core import csv_format

_FEW = 1000
_INT64 = range(-(2**63), 2**63)
_DECIMALS = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?|[+-]?\d+")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?|[+-]?\d*\.?\d+")
_BOTH = re.compile(r"[+-]?[1-9]\d{0,2}([.' ]\d{3})+(,\d+)?|[+-]?\d*,?\d+")
_NEARLY_ALL = 0.9  # of the different cells: others may mean a missing value


class ColumnType(enum.IntEnum):
    """In the order in which a column's type grows with its cells."""

    UNKNOWN = 0
    WORDS = 1  # that mean a missing value among numbers, and are text where there are no numbers
    INT = 2
    FLOAT = 3
    BYTES = 4


def infer(column: pa.StringArray, missing: Missing = ONLY_EMPTY, decimal_point: str = ".") -> ColumnType:
    """Returns the type of a column of text cells."""
    distinct = pc.unique(column)
    distinct = distinct.filter(missing.present(distinct))
    if missing.auto:
        others = distinct.filter(missing.present(distinct, among_numbers=True))
        if len(distinct) and not len(others):
            return ColumnType.WORDS
        distinct = others
    distinct = _pointed(distinct, decimal_point)
    if len(distinct) > _FEW:
        known = _infer_by_arrow(distinct)
        if known is not None:
            return known
    largest = ColumnType.UNKNOWN
    for cell in distinct:
        largest = max(largest, infer_cell(cell.as_py().encode()))
        if largest == ColumnType.BYTES:
            break
    return largest


def infer_cell(cell: bytes) -> ColumnType:
    """TFX's rule for one cell (tfx_bsl.coders.csv_decoder)."""
    if not cell:
        return ColumnType.UNKNOWN
    try:
        return ColumnType.INT if int(cell) in _INT64 else ColumnType.BYTES
    except ValueError:
        pass
    try:
        float(cell)
    except ValueError:
        return ColumnType.BYTES
    return ColumnType.FLOAT


def merge(types: Iterable[Sequence[ColumnType]]) -> tuple[ColumnType, ...]:
    """Returns each column's type, of its types in several parts of the data."""
    return tuple(max(column) for column in zip(*types, strict=True))


def convert(
    column: pa.StringArray, kind: ColumnType, missing: Missing = ONLY_EMPTY, decimal_point: str = "."
) -> pa.Array:
    """Returns text cells as a list column of int64, float32 or binary.

    A missing cell is an empty list, which is what TFX writes; a column of missing cells only is of null type.
    Raises TypesGrew if `infer` finds a larger type than `kind` in it.
    """
    present = missing.present(column, among_numbers=kind in (ColumnType.INT, ColumnType.FLOAT))
    cells = column.filter(present)
    if kind == ColumnType.UNKNOWN:
        if len(cells):
            raise TypesGrew
        return pa.nulls(len(column))
    if kind == ColumnType.WORDS and pc.any(missing.present(cells, among_numbers=True)).as_py():
        raise TypesGrew
    if kind in (ColumnType.WORDS, ColumnType.BYTES):
        values = cells.cast(pa.binary()).cast(pa.large_binary())
    elif kind == ColumnType.INT:
        values = _integers(_pointed(cells, decimal_point))
    else:
        doubles: np.ndarray = _floats(_pointed(cells, decimal_point)).to_numpy(zero_copy_only=False)
        with np.errstate(over="ignore"):  # beyond 32-bit floats is infinity, as protobuf makes it
            values = pa.array(doubles.astype(np.float32))
    offsets: np.ndarray = np.zeros(len(column) + 1, np.int64)
    np.cumsum(present.to_numpy(zero_copy_only=False), out=offsets[1:])
    return pa.LargeListArray.from_arrays(pa.array(offsets), values)


def separators(column: pa.StringArray, missing: Missing = ONLY_EMPTY, decimal_point: str = ".") -> tuple[str, str]:
    """Returns what keeps text cells from being numbers, "decimals" or "thousands" for what is written with another
    decimal point or with separators of thousands, and a cell; "" where they are no numbers in any case.

    Numbers that may be either, such as 1,234, are taken for thousands.
    """
    distinct = pc.unique(column)
    distinct = _pointed(distinct.filter(missing.present(distinct))[:_FEW], decimal_point)
    cells = [cell.strip() for cell in distinct.to_pylist()]
    for name, pattern in (("thousands", _THOUSANDS), ("decimals", _DECIMALS), ("thousands", _BOTH)):
        matched = [cell for cell in cells if pattern.fullmatch(cell)]
        example = next((cell for cell in matched if "," in cell or csv_format.number(cell) is None), None)
        if example is not None and len(matched) >= _NEARLY_ALL * len(cells):
            return name, example if decimal_point == "." else example.translate(str.maketrans(",.", ".,"))
    return "", ""


def _pointed(cells: pa.StringArray, decimal_point: str) -> pa.StringArray:
    """Returns cells with the point that Python's numbers have, and a comma for each point that stood there."""
    if decimal_point == ".":
        return cells
    for old, new in ((".", "\0"), (",", "."), ("\0", ",")):  # no cell holds a NUL
        cells = pc.replace_substring(cells, old, new)
    return cells


def _infer_by_arrow(cells: pa.StringArray) -> ColumnType | None:
    """The type, where Arrow's parsers decide it as Python's would; None where they cannot."""
    try:
        cells.cast(pa.int64())
        return None if _hexadecimal(cells) else ColumnType.INT
    except pa.ArrowInvalid:
        pass
    try:
        doubles = cells.cast(pa.float64())
    except pa.ArrowInvalid:
        return None
    whole = pc.match_substring_regex(cells, r"^[+-]?[0-9]+$")
    if pc.all(whole).as_py():
        return None
    return ColumnType.FLOAT if _all_floats(cells, doubles) else ColumnType.BYTES


def _hexadecimal(cells: pa.StringArray) -> bool:
    """Whether Arrow may have read a cell as hexadecimal, which Python's int() does not."""
    return any(pc.any(pc.match_substring(cells, letter)).as_py() for letter in "xX")


def _all_floats(cells: pa.StringArray, doubles: pa.DoubleArray) -> bool:
    """Whether cells that Arrow reads as these numbers are floats by TFX's rule too."""
    ordinary = pc.fill_null(pc.less(pc.abs(doubles), 2.0**63), False)
    others = pc.unique(cells.filter(pc.invert(ordinary)))  # long integers, infinities, Arrow's "nan(…)"
    return all(infer_cell(cell.as_py().encode()) < ColumnType.BYTES for cell in others)


def _integers(cells: pa.StringArray) -> pa.Int64Array:
    try:
        numbers = cells.cast(pa.int64())
    except pa.ArrowInvalid:
        return _by_python(cells, int, ColumnType.INT).cast(pa.int64())
    if _hexadecimal(cells):
        raise TypesGrew
    return numbers


def _floats(cells: pa.StringArray) -> pa.DoubleArray:
    try:
        doubles = cells.cast(pa.float64())
    except pa.ArrowInvalid:
        return _by_python(cells, float, ColumnType.FLOAT).cast(pa.float64())
    if not _all_floats(cells, doubles):
        raise TypesGrew
    return doubles


def _by_python(cells: pa.StringArray, parse: type[int] | type[float], kind: ColumnType) -> pa.Array:
    encoded = cells.dictionary_encode()
    distinct = [cell.as_py().encode() for cell in encoded.dictionary]
    if any(infer_cell(cell) > kind for cell in distinct):
        raise TypesGrew
    return pa.array(map(parse, distinct)).take(encoded.indices)
