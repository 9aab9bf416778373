"""Rules of texts, as functions of the distinct texts of a column: each is looked at once, however often it occurs."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penstock.core.cleaning.rows import ARROW, Mask, Rows, Values, lists
from penstock.core.cleaning.rules import Convert, MissingValues, Pattern, Reference, Text
from penstock.core.cleaning.rules import Values as ValuesRule
from penstock.core.errors import DataError

type Texts = pa.Array  # of large strings
_INTEGER = r"^[+-]?[0-9]+$"
_SPACES = r"\s+"


class NotText(DataError):
    """A column has bytes that are no text in UTF-8."""

    def __init__(self, column: str, rule: str):
        super().__init__(f"column {column!r} holds bytes that are no text in UTF-8, and the rule {rule!r} is for text")


def missing_values(rule: MissingValues, rows: Rows) -> None:
    wanted = pa.array([value.encode() for value in rule.values], pa.large_binary())
    for column in rule.columns or [name for name in rows.columns if rows.type(name) == "text"]:
        if rows.type(column) == "text":
            values = rows.values(column)
            rows.refuse(column, values, _mask(pc.is_in(values.flat, value_set=wanted)), "missing")


def text(rule: Text, rows: Rows) -> None:
    for column in rule.columns:
        distinct, values, indices = _distinct(rows, column, rule.name)
        if distinct is not None:
            new = _written(rule, distinct)
            changed = _mask(pc.not_equal(new, distinct))
            if changed.any():
                flat = new.cast(pa.large_binary()).take(pa.array(indices))
                rows.put(column, values, flat, changed[indices], "rewritten")


def _written(rule: Text, texts: Texts) -> Texts:
    if rule.spaces:
        texts = pc.utf8_trim_whitespace(texts)
    if rule.spaces == "collapse":
        texts = pc.replace_substring_regex(texts, _SPACES, " ")
    cases: dict[str, Callable[[Texts], Texts]] = {
        "lower": pc.utf8_lower,
        "upper": pc.utf8_upper,
        "title": pc.utf8_title,
    }
    return cases[rule.case](texts) if rule.case else texts


def values(rule: ValuesRule, rows: Rows, drops: bool = True) -> None:
    """Maps texts or whole numbers, and refuses those that are not allowed then; without `drops` no row is dropped."""
    for column in rule.columns:
        kind = rows.type(column)
        if kind == "integer":
            as_numbers = {str(key): value for key, value in rule.mapping.items()}
            flat = rows.values(column)
            distinct, indices = _encoded(flat.flat.cast(pa.large_string()))
            found = flat
            mapping = as_numbers
        else:
            known, found, indices = _distinct(rows, column, rule.name)
            if known is None:
                continue
            distinct, mapping = known, dict(rule.mapping)
        new = distinct
        if mapping:
            place = pc.index_in(distinct, value_set=pa.array(list(mapping), pa.large_string()))
            mapped = pa.array([str(value) for value in mapping.values()], pa.large_string()).take(place)
            new = pc.coalesce(mapped, distinct)
            changed = _mask(pc.not_equal(new, distinct))
            flat_type = pa.int64() if kind == "integer" else pa.large_binary()
            rows.put(column, found, new.cast(flat_type).take(pa.array(indices)), changed[indices], "mapped")
        if rule.allowed and (drops or rule.otherwise != "drop"):
            allowed = pa.array([str(value) for value in rule.allowed], pa.large_string())
            bad = ~_mask(pc.is_in(new, value_set=allowed))
            rows.refuse(column, rows.values(column), bad[indices], rule.otherwise)


def pattern(rule: Pattern, rows: Rows) -> None:
    for column in rule.columns:
        distinct, found, indices = _distinct(rows, column, rule.name)
        if distinct is not None:
            try:
                bad = ~_mask(pc.match_substring_regex(distinct, f"^(?:{rule.regex})$"))
            except pa.ArrowInvalid as error:  # a script that RE2 does not know, or more than it holds
                raise DataError(f"rule {rule.name!r}: {error}") from None
            rows.refuse(column, found, bad[indices], rule.otherwise)


def reference(rule: Reference, rows: Rows, known: frozenset[bytes]) -> None:
    """Refuses what is none of the texts that are known; whole numbers are looked up as they are written."""
    (column,) = rule.columns
    values = rows.values(column)
    if len(values.rows):
        distinct, indices = _encoded(values.flat)
        if rows.type(column) != "text":
            distinct = distinct.cast(pa.large_string()).cast(pa.large_binary())
        bad = np.array([text not in known for text in distinct.to_pylist()])
        rows.refuse(column, values, bad[indices], rule.otherwise)


def convert(rule: Convert, rows: Rows, drops: bool = True) -> None:
    """Converts columns; without `drops` a value that cannot be converted is missing."""
    otherwise = rule.otherwise if drops else "missing"
    for column in rule.columns:
        kind = rows.type(column)
        if kind is None or kind == rule.to:
            continue
        if not len(rows.values(column).rows):
            rows.set(column, lists(pa.array([], ARROW[rule.to]), rows.values(column).rows, rows.count))
            rows.has_other_columns = True
            continue
        if rule.to == "text" or kind != "text":
            _convert_numbers(rule, rows, column)
            continue
        distinct, found, indices = _distinct(rows, column, rule.name)
        if distinct is not None:
            numbers = parsed(distinct, rule)
            bad = _mask(pc.is_null(numbers))
            rows.convert(column, found, numbers.take(pa.array(indices)), bad[indices], otherwise)


def parsed(texts: Texts, rule: Convert) -> pa.Array:
    """Returns the numbers that texts are, null for those that are none."""
    texts = pc.utf8_trim_whitespace(texts)
    if rule.decimal_point != ".":
        texts = pc.replace_substring(texts, rule.decimal_point, ".")
    return pa.array([_parsed(one, rule.to == "integer") for one in texts.to_pylist()], ARROW[rule.to])


def _parsed(one: str, whole: bool) -> int | float | None:
    try:
        number = float(one)
        if not np.isfinite(number):
            return None
        if not whole:
            return None if abs(number) > _LARGEST_FLOAT else number
        exact = int(one) if one.lstrip("+-").isdecimal() else int(number) if number.is_integer() else None
        return exact if exact is not None and -(1 << 63) <= exact < 1 << 63 else None
    except ValueError:
        return None


_LARGEST_FLOAT = float(np.finfo(np.float32).max)


def _convert_numbers(rule: Convert, rows: Rows, column: str) -> None:
    """Converts numbers to texts, or to the other kind of number."""
    found = rows.values(column)
    if rule.to == "text":
        rows.convert(column, found, found.flat.cast(pa.large_string()).cast(pa.large_binary()), _none(found), "missing")
    elif rule.to == "float":
        rows.convert(column, found, found.flat.cast(pa.float32(), safe=False), _none(found), "missing")
    else:
        numbers = found.flat.to_numpy(zero_copy_only=False).astype(np.float64)
        bad = ~np.isfinite(numbers) | (numbers != np.floor(numbers)) | (np.abs(numbers) >= 2.0**63)
        whole = pa.array(np.where(bad, 0, numbers).astype(np.int64))
        rows.convert(column, found, whole, bad, rule.otherwise)


def _none(found: Values) -> Mask:
    return np.zeros(len(found.rows), bool)


def _distinct(rows: Rows, column: str, rule: str) -> tuple[Texts | None, Values, np.ndarray]:
    """Returns a column's distinct texts, its values, and which text each is; None for the texts if there are none."""
    found = rows.values(column)
    if not len(found.rows) or rows.type(column) != "text":
        return None, found, np.empty(0, np.int64)
    try:
        distinct, indices = _encoded(found.flat)
        return distinct.cast(pa.large_string()), found, indices
    except pa.ArrowInvalid:
        if not rows.records:
            return None, found, np.empty(0, np.int64)
        raise NotText(column, rule) from None


def _encoded(flat: pa.Array) -> tuple[pa.Array, np.ndarray]:
    encoded = flat.dictionary_encode()
    return encoded.dictionary, encoded.indices.to_numpy(zero_copy_only=False)


def _mask(values: pa.Array) -> Mask:
    mask: Mask = values.to_numpy(zero_copy_only=False).astype(bool)
    return mask
